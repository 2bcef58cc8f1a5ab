"""How good an account is, and whether we could follow it: cash flows in, figures with their uncertainty out.

An account's result is taken by event, from what it paid and received and what its open shares would fetch now, so
that open positions count: a leader who never sells his losers has a hit rate near 100% on closed trades alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Final

from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from copytrade.domain.units import Millis, Ratio, Shares, Usdc

DUST: Final[Shares] = MICRO // 10
"""Shares below a tenth are a rest, not a position (the Data API's own floor)."""
DAY_MS: Final[Millis] = 86_400_000
Z95: Final = 1_960_000
"""Two-sided 95% of the normal distribution, in millionths."""
EVENTS_MIN: Final = 20
"""With fewer events an edge is an anecdote."""
MAKER_SHARE_HIGH: Final[Ratio] = 600_000
BOTH_SIDES_HIGH: Final[Ratio] = 300_000
HOLDING_SHORT_MS: Final[Millis] = 60_000
"""Who is out again within a minute is gone before a copy is in."""
SILENT_MS: Final[Millis] = 14 * DAY_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One thing an account did.

    `event` is the venue's name of what is traded (its markets may be converted into one another), `condition_id` the
    one market. `cash` is what came in (above zero) or was paid, fees included where the venue tells them; `shares` is
    what that did to its shares of `token_id`. A split, a merge or a redemption names no token: theirs is empty.
    """

    event: str
    condition_id: str
    token_id: str
    cash: Usdc
    shares: Shares
    at_ms: Millis
    is_trade: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Open shares of one token and what they would fetch now."""

    event: str
    token_id: str
    shares: Shares
    value: Usdc


@dataclass(frozen=True, slots=True, kw_only=True)
class EventResult:
    """What an account made of one event: `paid` in, `result` out of it, open shares at their value now.

    `is_both_sides` if it bought more than one outcome of one market. `held_ms` is from the first to the last flow,
    None while shares are open.
    """

    event: str
    paid: Usdc
    result: Usdc
    is_open: bool
    is_both_sides: bool
    held_ms: Millis | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A ratio in millionths with the half width of its 95% interval; `samples` is how many it rests on."""

    ratio: Ratio
    half_width: Ratio
    samples: int

    @property
    def low(self) -> Ratio:
        """The lower end."""
        return self.ratio - self.half_width

    @property
    def high(self) -> Ratio:
        """The upper end."""
        return self.ratio + self.half_width


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An account's record over a window; `skipped_events` were entered before it and are left out."""

    events: int
    skipped_events: int
    trades: int
    paid: Usdc
    realized: Usdc
    marked: Usdc
    hit_rate: Ratio | None
    maker_share: Ratio | None
    both_sides_share: Ratio | None
    median_holding_ms: Millis | None
    median_trade: Usdc | None
    last_trade_ms: Millis | None
    edge: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowCost:
    """What following costs us for each USDC, and whose executions that was measured on (`his`, `all`, `books`)."""

    cost: Estimate
    measured_on: str


def event_results(flows: Iterable[Flow], holdings: Iterable[Holding]) -> tuple[list[EventResult], int]:
    """Return the result of each event and how many were left out, for they began before the flows do.

    An event began before if more shares left than ever came, or money came and none was paid: its cost is unknown.
    """
    by_event: dict[str, list[Flow]] = {}
    for flow in sorted(flows, key=lambda flow: flow.at_ms):
        by_event.setdefault(flow.event, []).append(flow)
    held: dict[str, list[Holding]] = {}
    for holding in holdings:
        if holding.shares >= DUST:
            held.setdefault(holding.event, []).append(holding)
    found = [_event_result(event, own, held.get(event, [])) for event, own in by_event.items()]
    results = [one for one in found if one is not None]
    return results, len(found) - len(results)


def _event_result(event: str, flows: Sequence[Flow], held: Sequence[Holding]) -> EventResult | None:
    paid = sum(-flow.cash for flow in flows if flow.cash < 0)
    net: dict[str, Shares] = {}
    bought: dict[str, set[str]] = {}
    for flow in flows:
        if flow.token_id:
            net[flow.token_id] = net.get(flow.token_id, 0) + flow.shares
            if flow.shares > 0:
                bought.setdefault(flow.condition_id, set()).add(flow.token_id)
    is_made_of_nothing = any(shares < -DUST for shares in net.values()) and all(flow.token_id for flow in flows)
    if paid <= 0 or is_made_of_nothing:
        return None
    return EventResult(
        event=event,
        paid=paid,
        result=sum(flow.cash for flow in flows) + sum(holding.value for holding in held),
        is_open=bool(held),
        is_both_sides=any(len(tokens) > 1 for tokens in bought.values()),
        held_ms=None if held else flows[-1].at_ms - flows[0].at_ms,
    )


def record_of(
    flows: Sequence[Flow], holdings: Sequence[Holding], *, maker_usdc: Usdc | None, trade_usdc: Usdc | None = None
) -> Record:
    """Return the record of an account; `maker_usdc` of `trade_usdc` traded were resting orders of his."""
    results, skipped = event_results(flows, holdings)
    trades = [flow for flow in flows if flow.is_trade]
    closed = [one for one in results if not one.is_open]
    return Record(
        events=len(results),
        skipped_events=skipped,
        trades=len(trades),
        paid=sum(one.paid for one in results),
        realized=sum(one.result for one in closed),
        marked=sum(one.result for one in results),
        hit_rate=_share(sum(one.result > 0 for one in results), len(results)),
        maker_share=None if maker_usdc is None else _share(maker_usdc, trade_usdc or 0),
        both_sides_share=_share(sum(one.is_both_sides for one in results), len(results)),
        median_holding_ms=_median([one.held_ms for one in closed if one.held_ms is not None]),
        median_trade=_median([abs(flow.cash) for flow in trades]),
        last_trade_ms=max((flow.at_ms for flow in trades), default=None),
        edge=ratio_estimate([(one.result, one.paid) for one in results]),
    )


def ratio_estimate(pairs: Sequence[tuple[Usdc, Usdc]]) -> Estimate | None:
    """Return sum(numerators) / sum(denominators) with its 95% interval; None without a denominator.

    The variance of a ratio of sums over n clusters: n / (n - 1) * sum((y - r x)^2) / (sum x)^2
    (Cochran, Sampling Techniques, 3rd ed., 6.4). One cluster alone tells nothing: its interval is the ratio 1.
    """
    whole = sum(below for _, below in pairs)
    if whole <= 0:
        return None
    count = len(pairs)
    ratio = sum(above for above, _ in pairs) * MICRO // whole
    if count == 1:
        return Estimate(ratio=ratio, half_width=max(abs(ratio), MICRO), samples=1)
    squares = sum((above * MICRO - ratio * below) ** 2 for above, below in pairs)
    deviation = isqrt(squares * count // (count - 1)) // whole
    return Estimate(ratio=ratio, half_width=deviation * Z95 // MICRO, samples=count)


def copyability(edge: Estimate | None, cost: FollowCost | None) -> Estimate | None:
    """Return his edge less our cost of following it; the intervals add as independent ones do."""
    if edge is None or cost is None:
        return None
    half_width = isqrt(edge.half_width**2 + cost.cost.half_width**2)
    return Estimate(ratio=edge.ratio - cost.cost.ratio, half_width=half_width, samples=edge.samples)


def warnings_of(record: Record, worth: Estimate | None, *, now_ms: Millis) -> tuple[str, ...]:
    """Return what speaks against following, each with its figure; empty if nothing does."""
    found = []
    if record.events == 0:
        found.append("nothing that can be judged: no trades of his in the time")
    elif record.events < EVENTS_MIN:
        found.append(f"only {record.events} events to judge by (fewer than {EVENTS_MIN})")
    if record.edge is not None and record.edge.ratio <= 0:
        found.append(f"he loses: {percent(record.edge.ratio)} of what he pays, open positions counted")
    if worth is not None and worth.ratio <= 0:
        found.append(f"following him costs more than he makes: {percent(worth.ratio)} of each USDC")
    elif worth is not None and worth.low <= 0:
        found.append(f"his edge after our cost may be chance: {percent(worth.low)} to {percent(worth.high)}")
    if is_market_maker(record):
        found.append(
            f"a market maker: {percent(record.maker_share or 0)} of his volume rests, "
            f"and he bought both sides in {percent(record.both_sides_share or 0)} of his events"
        )
    elif (record.maker_share or 0) > MAKER_SHARE_HIGH:
        found.append(f"{percent(record.maker_share or 0)} of his volume are resting orders: he is paid to wait, we pay")
    elif (record.both_sides_share or 0) > BOTH_SIDES_HIGH:
        found.append(f"he bought both sides in {percent(record.both_sides_share or 0)} of his events")
    if record.median_holding_ms is not None and record.median_holding_ms < HOLDING_SHORT_MS:
        found.append(f"he holds for {record.median_holding_ms // 1000} s (median): too short to follow")
    if record.last_trade_ms is not None and now_ms - record.last_trade_ms > SILENT_MS:
        found.append(f"silent for {(now_ms - record.last_trade_ms) // DAY_MS} days")
    return tuple(found)


def is_market_maker(record: Record) -> bool:
    """Tell whether an account mostly rests orders and often takes both sides of a market."""
    return (record.maker_share or 0) > MAKER_SHARE_HIGH and (record.both_sides_share or 0) > BOTH_SIDES_HIGH


def median_depth_share(trades: Mapping[str, Sequence[Usdc]], depths: Mapping[str, Usdc]) -> Ratio | None:
    """Return the median of each token's median trade against the depth of its book now, in millionths."""
    shares = [
        median * MICRO // depths[token_id]
        for token_id, sizes in trades.items()
        if depths.get(token_id, 0) > 0 and (median := _median(list(sizes))) is not None
    ]
    return _median(shares)


def percent(ratio: Ratio) -> str:
    """Return a ratio as a signed percentage with one decimal."""
    sign = "-" if ratio < 0 else ""
    tenths = abs(ratio) * 1000 // MICRO
    return f"{sign}{tenths // 10}.{tenths % 10}%"


def _share(part: int, whole: int) -> Ratio | None:
    return part * MICRO // whole if whole > 0 else None


def _median(values: Sequence[int]) -> int | None:
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2] if ordered else None
