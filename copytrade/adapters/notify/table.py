"""The live table: one row per leader fill, from detection to PnL."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.panel import Panel
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
    from copytrade.domain.units import Millis, Shares, Usdc

ROWS_KEPT_MAX: Final = 200
LINES_PER_ROW: Final = 2
LINES_AROUND: Final = 7
"""What the frame, the header and the score take of the screen."""
_COLUMNS: Final = {"seen": 17, "leader": 16, "his fill": None, "decision": 30, "our fill": 24, "position": 13}
"""Columns with their widths; the one without takes what the screen has to spare."""
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

    def draw(self, height: int) -> RenderableType:
        """Return a screen of `height` lines: the newest fills at the bottom of the table, the score below."""
        table = Table(expand=True, box=SIMPLE_HEAD, pad_edge=False, header_style="bold", row_styles=["", "on grey7"])
        for column, width in _COLUMNS.items():
            justify: JustifyMethod = "right" if column == "position" else "left"
            table.add_column(column, justify=justify, no_wrap=True, width=width, ratio=None if width else 1)
        room = max(1, (height - LINES_AROUND) // LINES_PER_ROW)
        for row in list(self._rows.values())[-room:]:
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


def _cells(row: _Row) -> list[Text]:
    """Return two lines for each column."""
    fill = row.detected.recorded.fill
    sources = "+".join(_SHORT[source] for source in row.sources)
    color = "green" if fill.side is Side.BUY else "red"
    his = f"{fill.side} {wording.shares(fill.size)} @ {wording.price(fill.price)}"
    return [
        _two(wording.clock_time(fill.detected_at_ms)[:-4], f"{sources} {fill.detected_at_ms - fill.fill_ts_ms:+d} ms"),
        _two(wording.leader_name(row.detected.leader_label, fill.leader), str(fill.role)),
        _two(his, wording.market_name(row.detected.market, fill.token_id), style=color),
        _decision(row),
        _ours(row),
        _position(row),
    ]


def _two(first: str, second: str, *, style: str = "") -> Text:
    """Put a dim second line below the first."""
    return Text.assemble((first, style), "\n", (second, "dim"))


def _decision(row: _Row) -> Text:
    if row.detected.is_history:
        return _two("history, not copied", "", style="dim")
    if row.decided is None:
        return _two("waiting", "")
    attempt = row.decided.attempt
    book = f"book {wording.touch(row.decided.book)}" if row.decided.book else ""
    if attempt.decision is Decision.SKIP:
        return _two(f"SKIP {wording.reason_codes(attempt.reasons)}", book, style="yellow")
    wanted = f"TRADE {wording.shares(attempt.size_shares_target)} limit {wording.price(attempt.limit_price)}"
    return _two(wanted, book, style="cyan")


def _ours(row: _Row) -> Text:
    if not row.filled_shares:
        is_trade = row.decided is not None and row.decided.attempt.decision is Decision.TRADE
        return _two(row.ending or ("resting" if is_trade else ""), "")
    average = row.filled_usdc * MICRO // row.filled_shares
    filled = f"{wording.shares(row.filled_shares)} @ {wording.price(average)} {row.ending}"
    return _two(filled, f"fee {wording.usdc(row.fee_usdc)} slip {row.slip}")


def _position(row: _Row) -> Text:
    if row.position is None or row.net is None:
        return Text("\n")
    return _two(wording.shares(row.position), f"PnL {wording.usdc(row.net)}")
