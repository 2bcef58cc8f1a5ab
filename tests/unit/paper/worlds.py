"""A scripted book, attempts, and a paper executor played over both in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid5

from copytrade.domain.attempts import AttemptStatus, Decision, ExecutionAttempt, ExecutionMode
from copytrade.domain.book import BookSnapshot, BookView, Level, tier_of
from copytrade.domain.effects import ALL_EFFECTS
from copytrade.domain.fills import Side
from copytrade.domain.ids import COPY_STRATEGY_ID, PAPER_ACCOUNT_ID
from copytrade.domain.latency import Latency
from copytrade.domain.market import Market, OutcomeToken
from copytrade.domain.tape import TapeEntry, Told, TradePrint
from copytrade.domain.units import MICRO, format_micro
from copytrade.ports.books import BookStore
from copytrade.ports.execution import Executed, ExecutionAdapter, ExecutionEvent, OrderDone
from tests.makers import NO, NOW_MS, YES, a_book, a_market, micro
from tests.unit.paper.balance import WatchedExecutor, check_balance
from tests.virtual_time import VirtualClock, run_virtual

STALE_MS = 5_000
_NAMES = UUID(int=7)

Lost = tuple[str, int]


class FakeBookStore(BookStore):
    """Books that follow a script: each state is there from its instant on, (token, instant) loses the book."""

    def __init__(self, *script: BookSnapshot | Lost) -> None:
        self._clock = VirtualClock()
        self._script = script
        self.ages: dict[str, int] = {}
        self.tape: tuple[TapeEntry, ...] = ()

    def _entries(self, token_id: str, *, until_ms: int) -> list[tuple[int, BookSnapshot | None]]:
        entries = [
            (state.at_ms, state.token_id, state) if isinstance(state, BookSnapshot) else (state[1], state[0], None)
            for state in self._script
        ]
        return [(at_ms, state) for at_ms, token, state in entries if token == token_id and at_ms <= until_ms]

    def track(self, token_id: str) -> None: ...

    def view(self, token_id: str) -> BookView | None:
        now_ms = self._clock.now_ms()
        book = self.book_at(token_id, now_ms)
        if book is None:
            return None
        age_ms = self.ages.get(token_id, 0)
        return BookView(book=book, age_ms=age_ms, tier=tier_of(age_ms, fresh_ms=2_000, stale_ms=STALE_MS))

    async def first_view(self, token_id: str, *, timeout_ms: int) -> BookView | None:
        return self.view(token_id)

    async def refresh(self, token_id: str) -> BookView | None:
        return self.view(token_id)

    def book_at(self, token_id: str, at_ms: int) -> BookSnapshot | None:
        entries = self._entries(token_id, until_ms=min(at_ms, self._clock.now_ms()))
        return entries[-1][1] if entries else None

    def states_after(self, token_id: str, revision: int) -> tuple[BookSnapshot, ...]:
        entries = self._entries(token_id, until_ms=self._clock.now_ms())
        return tuple(state for _, state in entries if state is not None and state.revision > revision)

    def tape_after(self, condition_id: str, at_ms: int) -> tuple[TapeEntry, ...]:
        now_ms = self._clock.now_ms()
        return tuple(entry for entry in self.tape if at_ms < entry.at_ms <= now_ms)

    async def printed(self, condition_id: str, at_ms: int) -> None:
        now_ms = self._clock.now_ms()
        later = [entry.at_ms for entry in self.tape if entry.at_ms > at_ms]
        if not later:
            await asyncio.Event().wait()
        await self._clock.sleep_ms(min(later) - now_ms)

    async def changed(self, token_id: str, revision: int) -> None:
        if self.states_after(token_id, revision):
            return
        now_ms = self._clock.now_ms()
        later = [at_ms for at_ms, _ in self._entries(token_id, until_ms=2**63) if at_ms > now_ms]
        if not later:
            await asyncio.Event().wait()
        await self._clock.sleep_ms(min(later) - now_ms)

    async def run(self) -> None: ...


def states(*texts: tuple[int, str, str], token_id: str = YES) -> list[BookSnapshot]:
    """Build states from (milliseconds after NOW_MS, bids, asks)."""
    return [
        a_book(bids=bids, asks=asks, at_ms=NOW_MS + after_ms, revision=revision, token_id=token_id)
        for revision, (after_ms, bids, asks) in enumerate(texts, start=1)
    ]


def printed(*lines: tuple[int, Side, str, str], token_id: str = YES) -> tuple[TapeEntry, ...]:
    """Build a tape of trades from (milliseconds after NOW_MS, the taker's side, price, shares)."""
    return tuple(
        TapeEntry(
            number=number,
            at_ms=NOW_MS + after_ms,
            told=TradePrint(token_id=token_id, side=side, price=micro(price), size=micro(size)),
        )
        for number, (after_ms, side, price, size) in enumerate(lines, start=1)
    )


def announced(after_ms: int, told: Told, *, number: int = 1) -> TapeEntry:
    """Build an announcement."""
    return TapeEntry(number=number, at_ms=NOW_MS + after_ms, told=told)


def taped(script: Sequence[BookSnapshot | Lost], *tape: TapeEntry) -> FakeBookStore:
    """Put a tape beside scripted books."""
    books = FakeBookStore(*script)
    books.tape = tape
    return books


def mirrored(state: BookSnapshot) -> BookSnapshot:
    """Give the other outcome's book, as the venue shows it."""

    def other(levels: tuple[Level, ...]) -> tuple[Level, ...]:
        return tuple(Level(MICRO - level.price, level.size) for level in levels)

    return replace(state, token_id=NO if state.token_id == YES else YES, bids=other(state.asks), asks=other(state.bids))


def attempt_id(name: object) -> UUID:
    return uuid5(_NAMES, str(name))


def an_attempt(name: object = "one", *, size: str = "100", limit: str = "0.5", **changes: Any) -> ExecutionAttempt:
    facts: dict[str, Any] = {
        "id": attempt_id(name),
        "strategy_id": COPY_STRATEGY_ID,
        "account_id": PAPER_ACCOUNT_ID,
        "leader_fill_id": attempt_id(f"fill of {name}"),
        "mode": ExecutionMode.PAPER,
        "decision": Decision.TRADE,
        "reasons": (),
        "ratio": MICRO,
        "token_id": YES,
        "side": Side.BUY,
        "size_shares_target": micro(size),
        "limit_price": micro(limit),
        "ttl_ms": 1_000,
        "status": AttemptStatus.PENDING,
        "order_hash": None,
        "decided_at_ms": NOW_MS,
        "placed_at_ms": None,
        "first_fill_at_ms": None,
        "done_at_ms": None,
        "created_at_ms": NOW_MS,
    }
    return ExecutionAttempt(**(facts | changes))


def an_executor(books: BookStore, **changes: Any) -> WatchedExecutor:
    settings: dict[str, Any] = {
        "books": books,
        "clock": VirtualClock(),
        "decision_latency": Latency(median_ms=0),
        "submit_latency": Latency(median_ms=100),
        "seed": 0,
        "quote_stale_ms": STALE_MS,
    }
    return WatchedExecutor(**(settings | changes))


def market_of(attempt: ExecutionAttempt, **changes: Any) -> Market:
    """Build the market of an attempt's token: the usual one, or another for a token that is not of it."""
    if attempt.token_id in {YES, NO}:
        return a_market(**changes)
    tokens = (
        OutcomeToken(token_id=attempt.token_id, outcome="Yes", outcome_index=0),
        OutcomeToken(token_id=f"not {attempt.token_id}", outcome="No", outcome_index=1),
    )
    return a_market(**({"condition_id": f"market of {attempt.token_id}", "tokens": tokens} | changes))


class Session:
    """A running executor whose events are collected."""

    def __init__(self, executor: ExecutionAdapter) -> None:
        self.executor = executor
        self.events: list[ExecutionEvent] = []
        self._clock = VirtualClock()

    async def submit(self, *attempts: ExecutionAttempt, **market: Any) -> None:
        for attempt in attempts:
            await self.executor.submit(self.executor.prepare(attempt, market_of(attempt, **market)))

    async def until(self, after_ms: int) -> None:
        """Let time pass until that many milliseconds after NOW_MS."""
        remaining_ms = NOW_MS + after_ms - self._clock.now_ms()
        if remaining_ms > 0:
            await self._clock.sleep_ms(remaining_ms)

    async def ended(self, count: int) -> None:
        """Let time pass until so many orders have ended."""
        while sum(isinstance(event, OrderDone) for event in self.events) < count:
            await self._clock.sleep_ms(1)

    async def recover(self, attempt: ExecutionAttempt) -> None:
        """Settle an attempt of an earlier life, whose ending is certain at once."""
        self.events.append(await self.executor.recover(attempt))

    async def collect(self) -> None:
        async for event in self.executor.events():
            self.events.append(event)


def play(script: Any, story: Any, **settings: Any) -> list[ExecutionEvent]:
    """Run `story(session)` beside an executor over scripted books, and return every event, once all of it balances."""

    async def main() -> list[ExecutionEvent]:
        books = script if isinstance(script, FakeBookStore) else FakeBookStore(*script)
        executor = an_executor(books, **settings)
        session = Session(executor)
        working = asyncio.create_task(session.executor.run())
        reading = asyncio.create_task(session.collect())
        await story(session)
        for task in (working, reading):
            task.cancel()
        await asyncio.gather(working, reading, return_exceptions=True)
        for task in (working, reading):
            if not task.cancelled():
                task.result()
        check_balance(session.events, executor.taken, settings.get("effects", ALL_EFFECTS))
        return session.events

    return run_virtual(main, epoch_ms=NOW_MS)


def told(events: Sequence[ExecutionEvent]) -> list[tuple[Any, ...]]:
    """Give (after, shares, price, fee, liquidity) for each fill and (after, status, code) for each ending."""
    lines: list[tuple[Any, ...]] = []
    for event in events:
        if isinstance(event, Executed):
            fill = event.fill
            numbers = (format_micro(number) for number in (fill.shares, fill.price, fill.fee_usdc))
            lines.append((fill.fill_at_ms - NOW_MS, *numbers, str(fill.liquidity)))
        else:
            lines.append((event.at_ms - NOW_MS, str(event.status), event.reason.code if event.reason else None))
    return lines


def played(script: Any, *attempts: Any, market: Any = None, **settings: Any) -> list[tuple[Any, ...]]:
    async def story(session: Session) -> None:
        await session.submit(*attempts, **(market or {}))
        await session.ended(len(attempts))

    return told(play(script, story, **settings))
