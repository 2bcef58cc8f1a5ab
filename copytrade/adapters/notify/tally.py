"""The score of a run so far: what was seen, decided and filled, and what it is worth."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from copytrade.adapters.notify import wording
from copytrade.domain.attempts import Decision
from copytrade.domain.happenings import (
    Decided,
    FillDetected,
    FillJoined,
    Happening,
    Noted,
    OrderEnded,
    OrderFilled,
    OrderSent,
    PositionSettled,
)
from copytrade.ports.notifier import Notifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from copytrade.domain.market import Market
    from copytrade.domain.positions import Position
    from copytrade.domain.units import Millis, Price, Usdc


class Tally(Notifier):
    """Counts happenings; set `mark` to what gives a token's best bid, None where there is none."""

    def __init__(self) -> None:
        self.mark: Callable[[str], Price | None] = _no_mark
        self.fills: Counter[str] = Counter()
        self.joined = 0
        self.history = 0
        self.decisions: Counter[str] = Counter()
        self.skip_codes: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        self.executions = 0
        self.settlements: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.detection_ms: list[Millis] = []
        self.positions: dict[str, Position] = {}
        self.markets: dict[str, Market] = {}

    def tell(self, happening: Happening) -> None:
        """Count it."""
        match happening:
            case FillDetected(recorded=recorded):
                self.fills[recorded.fill.source] += 1
                self.history += happening.is_history
                if not happening.is_history:
                    self.detection_ms.append(recorded.fill.detected_at_ms - recorded.fill.fill_ts_ms)
            case FillJoined():
                self.joined += 1
            case Decided(attempt=attempt, market=market):
                self.decisions[attempt.decision] += 1
                if attempt.decision is Decision.SKIP:
                    self.skip_codes[attempt.reasons[0].code] += 1
                if market is not None:
                    self.markets[attempt.token_id] = market
            case OrderFilled(position=position):
                self.executions += 1
                self.positions[position.token_id] = position
            case PositionSettled(settlement=settlement, position=position):
                self.settlements[settlement.kind] += 1
                self.positions[position.token_id] = position
            case OrderEnded(status=status):
                self.endings[status] += 1
            case Noted(code=code):
                self.notes[code] += 1
            case OrderSent():
                pass

    def keep_marks(self) -> None:
        """Mark with what is known now from now on: a worker that stops lets go of its books."""
        known = {token_id: self.mark(token_id) for token_id in self.positions}
        self.mark = known.get

    def marked_value(self, position: Position) -> Usdc | None:
        """Return what a position would bring at the best bid, None if there is no bid to mark it with."""
        bid = self.mark(position.token_id)
        return None if bid is None else wording.value(position.shares, bid)

    def realized(self) -> Usdc:
        """Return realised PnL of all positions, less every fee paid."""
        return sum(position.realized_pnl_usdc - position.fees_usdc for position in self.positions.values())

    def fees(self) -> Usdc:
        """Return every fee paid."""
        return sum(position.fees_usdc for position in self.positions.values())

    def unrealized(self) -> tuple[Usdc, int]:
        """Return marked value less cost of the positions that have a mark, and how many have none."""
        gain, unmarked = 0, 0
        for position in self.positions.values():
            if not position.shares:
                continue
            marked = self.marked_value(position)
            if marked is None:
                unmarked += 1
            else:
                gain += marked - position.cost_usdc
        return gain, unmarked

    def summary_lines(self) -> list[str]:
        """Return the summary of a run as lines."""
        gain, unmarked = self.unrealized()
        seen = ", ".join(f"{count} first by {source}" for source, count in self.fills.most_common()) or "none"
        skips = ", ".join(f"{code} {count}" for code, count in self.skip_codes.most_common())
        notes = ", ".join(f"{code} {count}" for code, count in self.notes.most_common())
        trades, skipped = self.decisions["TRADE"], self.decisions["SKIP"]
        endings = ", ".join(f"{count} {status}" for status, count in self.endings.most_common()) or "none ended"
        repeats = f"{self.joined} seen again, {self.history} history"
        realized = f"realised {wording.usdc(self.realized())} after fees of {wording.usdc(self.fees())}"
        unseen = f" ({unmarked} unmarked)" if unmarked else ""
        lines = [
            f"leader fills   {sum(self.fills.values())} ({seen}; {repeats})",
            f"detection      {self._detection()}",
            f"decisions      {trades} TRADE, {skipped} SKIP{f' ({skips})' if skips else ''}",
            f"orders         {endings}; {self.executions} executions",
            f"PnL            {realized}, unrealised {wording.usdc(gain)} at the bid{unseen}",
        ]
        if self.settlements:
            lines.append(f"settled        {', '.join(f'{count} {kind}' for kind, count in self.settlements.items())}")
        if notes:
            lines.append(f"notes          {notes}")
        return lines + self._position_lines()

    def _detection(self) -> str:
        if not self.detection_ms:
            return "-"
        ordered = sorted(self.detection_ms)
        p50, p95 = (ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 95))
        return f"{p50} ms after the block's stamp (p50), {p95} ms (p95); a block can arrive before its stamp"

    def _position_lines(self) -> list[str]:
        lines = []
        for token_id, position in self.positions.items():
            marked = self.marked_value(position)
            worth = "unmarked" if marked is None else f"worth {wording.usdc(marked)}"
            held = f"{wording.shares(position.shares)} shares, cost {wording.usdc(position.cost_usdc)}, {worth}"
            earned = f"realised {wording.usdc(position.realized_pnl_usdc)}, fees {wording.usdc(position.fees_usdc)}"
            name = wording.market_name(self.markets.get(token_id), token_id)
            lines.append(f"  {name}: {held if position.shares else 'closed'}, {earned}")
        return lines


def _no_mark(_token_id: str) -> Price | None:
    return None
