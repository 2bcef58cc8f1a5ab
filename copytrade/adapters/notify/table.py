"""The live table: one row per leader fill, from detection to PnL."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from copytrade.adapters.notify import wording
from copytrade.domain.attempts import Decision
from copytrade.domain.happenings import Decided, FillDetected, FillJoined, Happening, Noted, OrderEnded, OrderFilled
from copytrade.ports.notifier import Notifier

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from rich.console import RenderableType

    from copytrade.adapters.notify.tally import Tally
    from copytrade.domain.units import Millis, Shares, Usdc

ROWS_KEPT_MAX: Final = 200
_COLUMNS: Final = (
    "time",
    "leader",
    "fill",
    "role",
    "seen",
    "market",
    "decision",
    "book",
    "our fill",
    "fee",
    "slip",
    "pos",
    "PnL",
)
_RIGHT: Final = frozenset({"fee", "slip", "pos", "PnL", "seen"})


@dataclass(slots=True, kw_only=True)
class _Row:
    """What is known of one leader fill; executions add up as they come."""

    detected: FillDetected
    sources: list[str]
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
                self._rows[recorded.id] = _Row(detected=happening, sources=[recorded.fill.source])
                while len(self._rows) > ROWS_KEPT_MAX:
                    self._rows.popitem(last=False)
            case FillJoined(recorded=recorded, by=source):
                if (row := self._rows.get(recorded.id)) and source not in row.sources:
                    row.sources.append(source)
            case Decided(recorded=recorded):
                if row := self._rows.get(recorded.id):
                    row.decided = happening
            case OrderFilled():
                self._fill(happening)
            case OrderEnded(attempt=attempt, status=status):
                if row := self._rows.get(attempt.leader_fill_id):
                    row.ending = status
            case Noted(code=code, at_ms=at_ms):
                self._last_note = f"{wording.clock_time(at_ms)} {code}"

    def _fill(self, filled: OrderFilled) -> None:
        row = self._rows.get(filled.attempt.leader_fill_id)
        if row is None:
            return
        fill = filled.fill
        row.filled_shares += fill.shares
        row.filled_usdc += wording.value(fill.shares, fill.price)
        row.fee_usdc += fill.fee_usdc
        average = row.filled_usdc * 1_000_000 // row.filled_shares
        row.slip = wording.slippage_words(row.detected.recorded.fill, average)
        row.position = filled.position.shares
        row.net = filled.position.realized_pnl_usdc - filled.position.fees_usdc

    def draw(self, rows_max: int) -> RenderableType:
        """Return the screen: the newest fills at the bottom of the table, the score below."""
        table = Table(expand=True, pad_edge=False, header_style="bold", row_styles=["", "dim"])
        for column in _COLUMNS:
            table.add_column(column, justify="right" if column in _RIGHT else "left", no_wrap=True)
        for row in list(self._rows.values())[-max(1, rows_max) :]:
            table.add_row(*_cells(row))
        return Group(Panel(table, title=self._title, title_align="left"), self._score())

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


def _cells(row: _Row) -> list[str | Text]:
    fill = row.detected.recorded.fill
    side = Text(str(fill.side), style="green" if fill.side == "BUY" else "red")
    return [
        wording.clock_time(fill.detected_at_ms),
        wording.leader_name(row.detected.leader_label, fill.leader),
        side.append(f" {wording.shares(fill.size)}@{wording.price(fill.price)}", style="default"),
        str(fill.role),
        f"{'+'.join(row.sources)} {fill.detected_at_ms - fill.fill_ts_ms} ms",
        wording.market_name(row.detected.market, fill.token_id),
        _decision(row),
        wording.touch(row.decided.book) if row.decided else "",
        _ours(row),
        wording.usdc(row.fee_usdc) if row.filled_shares else "",
        row.slip,
        "" if row.position is None else wording.shares(row.position),
        "" if row.net is None else wording.usdc(row.net),
    ]


def _decision(row: _Row) -> Text:
    if row.detected.is_history:
        return Text("history", style="dim")
    if row.decided is None:
        return Text("...")
    attempt = row.decided.attempt
    if attempt.decision is Decision.SKIP:
        return Text(f"SKIP {wording.reason_codes(attempt.reasons)}", style="yellow")
    return Text(
        f"TRADE {wording.shares(attempt.size_shares_target)}<={wording.price(attempt.limit_price)}", style="cyan"
    )


def _ours(row: _Row) -> str:
    if not row.filled_shares:
        return row.ending
    average = row.filled_usdc * 1_000_000 // row.filled_shares
    return f"{wording.shares(row.filled_shares)}@{wording.price(average)} {row.ending}".strip()
