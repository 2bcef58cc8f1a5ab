"""Keeps what is at stake in step with the ledger: orders reserved, executions, settlements, and the same at a start."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import OPEN_STATUSES
from copytrade.domain.exposure import Exposure, Result
from copytrade.domain.fills import Side
from copytrade.domain.ids import leader_id
from copytrade.domain.positions import Position, apply_fill, apply_settlement
from copytrade.domain.scopes import Line, Scope, group_of
from copytrade.domain.settlement import MIGRATIONS, PositionSettlement, SettlementKind
from copytrade.domain.units import notional_down, notional_up

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill
    from copytrade.domain.leaders import Leader
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis, Usdc
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.risk import CopiedExecution
    from copytrade.ports.stake_memory import KeptStakes

NOBODY: Final = ""
"""The leader of shares whose leader is not known any more."""
LEADERS_KEPT_MAX: Final = 10_000
"""Attempts whose leader is remembered; those that are open are never forgotten."""


class AtStake:
    """What one strategy has at stake on one account, counted into an exposure that others may share."""

    def __init__(self, *, strategy_id: str, account_id: str, exposure: Exposure) -> None:
        self._owner = (strategy_id, account_id)
        self._leaders: OrderedDict[UUID, str] = OrderedDict()
        self._addresses: dict[UUID, str] = {}
        self._open: set[UUID] = set()
        self._exits: dict[UUID, tuple[Millis, Usdc]] = {}
        self._day_started_ms: Millis = 0
        self._take_result: Callable[[Result], None] = exposure.results.append
        self.exposure = exposure

    @property
    def owner(self) -> Scope:
        """Whose money this is."""
        return Scope(*self._owner)

    async def load(
        self, ledger: Ledger, *, day_started_ms: Millis, results_since_ms: Millis, entries_since_ms: Millis
    ) -> None:
        """Count again what an earlier life of the process left: call it once, before anything else."""
        self._day_started_ms = day_started_ms
        self.know(await ledger.leaders())
        attempts = await ledger.copied_attempts(*self._owner, since_ms=entries_since_ms)
        since_ms = min(day_started_ms, results_since_ms)
        kept = {one.token_id: one for one in await ledger.kept_stakes(*self._owner, since_ms=since_ms)}
        after = {token_id: one.ordinal for token_id, one in kept.items()}
        moves = await ledger.copied_moves(*self._owner, since_ms=since_ms, after=after)
        tokens = {copied.attempt.token_id for copied in attempts} | {move.token_id for move in moves} | kept.keys()
        markets = await ledger.markets_of(tokens)
        for copied in attempts:
            self.reserve(copied.attempt, leader=copied.leader, market=markets.get(copied.attempt.token_id))
        past: list[Result] = []
        self._take_result = past.append
        positions = {token_id: self.restore(one) for token_id, one in kept.items()}
        for move in moves:
            before = positions.get(move.token_id, self.empty(move.token_id))
            positions[move.token_id] = self.count(move, before)
        for attempt_id in [exit_ for exit_ in self._exits if exit_ not in self._open]:
            self._end_exit(attempt_id)
        self._take_result = self.exposure.results.append
        self.exposure.results.extend(sorted(result for result in past if result.at_ms >= results_since_ms))
        self.map_tokens(markets.get, self.exposure.tokens())

    def know(self, leaders: Iterable[Leader]) -> None:
        """Learn who is behind the ids of settlements."""
        self._addresses.update((leader.id, leader.address) for leader in leaders)

    def restore(self, kept: KeptStakes) -> Position:
        """Count a position as it was kept, before anything that moved it later; return it as it was."""
        for leader, shares, cost in kept.parts:
            self.exposure.came(self._line(kept.token_id, leader), shares=shares, cost=cost)
        self.exposure.hold_at(self.owner, kept.token_id, kept.at_stake_usdc)
        return replace(self.empty(kept.token_id), shares=kept.shares, cost_usdc=kept.cost_usdc)

    def count(self, move: CopiedExecution | PositionSettlement, before: Position) -> Position:
        """Count what moved a position once, by what the position was before it; return it as it is after."""
        if isinstance(move, PositionSettlement):
            after = apply_settlement(before, move)
            self.settled(move, after)
            return after
        after = apply_fill(before, move.fill)
        self._remember_leader(move.fill.attempt_id, move.leader)
        self.executed(move.fill, before, after)
        return after

    def reserve(self, attempt: ExecutionAttempt, *, leader: str, market: Market | None) -> bool:
        """Count a buy as decided and, while it is open, as filled at worst; False if it was counted before."""
        self._remember_leader(attempt.id, leader)
        if attempt.status in OPEN_STATUSES:
            self._open.add(attempt.id)
        if attempt.side is not Side.BUY:
            return False
        line = self._line(attempt.token_id, leader)
        if attempt.status in OPEN_STATUSES:
            if market is not None:
                self.exposure.map_token(attempt.token_id, group_of(market))
            self.exposure.open_order(
                attempt.id,
                line,
                shares=attempt.size_shares_target,
                limit=attempt.limit_price,
                fees=None if market is None else market.fees,
            )
        return self.exposure.count_entry(attempt.id, line, at_ms=attempt.decided_at_ms)

    def release(self, attempt_id: UUID, *, is_counted: bool) -> None:
        """Take back what was reserved, and with `is_counted` that it was decided."""
        self._open.discard(attempt_id)
        self.exposure.close_order(attempt_id)
        if is_counted:
            self.exposure.discount_entry(attempt_id)

    def ended(self, attempt_id: UUID) -> None:
        """Free what an order that is over did not use; an exit is a result now."""
        self._open.discard(attempt_id)
        self.exposure.close_order(attempt_id)
        if attempt_id in self._exits:
            self._end_exit(attempt_id)

    def executed(self, fill: ExecutionFill, before: Position, after: Position) -> None:
        """Count an execution by the position before and after it."""
        is_today = fill.fill_at_ms >= self._day_started_ms
        line = self._line(fill.token_id, self._leaders.get(fill.attempt_id, NOBODY))
        if fill.side is Side.BUY:
            cost = notional_up(fill.shares, fill.price)
            self.exposure.bought(
                fill.attempt_id, line, shares=fill.shares, cost=cost, fee=fill.fee_usdc, is_today=is_today
            )
            return
        net = notional_down(fill.shares, fill.price) - fill.fee_usdc
        self.exposure.went(line, shares=fill.shares, net=net, cost_left=after.cost_usdc, is_today=is_today, is_his=True)
        realized = after.realized_pnl_usdc - before.realized_pnl_usdc - fill.fee_usdc
        _, earlier = self._exits.get(fill.attempt_id, (0, 0))
        self._exits[fill.attempt_id] = (fill.fill_at_ms, earlier + realized)

    def voided(self, fill: ExecutionFill, before: Position, after: Position) -> None:
        """Take an execution back that turned out void; what it spent today stays counted, to be safe."""
        line = self._line(fill.token_id, self._leaders.get(fill.attempt_id, NOBODY))
        if fill.side is Side.SELL:
            self.exposure.came(line, shares=fill.shares, cost=max(0, after.cost_usdc - before.cost_usdc))
            return
        cost = notional_up(fill.shares, fill.price)
        self.exposure.went(line, shares=fill.shares, net=cost, cost_left=after.cost_usdc, is_today=False, is_his=True)

    def settled(self, settlement: PositionSettlement, after: Position) -> None:
        """Count shares that left a position, or came to it, other than by an execution."""
        token_id = settlement.token_id
        if settlement.kind is SettlementKind.MIGRATION_IN:
            for part in settlement.parts:
                line = self._line(token_id, self._addresses.get(part.leader_id, NOBODY))
                self.exposure.came(line, shares=part.shares, cost=part.cost_usdc)
            return
        # A token that is renamed takes its cost along: nothing is lost with it.
        is_renamed = settlement.kind in MIGRATIONS
        self.exposure.went(
            self._line(token_id, NOBODY),
            shares=settlement.shares,
            net=settlement.proceeds_usdc,
            cost_left=after.cost_usdc,
            is_today=settlement.at_ms >= self._day_started_ms and not is_renamed,
            is_his=False,
        )
        if not is_renamed:
            leaders = [self._addresses.get(part.leader_id, NOBODY) for part in settlement.parts]
            everything, owner, _ = self._line(token_id, NOBODY).scopes
            scopes = (everything, owner, *(Scope(leader=leader) for leader in leaders if leader))
            self._take_result(Result(settlement.at_ms, settlement.realized_pnl_usdc, scopes))

    def start_day(self, started_ms: Millis) -> None:
        """Count what is spent and earned from now on as another day's, if it is one."""
        if started_ms != self._day_started_ms:
            self._day_started_ms = started_ms
            self.exposure.start_day()

    def map_tokens(self, market_of: Callable[[str], Market | None], token_ids: Collection[str]) -> None:
        """Say, or say anew, where tokens belong."""
        for token_id in token_ids:
            if (market := market_of(token_id)) is not None:
                self.exposure.map_token(token_id, group_of(market))

    def _line(self, token_id: str, leader: str) -> Line:
        return Line(*self._owner, leader, token_id)

    def empty(self, token_id: str) -> Position:
        """Return a position of a token that nothing has moved."""
        strategy_id, account_id = self._owner
        return Position(strategy_id=strategy_id, account_id=account_id, token_id=token_id)

    def _end_exit(self, attempt_id: UUID) -> None:
        at_ms, net = self._exits.pop(attempt_id)
        line = self._line("", self._leaders.get(attempt_id, NOBODY))
        self._take_result(Result(at_ms, net, line.scopes))

    def _remember_leader(self, attempt_id: UUID, leader: str) -> None:
        """Keep whose fill an attempt follows, also beyond its end: a late execution must find it."""
        self._leaders[attempt_id] = leader
        self._addresses[leader_id(leader)] = leader
        if len(self._leaders) <= LEADERS_KEPT_MAX + len(self._open):
            return
        # Open ones go to the end, so that the next look does not meet all of them again.
        while (oldest := next(iter(self._leaders))) in self._open:
            self._leaders.move_to_end(oldest)
        del self._leaders[oldest]
