"""What is at stake, worked out anew from a ledger's rows with fractions: slow, plain, and on its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias
from uuid import UUID

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import OPEN_STATUSES, Decision, ExecutionAttempt, ExecutionFill
from copytrade.domain.fills import Side
from copytrade.domain.market import Market
from copytrade.domain.positions import Position
from copytrade.domain.risk import Limit, LimitName
from copytrade.domain.scopes import Scope
from copytrade.domain.settlement import PositionSettlement, split_exactly

MICRO = 1_000_000

Owner: TypeAlias = tuple[str, str, str]


@dataclass(slots=True, kw_only=True)
class Stake:
    """One leader's part of one token: what is held and what may still be bought."""

    leader: str
    market: Market
    shares: int = 0
    cost: Fraction = Fraction(0)
    in_flight: Fraction = Fraction(0)
    orders: int = 0


@dataclass(slots=True, kw_only=True)
class Stakes:
    """Everything that limits are about: by leader and token, and by token alone, where a position has its own cost."""

    by_line: dict[tuple[str, str], Stake] = field(default_factory=dict)
    by_token: dict[str, Stake] = field(default_factory=dict)
    spent: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    largest_order: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    net: dict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    """What copying a leader has realised today, less every fee."""

    def of(self, scope: Scope) -> list[Stake]:
        """Return the stakes of a scope; all are of one strategy on one account."""
        if not scope.leader:
            return list(self.by_token.values())
        return [stake for (leader, _), stake in self.by_line.items() if leader == scope.leader]


def stakes_of(ledger: MemoryLedger, market_of: Callable[[str], Market], *, day_started_ms: int = 0) -> Stakes:
    """Fold everything that moved a position and add what open orders may still cost."""
    leaders = {
        attempt.id: ledger.stored[attempt.leader_fill_id].recorded.fill.leader for attempt in ledger._attempts.values()
    }
    rows = Rows(attempts=ledger._attempts, leaders=leaders, entries=ledger._entries, positions=ledger._positions)
    return stakes_from(rows, market_of, day_started_ms=day_started_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What stakes are worked out from; `leaders` by attempt, entries and positions by owner and token."""

    attempts: Mapping[UUID, ExecutionAttempt]
    leaders: Mapping[UUID, str]
    entries: Mapping[Owner, Sequence[ExecutionFill | PositionSettlement]]
    positions: Mapping[Owner, Position]


def stakes_from(rows: Rows, market_of: Callable[[str], Market], *, day_started_ms: int = 0) -> Stakes:
    """Do the same from any ledger's rows."""
    found = Stakes()
    leaders = rows.leaders
    for (_, _, token_id), entries in rows.entries.items():
        for entry in entries:
            if isinstance(entry, PositionSettlement):
                is_today = entry.at_ms >= day_started_ms
                net = entry.proceeds_usdc if is_today else None
                _lessen(found, token_id, entry.shares, first=None, net=net)
                continue
            leader = leaders[entry.attempt_id]
            is_today = entry.fill_at_ms >= day_started_ms
            if entry.side is Side.BUY:
                cost = -(-entry.shares * entry.price // MICRO)
                mine = _line(found, leader, token_id, market_of)
                mine.shares += entry.shares
                mine.cost += cost
                if is_today:
                    found.spent[leader] += cost + entry.fee_usdc
                    found.net[leader] -= entry.fee_usdc
            else:
                net = entry.shares * entry.price // MICRO - entry.fee_usdc
                _lessen(found, token_id, entry.shares, first=leader, net=net if is_today else None)
    for position in rows.positions.values():
        held = Stake(leader="", market=market_of(position.token_id))
        held.shares, held.cost = position.shares, Fraction(position.cost_usdc)
        found.by_token[position.token_id] = held
    for attempt in rows.attempts.values():
        if attempt.decision is not Decision.TRADE or attempt.side is not Side.BUY:
            continue
        leader = leaders[attempt.id]
        market = market_of(attempt.token_id)
        whole = most(attempt, attempt.size_shares_target, market)
        found.largest_order[leader] = max(found.largest_order[leader], whole)
        if attempt.status in OPEN_STATUSES:
            token = found.by_token.setdefault(attempt.token_id, Stake(leader="", market=market))
            for stake in (_line(found, leader, attempt.token_id, market_of), token):
                stake.in_flight += most(attempt, attempt.size_shares_target - attempt.filled_shares, market)
                stake.orders += 1
    return found


def _line(found: Stakes, leader: str, token_id: str, market_of: Callable[[str], Market]) -> Stake:
    return found.by_line.setdefault((leader, token_id), Stake(leader=leader, market=market_of(token_id)))


def most(attempt: ExecutionAttempt, shares: int, market: Market) -> Fraction:
    """Return the most that so many of an attempt's shares can cost: at its limit, with the fee where it is highest."""
    price = Fraction(min(attempt.limit_price, MICRO // 2), MICRO)
    rate = Fraction(market.fees.rate, MICRO)
    fee = shares * rate * (price * (1 - price)) ** market.fees.exponent
    return Fraction(shares * attempt.limit_price, MICRO) + fee


def _lessen(found: Stakes, token_id: str, shares: int, *, first: str | None, net: int | None) -> None:
    """Take shares from the leader who sold, then from the others share by share as their parts ask."""
    ours = {leader: stake for (leader, token), stake in found.by_line.items() if token == token_id and stake.shares}
    gone = dict.fromkeys(ours, 0)
    if first in ours:
        gone[first] = min(ours[first].shares, shares)
    left = {leader: stake.shares - gone[leader] for leader, stake in ours.items()}
    rest = shares - sum(gone.values())
    if rest and sum(left.values()):
        for leader, part in split_exactly(rest, left).items():
            gone[leader] += part
    for leader, part in gone.items():
        stake = ours[leader]
        cost = stake.cost * part / stake.shares
        if net is not None:
            found.net[leader] += Fraction(net * part, shares) - cost
        stake.shares -= part
        stake.cost -= cost


def breaches(found: Stakes, limits: Iterator[Limit]) -> Iterator[str]:
    """Yield each limit that is passed."""
    for name, scope, value in limits:
        for what, amount in _measures(found, name, scope):
            if amount > value:
                yield f"{name} {scope} {what}: {float(amount)} of {value}"


def _measures(found: Stakes, name: LimitName, scope: Scope) -> Iterator[tuple[str, Fraction | int]]:
    stakes = found.of(scope)
    leaders = [leader for leader in {*found.spent, *found.largest_order} if scope.leader in {"", leader}]
    match name:
        case LimitName.MAX_USDC_PER_TRADE:
            yield from ((leader, found.largest_order[leader]) for leader in leaders)
        case LimitName.MAX_OPEN_USDC:
            yield "all", sum(stake.cost + stake.in_flight for stake in stakes)
        case LimitName.MAX_USDC_PER_LEADER:
            yield from _sums(_lines(found, scope), lambda stake: stake.leader)
        case LimitName.MAX_USDC_PER_MARKET:
            yield from _sums(stakes, lambda stake: stake.market.condition_id)
        case LimitName.MAX_USDC_PER_EVENT:
            yield from _sums(stakes, lambda stake: stake.market.event_slug)
        case LimitName.MAX_USDC_PER_CATEGORY:
            yield from _sums(stakes, lambda stake: stake.market.category)
        case LimitName.MAX_USDC_PER_DAY:
            spent = sum(found.spent[leader] for leader in leaders)
            yield "day", spent + sum(stake.in_flight for stake in stakes)
        case LimitName.LEADER_BUDGET_USDC:
            at_stake = dict(_sums(_lines(found, scope), lambda stake: stake.leader))
            yield from ((leader, amount + max(0, -found.net[leader])) for leader, amount in at_stake.items())
        case LimitName.MAX_OPEN_POSITIONS:
            yield "positions", sum(bool(stake.shares or stake.orders) for stake in stakes)
        case _:
            return


def _lines(found: Stakes, scope: Scope) -> list[Stake]:
    return [stake for (leader, _), stake in found.by_line.items() if scope.leader in {"", leader}]


def _sums(stakes: list[Stake], key: Callable[[Stake], str]) -> Iterator[tuple[str, Fraction]]:
    sums: dict[str, Fraction] = defaultdict(Fraction)
    for stake in stakes:
        sums[key(stake)] += stake.cost + stake.in_flight
    yield from sums.items()
