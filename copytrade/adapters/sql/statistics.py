"""How well copying works, in figures: latencies, rates, slippage, what was lost and where, markouts.

Plain rows, ready for JSON: times in milliseconds, slippage and losses in basis points of the leader's price with plus
worse for us, gains in those of ours, money as decimal text. A latency may be negative: a block can be told before its
stamp.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, and_, or_, select

from copytrade.adapters.sql.race import races
from copytrade.adapters.sql.statements import chunks
from copytrade.adapters.sql.story_tables import LOSS_PARTS, attempt_attribution, fill_markout
from copytrade.adapters.sql.tables import execution_fill
from copytrade.adapters.sql.views import attempt_summary
from copytrade.domain.attempts import AttemptStatus, Decision, Settlement
from copytrade.domain.attribution import markout
from copytrade.domain.fills import Side
from copytrade.domain.markouts import HORIZONS
from copytrade.domain.percentiles import percentile
from copytrade.domain.units import BPS, MICRO, format_micro, price_half_up

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from copytrade.adapters.sql.engine import Database
    from copytrade.adapters.sql.plain import PlainRow
    from copytrade.domain.units import Millis, Price, Usdc

ATTEMPTS_MAX: Final = 100_000
"""So many of the newest attempts are counted."""
LATENCIES: Final = ("detect", "decide", "place", "first_fill", "done", "total")
"""Each from the stage before, `total` from the block's stamp to our first fill."""
PERCENTILES: Final = (50, 95, 99)
SLIPPAGE_EDGES_BPS: Final = (-200, -100, -50, -20, -5, 5, 20, 50, 100, 200, 500)
LOST_BPS: Final = (*(part for part in LOSS_PARTS if part not in {"unknown", "cost"}), "fee", "cost")
"""The stretches of the way whose losses are told by attempt, for a share, against the leader's price."""
BOOK_AGE: Final = '"book_age_ms": "'
"""How reasons are stored: the numbers of one are texts in one form, and to parse them all takes ten times as long."""
ROWS_AT_ONCE: Final = 2_000
MARKS: Final = {**{horizon: f"mid_{horizon}" for horizon in HORIZONS}, "resolution": "payout"}


@dataclass(slots=True)
class _Group:
    """The attempts of one leader in one role, or of several of these added up."""

    counts: Counter[str] = field(default_factory=Counter)
    latencies: defaultdict[str, list[Millis]] = field(default_factory=lambda: defaultdict(list))
    slippage_bps: list[int] = field(default_factory=list)
    book_ages: list[Millis] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    lost_bps: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    gained_bps: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    gained: Counter[str] = field(default_factory=Counter)
    marked: Counter[str] = field(default_factory=Counter)

    def take(self, row: Any) -> None:
        """Count one attempt."""
        self.counts["attempts"] += 1
        self.counts[_disposition(row)] += 1
        for name in LATENCIES:
            if (latency := getattr(row, f"{name}_ms")) is not None:
                self.latencies[name].append(latency)
        if (age_ms := _book_age_ms(row)) is not None:
            self.book_ages.append(age_ms)
        if row.slippage_bps is not None:
            self.slippage_bps.append(row.slippage_bps // MICRO)
        if row.cost_usdc is not None:
            self.counts["attributed"] += 1
            for part in (*LOSS_PARTS, "fee", "filled"):
                self.lost[part] += getattr(row, f"{part}_usdc") or 0
            for part in LOST_BPS:
                if (lost := _lost_price(row, part)) is not None:
                    self.lost_bps[part].append(round(lost * BPS / row.his_price))

    def add(self, other: _Group) -> None:
        """Count everything another group counted."""
        for name in ("counts", "lost", "gained", "marked"):
            getattr(self, name).update(getattr(other, name))
        for name in ("latencies", "lost_bps", "gained_bps"):
            for key, values in getattr(other, name).items():
                getattr(self, name)[key] += values
        self.slippage_bps += other.slippage_bps
        self.book_ages += other.book_ages


class SqlStatistics:
    """Read models over an open database; nothing here writes or waits for writers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def figures(self, *, now_ms: Millis, since_ms: Millis | None = None, leader: str | None = None) -> PlainRow:
        """Return every figure of the attempts decided since then; `leader` is an address or a label."""
        return await self._database.read(partial(_figures, now_ms=now_ms, since_ms=since_ms, leader=leader))


def _figures(connection: Connection, *, now_ms: Millis, since_ms: Millis | None, leader: str | None) -> PlainRow:
    groups: dict[tuple[str, str], _Group] = defaultdict(_Group)
    labels: dict[str, str] = {}
    trades: dict[UUID, _Group] = {}
    for row in _attempts(connection, since_ms=since_ms, leader=leader):
        group = groups[row.leader_address, row.leader_role]
        group.take(row)
        labels[row.leader_address] = row.leader_label
        if row.decision == Decision.TRADE:
            trades[row.attempt_id] = group
    _take_marks(connection, trades)
    sources, sources_by_role = races(connection, now_ms=now_ms)
    return {
        "attempts_max": ATTEMPTS_MAX,
        "all": _plain(groups.values()),
        "by_role": {role: _plain(one for key, one in groups.items() if key[1] == role) for role in _second(groups)},
        "by_leader": [
            {
                "leader": address,
                "label": labels[address],
                **_plain(one for key, one in groups.items() if key[0] == address),
            }
            for address in sorted(labels)
        ],
        "sources": sources,
        "sources_by_role": sources_by_role,
    }


def _second(groups: Iterable[tuple[str, str]]) -> list[str]:
    return sorted({role for _, role in groups})


def _attempts(connection: Connection, *, since_ms: Millis | None, leader: str | None) -> Iterable[Any]:
    """Stream attempts, newest first, with what they cost."""
    view, noted = attempt_summary.c, attempt_attribution.c
    told = [view[name] for name in ("attempt_id", "leader_address", "leader_label", "leader_role", "decision",
                                    "status", "created_at", "slippage_bps", "decision_reason")]  # fmt: skip
    latencies = [view[f"{name}_ms"] for name in LATENCIES]
    lost = [noted[f"{part}_usdc"] for part in (*LOSS_PARTS, "fee", "filled")]
    lost += [noted[f"{part}_price"] for part in LOST_BPS if part != "fee"]
    of_what = (noted.leader_price.label("his_price"), noted.filled_shares.label("attributed_shares"))
    statement = (
        select(*told, *latencies, *lost, *of_what, view.filled_shares)
        .join_from(attempt_summary, attempt_attribution, noted.attempt_id == view.attempt_id, isouter=True)
        .order_by(view.created_at.desc())
        .limit(ATTEMPTS_MAX)
    )
    if since_ms is not None:
        statement = statement.where(view.created_at >= since_ms)
    if leader is not None:
        statement = statement.where(or_(view.leader_address == leader.lower(), view.leader_label == leader))
    return connection.execute(statement, execution_options={"yield_per": ROWS_AT_ONCE})


def _take_marks(connection: Connection, trades: dict[UUID, _Group]) -> None:
    """Add up what each fill had gained at each horizon it is known for."""
    mark, fill = fill_markout.c, execution_fill.c
    marks = [mark[name] for name in MARKS.values()]
    statement = (
        select(fill.attempt_id, fill.side, fill.filled_shares, fill.fill_price, *marks)
        .join_from(fill_markout, execution_fill, and_(fill.attempt_id == mark.attempt_id, fill.fill_at == mark.fill_at))
        .where(fill.settlement != Settlement.FAILED)
    )
    for ids in chunks(trades):
        for row in connection.execute(statement.where(mark.attempt_id.in_(ids))):
            _take_gains(trades[row.attempt_id], row)


def _take_gains(group: _Group, row: Any) -> None:
    for name, column in MARKS.items():
        if (price := getattr(row, column)) is not None:
            gained = markout(Side(row.side), price=row.fill_price, mark=price)
            group.gained[name] += row.filled_shares * gained // MICRO
            group.gained_bps[name].append(round(gained * BPS / row.fill_price))
            group.marked[name] += 1


def _lost_price(row: Any, part: str) -> Price | None:
    """Return what one stretch of the way lost for each share, None where an end of it is not known."""
    if part == "fee":
        return price_half_up(row.fee_usdc, row.attributed_shares) if row.attributed_shares else None
    lost: Price | None = getattr(row, f"{part}_price")
    return lost


def _book_age_ms(row: Any) -> Millis | None:
    """Return how old the book was on which an order was decided, None where its reasons do not say."""
    if row.decision != Decision.TRADE:
        return None
    _, mark, rest = row.decision_reason.partition(BOOK_AGE)
    return int(rest.partition('"')[0]) if mark else None


def _disposition(row: Any) -> str:
    """Return what an attempt ended as, in the words of the figures."""
    if row.decision == Decision.SKIP:
        return "skips"
    if row.status == AttemptStatus.FILLED:
        return "filled"
    if row.status in (AttemptStatus.CANCELED, AttemptStatus.FAILED):
        kind = "unfilled" if row.status == AttemptStatus.CANCELED else "failed"
        return "partial" if row.filled_shares else kind
    return "open"


def _plain(groups: Iterable[_Group]) -> PlainRow:
    whole = _Group()
    for group in groups:
        whole.add(group)
    ended = sum(whole.counts[name] for name in ("filled", "partial", "unfilled", "failed"))
    gained = {name: {"fills": whole.marked[name], "usdc": format_micro(whole.gained[name])} for name in MARKS}
    return {
        "attempts": whole.counts["attempts"],
        "trades": ended + whole.counts["open"],
        **{name: whole.counts[name] for name in ("skips", "filled", "partial", "unfilled", "failed", "open")},
        "fill_rate": _share(whole.counts["filled"], ended),
        "partial_rate": _share(whole.counts["partial"], ended),
        "latency_ms": {name: _spread(whole.latencies[name]) for name in LATENCIES},
        "book_age_ms": _spread(whole.book_ages),
        "slippage_bps": _spread(whole.slippage_bps) | {"histogram": _histogram(whole.slippage_bps)},
        "lost_usdc": {part: format_micro(whole.lost[part]) for part in (*LOSS_PARTS, "fee", "filled")}
        | {"attempts": whole.counts["attributed"], "cost_bps": _bps(whole.lost["cost"], whole.lost["filled"])},
        "lost_bps": {part: _spread(whole.lost_bps[part]) for part in LOST_BPS},
        "gained_usdc": gained,
        "gained_bps": {name: _spread(whole.gained_bps[name]) for name in MARKS},
    }


def _spread(values: list[int]) -> PlainRow:
    """Return how many values there are and their percentiles, none of nothing."""
    ordered = sorted(values)
    return {"n": len(ordered)} | {f"p{one}": percentile(ordered, one) if ordered else None for one in PERCENTILES}


def _histogram(values_bps: list[int]) -> list[PlainRow]:
    """Return how many values are at or below each edge and above the one before; the last row has no edge."""
    counts = Counter(next((edge for edge in SLIPPAGE_EDGES_BPS if bps <= edge), None) for bps in values_bps)
    return [{"up_to": edge, "n": counts[edge]} for edge in (*SLIPPAGE_EDGES_BPS, None)]


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _bps(lost: Usdc, filled: Usdc) -> int | None:
    return round(lost * BPS / filled) if filled else None
