"""The live table: one row per leader fill, from detection to PnL."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from copytrade.adapters.notify import wording
from copytrade.domain.attempts import Decision
from copytrade.domain.fills import Side, Source
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
from copytrade.domain.units import MICRO
from copytrade.ports.notifier import Notifier

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from rich.console import JustifyMethod, RenderableType

    from copytrade.adapters.notify.tally import Tally
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis, Shares, Usdc

ROWS_KEPT_MAX: Final = 200
LINES_PER_ROW: Final = 3
LINES_AROUND: Final = 7
"""What the title, the header and the score take of the screen."""
NARROWEST: Final = 80
_COLUMNS: Final = {"seen": 9, "his fill": 20, "decision": 17, "our order": 17, "position": 9}
"""Columns with their widths on a screen of NARROWEST."""
_GROW: Final = {"his fill": 50, "decision": 30, "our order": 10, "position": 10}
"""Columns that are wider on a wider screen, with their parts of what it has more, in percent."""
_SHORT: Final = {
    Source.POLYGON: "chain",
    Source.DATA_API: "api",
    Source.RTDS: "rtds",
    Source.LEADER_EVENT: "event",
}


@dataclass(slots=True, kw_only=True)
class _Row:
    """What is known of one leader fill; executions add up as they come."""

    detected: FillDetected
    market: Market | None
    sources: list[Source]
    decided: Decided | None = None
    filled_shares: Shares = 0
    filled_usdc: Usdc = 0
    fee_usdc: Usdc = 0
    slip: str = ""
    position: Shares | None = None
    net: Usdc | None = None
    ending: str = ""


class TableNotifier(Notifier):
    """Keeps the rows of the latest fills and draws them on request."""

    def __init__(self, tally: Tally, *, title: str, now_ms: Callable[[], Millis]) -> None:
        self._tally = tally
        self._title = title
        self._now_ms = now_ms
        self._started_ms = now_ms()
        self._rows: OrderedDict[UUID, _Row] = OrderedDict()
        self._last_note = ""

    def tell(self, happening: Happening) -> None:
        """Put the happening into its row."""
        match happening:
            case FillDetected(recorded=recorded):
                sources = [recorded.fill.source]
                self._rows[recorded.id] = _Row(detected=happening, market=happening.market, sources=sources)
                while len(self._rows) > ROWS_KEPT_MAX:
                    self._rows.popitem(last=False)
            case FillJoined(recorded=recorded, by=source):
                if (row := self._rows.get(recorded.id)) and source not in row.sources:
                    row.sources.append(source)
            case Decided(recorded=recorded, market=market):
                if row := self._rows.get(recorded.id):
                    row.decided = happening
                    row.market = market or row.market
            case OrderFilled():
                self._fill(happening)
            case OrderEnded(attempt=attempt, status=status):
                if row := self._rows.get(attempt.leader_fill_id):
                    row.ending = status
            case PositionSettled() | OrderSent():
                return  # The one is no fill's, the score has it; of the other its outcome will be shown.
            case Noted(code=code, detail=detail, at_ms=at_ms):
                said = wording.progress(code, detail) if code.endswith(wording.PROGRESS) else code
                self._last_note = f"{wording.clock_time(at_ms)} {said}"

    def _fill(self, filled: OrderFilled) -> None:
        row = self._rows.get(filled.attempt.leader_fill_id)
        if row is None:
            return
        fill = filled.fill
        row.filled_shares += fill.shares
        row.filled_usdc += wording.value(fill.shares, fill.price)
        row.fee_usdc += fill.fee_usdc
        average = row.filled_usdc * MICRO // row.filled_shares
        _, bps = wording.slippage(row.detected.recorded.fill, average)
        row.slip = f"{bps:+d} bps"
        row.position = filled.position.shares
        row.net = filled.position.realized_pnl_usdc - filled.position.fees_usdc

    def draw(self, height: int, *, width: int) -> RenderableType:
        """Return a screen of `height` lines: the newest fills at the bottom of the table, the score below."""
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
        for column, least in _COLUMNS.items():
            justify: JustifyMethod = "right" if column == "position" else "left"
            more = max(0, width - NARROWEST) * _GROW.get(column, 0) // 100
            table.add_column(column, justify=justify, no_wrap=True, width=least + more)
        room = max(1, (height - LINES_AROUND) // LINES_PER_ROW)
        for number, row in list(enumerate(self._rows.values()))[-room:]:
            table.add_row(*_cells(row), style="on grey7" if number % 2 else "")
        return Group(Text(self._title, style="bold"), table, self._score())

    def _score(self) -> RenderableType:
        tally = self._tally
        gain, unmarked = tally.unrealized()
        elapsed_s = (self._now_ms() - self._started_ms) // 1000
        held = sum(1 for position in tally.positions.values() if position.shares)
        parts = [
            f"{elapsed_s} s",
            f"fills {sum(tally.fills.values())} (+{tally.joined} seen again)",
            f"TRADE {tally.decisions['TRADE']} / SKIP {tally.decisions['SKIP']}",
            f"executions {tally.executions}",
            f"open positions {held}",
            f"realised {wording.usdc(tally.realized())} after fees {wording.usdc(tally.fees())}",
            f"unrealised {wording.usdc(gain)}{f' ({unmarked} unmarked)' if unmarked else ''}",
        ]
        if self._last_note:
            parts.append(f"last note {self._last_note}")
        return Text(" | ".join(parts))


def _cells(row: _Row) -> list[Text]:
    """Return three lines for each column, of which the first is the one to read."""
    fill = row.detected.recorded.fill
    sources = "+".join(_SHORT[source] for source in row.sources)
    color = "green" if fill.side is Side.BUY else "red"
    return [
        _three(wording.clock_time(fill.detected_at_ms)[:-4], sources, f"{fill.detected_at_ms - fill.fill_ts_ms:+d} ms"),
        _three(
            f"{fill.side} {wording.shares(fill.size)} @ {wording.price(fill.price)}",
            wording.market_in_short(row.market, fill.token_id),
            f"{wording.leader_name(row.detected.leader_label, fill.leader)}, {fill.role}",
            style=color,
        ),
        _decision(row),
        _ours(row),
        _position(row),
    ]


def _three(first: str, second: str = "", third: str = "", *, style: str = "") -> Text:
    """Put two dim lines below the first."""
    return Text.assemble((first, style), "\n", (second, "dim"), "\n", (third, "dim"))


def _decision(row: _Row) -> Text:
    if row.detected.is_history:
        return _three("history, not copied", style="dim")
    if row.decided is None:
        return _three("waiting")
    attempt, book = row.decided.attempt, row.decided.book
    bid, ask = "no book", ""
    if book is not None:
        bid, ask = f"bid {wording.level(book.bids)}", f"ask {wording.level(book.asks)}"
    if attempt.decision is Decision.SKIP:
        return _three("SKIP", wording.reason_codes(attempt.reasons), f"{bid}, {ask}".strip(", "), style="yellow")
    wanted = f"{wording.shares(attempt.size_shares_target)} to {wording.price(attempt.limit_price)}"
    return _three(wanted, bid, ask, style="cyan")


def _ours(row: _Row) -> Text:
    if not row.filled_shares:
        is_trade = row.decided is not None and row.decided.attempt.decision is Decision.TRADE
        return _three(row.ending or ("resting" if is_trade else ""))
    average = row.filled_usdc * MICRO // row.filled_shares
    return _three(
        f"{wording.shares(row.filled_shares)} @ {wording.price(average)}",
        f"{row.ending or 'open'} {row.slip}",
        f"fee {wording.usdc(row.fee_usdc)}",
    )


def _position(row: _Row) -> Text:
    if row.position is None or row.net is None:
        return _three("")
    return _three(wording.shares(row.position), "PnL", wording.usdc(row.net))
