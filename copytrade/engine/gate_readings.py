"""What each gate looks at."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from copytrade.domain.book import QuoteTier
from copytrade.domain.gates import GateName, Reading
from copytrade.domain.happenings import Decided, Noted
from copytrade.engine.gates import Gate
from copytrade.engine.streams import reading
from copytrade.ports.leader_fills import CursorScope, FillsSeen, LeaderFillSource
from copytrade.ports.notifier import Notifier
from copytrade.ports.risk import VenueTimeUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from copytrade.domain.happenings import Happening
    from copytrade.domain.units import Millis
    from copytrade.engine.portfolio import Portfolio
    from copytrade.ports.books import BookStore
    from copytrade.ports.clock import Clock
    from copytrade.ports.leader_fills import LeaderRoll, SourceEvent
    from copytrade.ports.markets import MarketRegistry
    from copytrade.ports.risk import VenueTime

T = TypeVar("T")

RECENT_TOKENS_MAX: Final = 50
HEADS_KEPT_MAX: Final = 1_000
BLOCK_MS: Final[Millis] = 2_000
"""How far apart the chain's blocks are, roughly: only to tell how old a block is whose head was never seen."""
ASK_TIME_EVERY_MS: Final[Millis] = 30_000
CONTRADICTIONS: Final = frozenset({"DISAGREEMENT", "DRIFT_API_ONLY", "DRIFT_TOPIC"})
"""Notes that say that two sources contradict each other, or that one cannot be read any more."""


class BooksGate(Gate, Notifier):
    """Whether any book may be traded on, of the tokens we hold and those decided on lately."""

    name = GateName.BOOKS

    def __init__(
        self, *, books: BookStore, registry: MarketRegistry, portfolio: Portfolio, stale_ms: Millis, clock: Clock
    ) -> None:
        self._books = books
        self._registry = registry
        self._portfolio = portfolio
        self._stale_ms = stale_ms
        self._clock = clock
        self._recent: deque[str] = deque(maxlen=RECENT_TOKENS_MAX)
        self._usable_ms = clock.monotonic_ms()

    def tell(self, happening: Happening) -> None:
        """Remember what was decided on."""
        if isinstance(happening, Decided) and happening.attempt.token_id not in self._recent:
            self._recent.append(happening.attempt.token_id)

    def read(self) -> Reading:
        # In one order: a look at a book is remembered with it, and only the first usable one is looked for.
        tokens = dict.fromkeys([*self._portfolio.tokens(), *self._recent])
        watched = [token for token in tokens if self._is_traded(token)]
        now_ms = self._clock.monotonic_ms()
        if not watched or any(map(self._is_usable, watched)):
            self._usable_ms = now_ms
        lasts_ms = now_ms - self._usable_ms
        value = f"none of {len(watched)} books usable for {lasts_ms} ms" if lasts_ms else f"{len(watched)} books"
        return Reading(is_healthy=lasts_ms <= self._stale_ms, value=value, limit=f"{self._stale_ms} ms")

    def _is_traded(self, token_id: str) -> bool:
        market = self._registry.market_of(token_id)
        return market is not None and market.enable_order_book and market.accepting_orders and not market.closed

    def _is_usable(self, token_id: str) -> bool:
        view = self._books.view(token_id)
        return view is not None and view.tier is not QuoteTier.HARD_STALE


class ChainWatch:
    """How far the chain was read and proved, and since when each newer head has been known."""

    def __init__(self, *, roll: LeaderRoll, clock: Clock) -> None:
        self._roll = roll
        self._clock = clock
        self._heads: deque[tuple[int, Millis]] = deque(maxlen=HEADS_KEPT_MAX)
        self._read: int | None = None
        self._proved: int | None = None
        self._begun_ms: Millis | None = None

    def see(self, event: SourceEvent) -> None:
        """Take what a source reported, once it is stored."""
        if not isinstance(event, FillsSeen):
            return
        if event.head_block is not None and (not self._heads or event.head_block > self._heads[-1][0]):
            self._heads.append((event.head_block, self._clock.monotonic_ms()))
        if event.cursor is not None and event.cursor.scope == CursorScope():
            self._read = event.cursor.last_processed_block
            self._proved = event.cursor.proved_block

    def lag_ms(self) -> Millis:
        """Return for how long the oldest block that is not read has been there, or the newest one that is."""
        now_ms, begun_ms = self._clock.monotonic_ms(), self._begun()
        if self._read is None or not self._heads:
            return now_ms - begun_ms
        unread = [at_ms for block, at_ms in self._heads if block > self._read]
        newest, newest_at_ms = self._heads[-1]
        waited_ms = now_ms - max(begun_ms, unread[0] if unread else newest_at_ms)
        return max(waited_ms, (newest - self._read) * BLOCK_MS)

    def blocks_behind(self) -> int | None:
        """Return how many known blocks are not read, None before any is known."""
        return max(0, self._heads[-1][0] - self._read) if self._heads and self._read is not None else None

    def unproved_ms(self) -> Millis:
        """Return roughly how much of the chain that was read is not proved."""
        if self._read is None or self._proved is None:
            return self._clock.monotonic_ms() - self._begun()
        return (self._read - self._proved) * BLOCK_MS

    def _begun(self) -> Millis:
        """Return since when the chain is read: nothing is, while there is nobody to read it for."""
        if self._begun_ms is None or not self._roll.leaders():
            self._begun_ms = self._clock.monotonic_ms()
        return self._begun_ms


class WatchedSource(LeaderFillSource):
    """A source whose events are looked at once they are stored."""

    def __init__(self, source: LeaderFillSource, see: Callable[[SourceEvent], None]) -> None:
        self._source = source
        self._see = see

    async def events(self) -> AsyncIterator[SourceEvent]:
        async with reading(self._source.events()) as events:
            async for event in events:
                yield event
                self._see(event)


class ChainLagGate(Gate):
    """Whether the chain is read up to its head."""

    name = GateName.CHAIN_LAG

    def __init__(self, watch: ChainWatch, *, limit_ms: Millis) -> None:
        self._watch = watch
        self._limit_ms = limit_ms

    def read(self) -> Reading:
        lag_ms, behind = self._watch.lag_ms(), self._watch.blocks_behind()
        value = f"{lag_ms} ms, {'no block yet' if behind is None else f'{behind} blocks'} behind the head"
        return Reading(is_healthy=lag_ms <= self._limit_ms, value=value, limit=f"{self._limit_ms} ms")


class ProvedLagGate(Gate):
    """Whether what was read of the chain is proved complete, in time."""

    name = GateName.PROVED_LAG

    def __init__(self, watch: ChainWatch, *, limit_ms: Millis) -> None:
        self._watch = watch
        self._limit_ms = limit_ms

    def read(self) -> Reading:
        unproved_ms = self._watch.unproved_ms()
        value, limit = f"about {unproved_ms} ms unproved", f"{self._limit_ms} ms"
        return Reading(is_healthy=unproved_ms <= self._limit_ms, value=value, limit=limit)


class RegistryAgeGate(Gate):
    """Whether the venue has listed its markets lately."""

    name = GateName.REGISTRY_AGE

    def __init__(self, registry: MarketRegistry, *, limit_ms: Millis, clock: Clock) -> None:
        self._registry = registry
        self._limit_ms = limit_ms
        self._clock = clock
        self._begun_ms = clock.monotonic_ms()

    def read(self) -> Reading:
        age_ms = self._registry.age_ms()
        lasts_ms = self._clock.monotonic_ms() - self._begun_ms if age_ms is None else age_ms
        value = f"{'not listed' if age_ms is None else 'listed'} for {lasts_ms} ms"
        return Reading(is_healthy=lasts_ms <= self._limit_ms, value=value, limit=f"{self._limit_ms} ms")


class DatabaseGate(Gate):
    """Whether a small write is durable in time, one that is under way too."""

    name = GateName.DATABASE

    def __init__(self, *, limit_ms: Millis, clock: Clock) -> None:
        self._limit_ms = limit_ms
        self._clock = clock
        self._took_ms: Millis = 0
        self._begun_ms: Millis | None = None

    async def timed(self, write: Awaitable[T]) -> T:
        """Wait for a write and remember how long it took."""
        self._begun_ms = self._clock.monotonic_ms()
        try:
            return await write
        finally:
            self._took_ms = self._clock.monotonic_ms() - self._begun_ms
            self._begun_ms = None

    def read(self) -> Reading:
        waiting_ms = 0 if self._begun_ms is None else self._clock.monotonic_ms() - self._begun_ms
        longest_ms = max(self._took_ms, waiting_ms)
        value, limit = f"a write takes {longest_ms} ms", f"{self._limit_ms} ms"
        return Reading(is_healthy=longest_ms <= self._limit_ms, value=value, limit=limit)


class ClockGate(Gate):
    """Whether our clock is that of the venue, as far as it has told."""

    name = GateName.CLOCK_SKEW

    def __init__(self, venue: VenueTime, *, limit_ms: Millis, clock: Clock) -> None:
        self._venue = venue
        self._limit_ms = limit_ms
        self._clock = clock
        self._skew_ms: Millis = 0

    async def run(self) -> None:
        """Ask the venue for its time now and then, until cancelled; no answer leaves things as they were."""
        while True:
            with suppress(VenueTimeUnavailableError):
                self._skew_ms = await self._venue.skew_ms()
            await self._clock.sleep_ms(ASK_TIME_EVERY_MS)

    def read(self) -> Reading:
        value, limit = f"{self._skew_ms:+d} ms", f"{self._limit_ms} ms"
        return Reading(is_healthy=abs(self._skew_ms) <= self._limit_ms, value=value, limit=limit)


class SourcesGate(Gate, Notifier):
    """Whether sources have contradicted each other lately."""

    name = GateName.SOURCES

    def __init__(self, *, hold_ms: Millis, clock: Clock) -> None:
        self._hold_ms = hold_ms
        self._clock = clock
        self._last: tuple[Millis, str] | None = None

    def tell(self, happening: Happening) -> None:
        """Remember the last contradiction."""
        if isinstance(happening, Noted) and happening.code in CONTRADICTIONS:
            self._last = (self._clock.monotonic_ms(), happening.code)

    def read(self) -> Reading:
        limit = f"quiet for {self._hold_ms} ms"
        if self._last is None:
            return Reading(is_healthy=True, value="no contradiction", limit=limit)
        at_ms, code = self._last
        ago_ms = self._clock.monotonic_ms() - at_ms
        return Reading(is_healthy=ago_ms >= self._hold_ms, value=f"{code} {ago_ms} ms ago", limit=limit)
