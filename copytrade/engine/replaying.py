"""Playing a recorded session again: the same decisions' facts and the same books, through the real stages."""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from copytrade.domain.attempts import Settlement
from copytrade.domain.book import tier_of
from copytrade.domain.copy_rules import own_rules, parse_rule, rules_of, write_rule
from copytrade.domain.positions import Position, apply_fill, apply_settlement, cost_of
from copytrade.domain.settlement import SettlementKind
from copytrade.engine.decide import Decide, Waits
from copytrade.engine.inbox import Inbox
from copytrade.engine.nobody import Nobody
from copytrade.engine.session import (
    Began,
    BookAged,
    BookEntry,
    BookGone,
    BookMoved,
    BookShown,
    Closed,
    Ended,
    Filled,
    Gathered,
    Held,
    Made,
    Placed,
    Printed,
    Remembered,
    Removed,
    Resolved,
    Settled,
    TapeEntry,
    TickChanged,
)
from copytrade.ports.leader_fills import FillsRemoved, LogRef
from copytrade.ports.ledger import Booked

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.settlement import PositionSettlement
    from copytrade.domain.units import Millis
    from copytrade.engine.account import Account
    from copytrade.engine.execute import Execute
    from copytrade.engine.portfolio import Portfolio
    from copytrade.engine.replayed_ledger import Gates
    from copytrade.engine.session import Entry, Outcome
    from copytrade.ports.execution import ExecutionAdapter
    from copytrade.ports.recording import PlayedBooks, PlayedClock, PlayedLedger
    from copytrade.strategies.copy import CopyFacts

OWN_FACTS: Final = frozenset({"held", "carry", "may_carry", "order", "last_entry_ms", "bankroll"})
"""Facts of a decision that follow from what we did before; all others are the world's."""
WRITTEN_WITHIN_MS: Final = 2_000
"""How long after it came to stand a state of a book may be written."""


class ReplayedDecide(Decide):
    """Decides on the facts of the session, but for those that follow from what we did before."""

    def __init__(self, *, fresh_ms: Millis, stale_ms: Millis, **stage: Any) -> None:
        nobody: Any = Nobody("a replay")
        waits = Waits(unmapped_ms=0, book_ms=0)
        asked = ("roll", "registry", "books", "leader_events", "leader_values")
        world = dict.fromkeys(asked, nobody)
        super().__init__(waits=waits, inbox=Inbox(), **world, **stage)
        self._fresh_ms = fresh_ms
        self._stale_ms = stale_ms
        self._given: dict[UUID, CopyFacts] = {}

    async def decide_on(self, recorded: RecordedFill, facts: CopyFacts) -> None:
        """Give one fill its attempt on these facts."""
        self._given[recorded.id] = facts
        await self.decide(recorded)

    async def _gather(self, recorded: RecordedFill) -> CopyFacts:
        facts = _by_its_rules(self._given.pop(recorded.id))
        view = facts.view
        if view is not None:
            tier = tier_of(view.age_ms, fresh_ms=self._fresh_ms, stale_ms=self._stale_ms)
            view = replace(view, tier=tier)
        bankroll = facts.bankroll
        if bankroll is not None:
            ours = rules_of(facts.leader, self._rules).bankroll_usdc + self._portfolio.net_pnl_usdc()
            bankroll = replace(bankroll, ours=ours)
        return replace(
            facts,
            view=view,
            held=self._portfolio.sellable(recorded.fill.token_id),
            carry=self._copied.carry_of(recorded),
            may_carry=self._copied.may_carry(recorded),
            order=self._copied.order_so_far(facts.fill, now_ms=facts.now_ms),
            last_entry_ms=self._copied.last_entry_ms(recorded),
            bankroll=bankroll,
        )


class Replay:
    """Plays entries in their order, at their times."""

    def __init__(
        self,
        *,
        decide: ReplayedDecide,
        execute: Execute,
        account: Account,
        executor: ExecutionAdapter,
        portfolio: Portfolio,
        ledger: PlayedLedger,
        remember: Callable[[Remembered], None],
        books: PlayedBooks,
        gates: Gates,
        clock: PlayedClock,
    ) -> None:
        self._decide = decide
        self._execute = execute
        self._account = account
        self._executor = executor
        self._portfolio = portfolio
        self._ledger = ledger
        self._remember = remember
        self._books = books
        self._gates = gates
        self._clock = clock
        self._tokens: dict[int, str] = {}
        self._left_open: dict[UUID, ExecutionAttempt] = {}
        self._booked: set[str] = set()
        self._removed: set[LogRef] = set()

    async def run(self, entries: Iterable[Entry], *, cancels: Iterable[Closed] = ()) -> None:
        """Play all entries; `cancels` are endings of the session that we asked for ourselves."""
        async with asyncio.TaskGroup() as tasks:
            running: set[asyncio.Task[None]] = set()

            def start(work: Coroutine[Any, Any, None], name: str) -> None:
                task = tasks.create_task(work, name=name)
                running.add(task)
                task.add_done_callback(running.discard)

            start(self._executor.run(), "executor")
            start(self._account.run(), "account")
            start(self._execute.run(), "execute")
            for one in cancels:
                start(self._cancel(one), "cancel")
            for entry in entries:
                await self._clock.until(entry.at_ms)
                if isinstance(entry, Gathered):
                    self._ledger.hold_fill(entry.recorded)
                    await self._take_away_again(entry.recorded)
                    start(self._decide.decide_on(entry.recorded, entry.facts), f"decide-{entry.recorded.id}")
                await self._play(entry)
            for task in running:
                task.cancel()

    async def _play(self, entry: Entry) -> None:
        match entry:
            case BookShown() | BookMoved() | BookGone() | BookAged():
                self._show(entry)
                return
            case Printed() | TickChanged() | Resolved():
                self._books.tell(entry.condition_id, entry.told, at_ms=entry.at_ms)
                return
            case Made() | Placed() | Filled() | Closed():
                self._end_of_earlier(entry)
                await self._gates.open(entry)
            case Held():
                await self._hold(entry)
            case Remembered():
                self._remember(entry)
                await self._decide.load()
            case Settled(settlements=settlements):
                for settlement in settlements:
                    self._settle(settlement)
            case Removed(removed=removed):
                self._removed.update(removed.logs)
                orphaned = await self._ledger.orphan(removed, now_ms=self._clock.now_ms())
                for attempt in orphaned.cancelled:
                    self._portfolio.follow(attempt)
            case Gathered() | Began() | Ended():
                pass
        await self._clock.settled()

    def _show(self, entry: BookEntry) -> None:
        match entry:
            case BookShown(token=token, token_id=token_id, levels=levels, venue_ts_ms=stamp, at_ms=at_ms):
                self._tokens[token] = token_id
                self._books.show(token_id, dict(_pairs(levels)), venue_ts_ms=stamp, at_ms=at_ms)
            case BookMoved(token=token, changes=changes, venue_ts_ms=stamp, at_ms=at_ms):
                self._books.move(self._tokens[token], _pairs(changes), venue_ts_ms=stamp, at_ms=at_ms)
            case BookGone(token=token, at_ms=at_ms):
                self._books.lose(self._tokens[token], at_ms=at_ms)
            case BookAged():
                pass  # The books were told before the start: a replay may look a moment earlier than the session did.

    async def _hold(self, held: Held) -> None:
        """Start from what the session started from; orders of an earlier life end when it learned that they had."""
        for position in held.positions:
            self._ledger.hold_position(position)
        await self._portfolio.load(self._ledger)
        self._left_open = {attempt.id: attempt for attempt in held.open_attempts}
        for attempt in held.open_attempts:
            self._portfolio.follow(attempt)

    async def _take_away_again(self, recorded: RecordedFill) -> None:
        """Take away a fill that a reorg took before it was decided: the replay holds it only now."""
        place = recorded.fill.place
        if place is None:
            return
        log = LogRef(block_hash=place.block_hash, tx_hash=recorded.fill.tx_hash, log_index=place.log_index)
        if log in self._removed:
            await self._ledger.orphan(FillsRemoved(logs=(log,)), now_ms=self._clock.now_ms())

    def _settle(self, settlement: PositionSettlement) -> None:
        """End what the replay holds as the session's was ended: all that is free, or as many sets, at the same rate."""
        if settlement.kind is SettlementKind.MIGRATION_IN:
            settled = settlement
        else:
            free = self._portfolio.sellable(settlement.token_id)
            shares = min(free, settlement.shares) if settlement.kind is SettlementKind.MERGE else free
            if shares <= 0 or settlement.shares <= 0:
                return
            position = self._position(settlement)
            proceeds = settlement.proceeds_usdc * shares // settlement.shares
            cost = cost_of(position, shares)
            settled = replace(settlement, shares=shares, proceeds_usdc=proceeds, cost_usdc=cost)
        after = apply_settlement(self._position(settlement), settled)
        self._ledger.hold_position(after)
        self._portfolio.settle(settled, after)

    def _position(self, moved: PositionSettlement | ExecutionFill) -> Position:
        owner = (moved.strategy_id, moved.account_id, moved.token_id)
        held = (one for one in self._portfolio.positions() if one.token_id == moved.token_id)
        return next(held, Position(strategy_id=owner[0], account_id=owner[1], token_id=owner[2]))

    def _end_of_earlier(self, outcome: Outcome) -> None:
        """Let an order that the session found open get what it got, and end when it did."""
        if isinstance(outcome, Filled) and outcome.fill.attempt_id in self._left_open:
            self._book_of_earlier(outcome.fill)
        if isinstance(outcome, Closed) and (attempt := self._left_open.pop(outcome.attempt_id, None)) is not None:
            self._portfolio.follow(replace(attempt, status=outcome.status))

    def _book_of_earlier(self, fill: ExecutionFill) -> None:
        if fill.venue_trade_id in self._booked or fill.settlement is Settlement.FAILED:
            return
        self._booked.add(fill.venue_trade_id)
        attempt = self._left_open[fill.attempt_id]
        attempt = replace(attempt, filled_shares=attempt.filled_shares + fill.shares)
        self._left_open[fill.attempt_id] = attempt
        after = apply_fill(self._position(fill), fill)
        self._ledger.hold_position(after)
        self._portfolio.book(Booked(attempt=attempt, position=after), fill)

    async def _cancel(self, closed: Closed) -> None:
        await self._clock.until(closed.done_at_ms)
        await self._executor.cancel(closed.attempt_id)


def in_order(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield entries by their times; a state of a book may have been written a moment after it came to stand.

    Of one millisecond the books come first, as they do for an order that arrives in it.
    """
    waiting: list[tuple[Millis, bool, int, Entry]] = []
    newest_ms: Millis = 0
    for number, entry in enumerate(entries):
        newest_ms = max(newest_ms, entry.at_ms)
        is_outcome = not isinstance(entry, BookEntry | TapeEntry)
        heapq.heappush(waiting, (entry.at_ms, is_outcome, number, entry))
        while waiting[0][0] < newest_ms - WRITTEN_WITHIN_MS:
            yield heapq.heappop(waiting)[3]
    while waiting:
        yield heapq.heappop(waiting)[3]


def _by_its_rules(facts: CopyFacts) -> CopyFacts:
    """Return facts with the leader's own rules as values of the rules: a file has but their texts and numbers."""
    leader = facts.leader
    if leader is None or not leader.rules:
        return facts
    rules = own_rules(parse_rule(name, write_rule(name, value)) for name, value in leader.rules)
    return replace(facts, leader=replace(leader, rules=rules))


def _pairs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(numbers[::2], numbers[1::2], strict=True))
