"""The books of the tracked tokens, from the venue's REST routes, its market socket, or both."""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import structlog

from copytrade.adapters.clob.checks import Checks, has_other_prices
from copytrade.adapters.clob.feed import Feed
from copytrade.adapters.clob.rest import BooksUnavailableError, ClobBooks
from copytrade.adapters.clob.shelf import Shelf
from copytrade.adapters.clob.socket import ConnectGate, MarketSocket, connect_to_market
from copytrade.adapters.clob.tracked import BookCounters, Outcome, Tracked
from copytrade.adapters.clob.upkeep import Upkeep
from copytrade.adapters.clob.wire import MalformedFrameError
from copytrade.domain.book import BookView, QuoteTier, tier_of
from copytrade.domain.happenings import FIGURES
from copytrade.ports.books import BookStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    import httpx

    from copytrade.adapters.clob.socket import Connection
    from copytrade.domain.book import BookSnapshot
    from copytrade.domain.market_events import MarketEvent
    from copytrade.domain.tape import TapeEntry
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

VIEWED_LATELY_MS: Final = 60_000
"""A token viewed within this time is never evicted."""
NAMED_LATELY_MS: Final = 300_000
"""A token named to `track` within this time is evicted only for a fill that waits."""
FIRST_FIGURES_MS: Final = 5_000
FIGURES_INTERVAL_MS: Final = 60_000

log = structlog.get_logger()


class BookSource(StrEnum):
    """Where books come from; with `WS` they come from the socket alone, REST only proves and refreshes."""

    REST = "rest"
    WS = "ws"
    WS_AND_SNAPSHOT = "ws+snapshot"


class ClobBookStore(BookStore):
    """See the port. One event loop, no threads; `http` stays its owner's to close."""

    def __init__(
        self,
        *,
        source: BookSource,
        http_url: str,
        ws_url: str,
        http: httpx.AsyncClient,
        clock: Clock,
        quote_fresh_ms: Millis,
        quote_stale_ms: Millis,
        history_ms: Millis,
        resync_interval_ms: Millis,
        tokens_max: int,
        note: Callable[[str, Mapping[str, object]], None],
        on_market_event: Callable[[MarketEvent], None],
        twin_of: Callable[[str], str | None] = lambda _: None,
        open_connection: Callable[[str], Awaitable[Connection]] = connect_to_market,
    ) -> None:
        """Prepare; nothing is sent before `run`.

        `note` gets an operator's notes (code and detail), `on_market_event` what the venue announces.
        `twin_of` names the other token of a market of two, if it is known: both are read from one book.
        """
        self._source = source
        self._ws_url = ws_url
        self._clock = clock
        self._fresh_ms = quote_fresh_ms
        self._stale_ms = quote_stale_ms
        self._resync_interval_ms = resync_interval_ms
        self._tokens_max = tokens_max
        self._history_ms = history_ms
        self._note = note
        self._open_connection = open_connection
        self._rest = ClobBooks(url=http_url, http=http)
        self._twin_of = twin_of
        self._shelf = Shelf(
            clock=clock, history_ms=history_ms, note=note, on_doubt=self._get_anew, on_parted=self._track_parted
        )
        self._feed = Feed(shelf=self._shelf, note=note, on_event=on_market_event, forget=self.untrack)
        self._checks = Checks(shelf=self._shelf, clock=clock)
        self._upkeep = Upkeep(
            shelf=self._shelf,
            rest=self._rest,
            checks=self._checks,
            clock=clock,
            fresh_ms=quote_fresh_ms,
            has_snapshots=source is not BookSource.WS,
            note=note,
        )
        self._gate = ConnectGate(clock=clock)
        self._sockets: list[MarketSocket] = []
        self._socket_added = asyncio.Event()
        self._refused_at: Millis | None = None
        self._pinned: Callable[[], Collection[str]] = tuple

    @property
    def counters(self) -> BookCounters:
        """What happened since the start."""
        return self._shelf.counters

    @property
    def requests(self) -> int:
        """How many REST requests were made."""
        return self._rest.requests

    @property
    def frames(self) -> int:
        """How many frames the market sockets brought."""
        return sum(socket.frames for socket in self._sockets)

    @property
    def tracked(self) -> tuple[str, ...]:
        """One token for each book that is kept; it stands for its twin too."""
        return tuple(self._shelf.books)

    def track(self, token_id: str) -> None:
        self._track(token_id, is_urgent=False)

    def pin(self, pinned: Callable[[], Collection[str]]) -> None:
        self._pinned = pinned

    def figures(self) -> dict[str, int]:
        """Return how the books are now, and what happened since the start."""
        books = self._shelf.books.values()
        seeded = [one for one in books if one.book.is_seeded]
        ages = [self._age_ms(one, is_doubtful=has_other_prices(one) or one.is_struck) for one in seeded]
        pinned = set(self._pinned())
        tiers = Counter(tier_of(age, fresh_ms=self._fresh_ms, stale_ms=self._stale_ms) for age in ages)
        return {
            "tracked": len(books),
            "pinned": sum(not pinned.isdisjoint(one.token_ids) for one in books),
            "without_book": len(books) - len(ages),
            **{tier.lower(): tiers[tier] for tier in QuoteTier},
            "oldest_age_ms": max(ages, default=0),
            "sockets": sum(socket.is_open for socket in self._sockets),
            "frames": self.frames,
            "rest_requests": self.requests,
            **self.counters.figures(),
        }

    def untrack(self, token_id: str) -> None:
        """Drop a token's book, which is its twin's too."""
        tracked = self._shelf.remove(token_id)
        if tracked is not None and tracked.socket is not None:
            for one in tracked.token_ids:
                tracked.socket.forget(one)

    def view(self, token_id: str) -> BookView | None:
        outcome = self._shelf.outcomes.get(token_id)
        if outcome is None:
            return None
        tracked = outcome.tracked
        tracked.viewed_at = self._clock.monotonic_ms()
        book = outcome.latest()
        if book is None:
            return None
        age_ms = self._age_ms(tracked, is_doubtful=self._checks.is_doubtful(tracked))
        return BookView(
            book=book, age_ms=age_ms, tier=tier_of(age_ms, fresh_ms=self._fresh_ms, stale_ms=self._stale_ms)
        )

    async def first_view(self, token_id: str, *, timeout_ms: Millis) -> BookView | None:
        outcome = self._track(token_id, is_urgent=True)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while outcome is not None and (view := self.view(token_id)) is None:
                    await outcome.tracked.next_change()
                    outcome = self._shelf.outcomes.get(token_id)
                return view if outcome is not None else None
        except TimeoutError:
            return None

    async def refresh(self, token_id: str) -> BookView | None:
        outcome = self._shelf.outcomes.get(token_id)
        if outcome is None:
            return None
        self.counters.quotes_refreshed += 1
        asked_at = self._clock.monotonic_ms()
        tracked, epoch = outcome.tracked, outcome.tracked.epoch
        try:
            full = await self._rest.book(tracked.token_id)
        except BooksUnavailableError as error:
            self.counters.rest_failures += 1
            log.warning("books.unavailable", what="refresh", token_id=token_id, error=str(error))
            return None
        if full is None or self._shelf.outcomes.get(token_id) is not outcome:
            return None
        self._shelf.absorb(tracked, full, asked_at=asked_at, epoch=epoch, is_authority=True)
        return self.view(token_id)

    def book_at(self, token_id: str, at_ms: Millis) -> BookSnapshot | None:
        outcome = self._shelf.outcomes.get(token_id)
        is_kept = at_ms >= self._shelf.now_ms() - self._history_ms
        return outcome.book_at(at_ms) if outcome is not None and is_kept else None

    def states_after(self, token_id: str, revision: int) -> tuple[BookSnapshot, ...]:
        outcome = self._shelf.outcomes.get(token_id)
        return () if outcome is None else outcome.states_after(revision)

    def tape_after(self, condition_id: str, at_ms: Millis) -> tuple[TapeEntry, ...]:
        return self._shelf.tape.after(condition_id, at_ms)

    async def printed(self, condition_id: str, at_ms: Millis) -> None:
        await self._shelf.tape.printed(condition_id, at_ms)

    async def changed(self, token_id: str, revision: int) -> None:
        outcome = self._shelf.outcomes.get(token_id)
        if outcome is None:
            # Whoever calls this in a loop must not keep everyone else from running.
            await asyncio.sleep(0)
            return
        tracked = outcome.tracked
        tracked.viewed_at = self._clock.monotonic_ms()
        while tracked.book.revision <= revision:
            await tracked.next_change()
            if not tracked.book.is_seeded:
                return

    async def run(self) -> None:
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._report(), name="books-figures")
            if self._source is BookSource.REST:
                loops.create_task(self._upkeep.poll(interval_ms=self._fresh_ms // 2), name="books-poll")
            else:
                loops.create_task(self._run_sockets(), name="books-sockets")
                loops.create_task(self._upkeep.watch(self._sockets), name="books-watch")
            if self._source is not BookSource.WS:
                loops.create_task(self._upkeep.answer_asks(), name="books-asks")
            if self._source is BookSource.WS_AND_SNAPSHOT:
                loops.create_task(self._upkeep.resync(interval_ms=self._resync_interval_ms), name="books-resync")

    async def _report(self) -> None:
        await self._clock.sleep_ms(FIRST_FIGURES_MS)
        while True:
            self._note(FIGURES, self.figures())
            await self._clock.sleep_ms(FIGURES_INTERVAL_MS)

    async def _run_sockets(self) -> None:
        """Run every socket there is or will be."""
        async with asyncio.TaskGroup() as running:
            started = 0
            while True:
                self._socket_added.clear()
                for socket in self._sockets[started:]:
                    running.create_task(socket.run(), name=f"market-socket-{socket.number}")
                started = len(self._sockets)
                await self._socket_added.wait()

    def _track(self, token_id: str, *, is_urgent: bool) -> Outcome | None:
        outcome = self._shelf.outcomes.get(token_id)
        if outcome is not None:
            outcome.tracked.named_at = self._clock.monotonic_ms()
            return outcome
        twin_id = self._twin_of(token_id)
        is_full = twin_id not in self._shelf.outcomes and len(self._shelf.books) >= self._tokens_max
        if is_full and not self._evict(is_urgent=is_urgent or token_id in self._pinned()):
            self._refuse(token_id)
            return None
        outcome = self._shelf.add(token_id, twin_id)
        if outcome.tracked.socket is None:
            self._listen(outcome.tracked)
        elif outcome.tracked.socket.room > 0:
            outcome.tracked.socket.want(token_id)
        return outcome

    def _track_parted(self, token_id: str) -> None:
        """Keep the book of a token that was read from its twin's so far."""
        for socket in self._sockets:
            socket.forget(token_id)
        self._track(token_id, is_urgent=True)

    def _listen(self, tracked: Tracked) -> None:
        """Have a new book told by a socket, or asked for.

        Both outcomes are subscribed, though either brings all changes: trades are told of the one that was traded.
        """
        if self._source is BookSource.REST:
            self._upkeep.ask_soon(tracked)
            return
        tracked.socket = self._socket_with_room(len(tracked.outcomes))
        for token_id in tracked.token_ids:
            tracked.socket.want(token_id)
        if tracked.token_id in tracked.socket.subscribed:
            # It was just dropped and the venue was not told yet: no book will come by itself.
            self._get_anew(tracked)

    def _evict(self, *, is_urgent: bool) -> bool:
        """Drop the book viewed longest ago; one that nobody names any more before all others, a pinned one never."""
        now = self._clock.monotonic_ms()
        pinned = set(self._pinned())
        idle = [
            tracked
            for tracked in self._shelf.books.values()
            if pinned.isdisjoint(tracked.token_ids)
            and now - tracked.viewed_at > VIEWED_LATELY_MS
            and (is_urgent or now - tracked.named_at > NAMED_LATELY_MS)
        ]
        if not idle:
            return False
        oldest = min(idle, key=lambda tracked: (now - tracked.named_at <= NAMED_LATELY_MS, tracked.viewed_at))
        self.counters.evicted += 1
        self.untrack(oldest.token_id)
        return True

    def _refuse(self, token_id: str) -> None:
        self.counters.refused += 1
        now = self._clock.monotonic_ms()
        if self._refused_at is None or now - self._refused_at > VIEWED_LATELY_MS:
            self._refused_at = now
            log.error("books.refused", token_id=token_id, tokens_max=self._tokens_max)
            self._note("TOKENS_FULL", {"token_id": token_id, "tokens_max": self._tokens_max})

    def _socket_with_room(self, tokens: int) -> MarketSocket:
        for socket in self._sockets:
            if socket.room >= tokens:
                return socket
        socket = MarketSocket(
            number=len(self._sockets),
            url=self._ws_url,
            clock=self._clock,
            gate=self._gate,
            open_connection=self._open_connection,
            on_frame=self._on_frame,
            on_subscribed=self._on_subscribed,
            on_lost=self._on_lost,
        )
        self._sockets.append(socket)
        self._socket_added.set()
        return socket

    def _on_frame(self, socket: MarketSocket, frame: bytes) -> None:
        try:
            if self._feed.apply_frame(frame, socket):
                socket.prove(socket.heard_at)
        except MalformedFrameError as error:
            log.warning("books.frame_malformed", socket=socket.number, error=str(error))
            self._doubt_all(socket, "an unreadable frame")

    def _doubt_all(self, socket: MarketSocket, why: str) -> None:
        """Get every book of a socket anew: what was lost nobody knows."""
        self._note("RESYNC", {"socket": socket.number, "tokens": len(socket.wanted), "why": why})
        for token_id in sorted(socket.subscribed):
            if tracked := self._shelf.books.get(token_id):
                self._shelf.lose(tracked)
                self._get_anew(tracked)

    def _on_subscribed(self, socket: MarketSocket, token_ids: Sequence[str]) -> None:
        for token_id in token_ids:
            if tracked := self._shelf.books.get(token_id):
                tracked.epoch += 1
                if self._source is BookSource.WS_AND_SNAPSHOT:
                    self._upkeep.ask_soon(tracked)

    def _on_lost(self, socket: MarketSocket, reason: str) -> None:
        self.counters.reconnects += 1
        log.warning("books.connection_lost", socket=socket.number, tokens=len(socket.wanted), reason=reason)
        self._note("RECONNECTED", {"socket": socket.number, "tokens": len(socket.wanted), "reason": reason})
        for token_id in socket.wanted:
            if tracked := self._shelf.books.get(token_id):
                self._shelf.lose(tracked)
                tracked.ask_again_at = None

    def _get_anew(self, tracked: Tracked) -> None:
        if self._source is not BookSource.WS:
            self._upkeep.ask_soon(tracked)
        elif tracked.socket is not None:
            tracked.socket.restart("a book is in doubt")

    def _age_ms(self, tracked: Tracked, *, is_doubtful: bool) -> Millis:
        """Return how long ago the book was known true; one in doubt is not fresh, so that it is asked for."""
        proven_at = 0 if tracked.socket is None or not tracked.socket.is_open else tracked.socket.proven_at
        known_true_at = max(tracked.known_true_at, proven_at)
        age_ms = self._clock.monotonic_ms() - known_true_at
        return max(age_ms, self._fresh_ms + 1) if is_doubtful else age_ms
