"""What keeps the books right over REST: seeding, resyncing, and proving that quiet sockets are alive."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from copytrade.adapters.clob.rest import BOOKS_PER_REQUEST, BooksUnavailableError, ClobBooks
from copytrade.adapters.clob.tracked import Agreement, Tracked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from copytrade.adapters.clob.checks import Checks
    from copytrade.adapters.clob.rest import FullBook
    from copytrade.adapters.clob.shelf import Shelf
    from copytrade.adapters.clob.socket import MarketSocket
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

TICK_MS: Final = 100
DUE: Final = "due"
CONFIRM_AFTER_MS: Final = 2_000
"""A book seeded over REST is compared once more if its socket has not sent it by then: the venue does not
say when a subscription began."""
SEED_RETRY_MIN_MS: Final = 500
SEED_RETRY_MAX_MS: Final = 60_000
"""For a book that the venue does not have."""
UNANSWERED_RETRY_MAX_MS: Final = 5_000
"""For one that it may have but did not answer for: fills wait, and all that are missing travel in one request."""
PROBED_TOKENS: Final = 10
PROBE_AGAIN_MS: Final = 300
UNPROVEN_MAX_MS: Final = 60_000
"""A socket that neither carried data nor could be proven for this long is replaced."""
UNSEEDED_MAX_MS: Final = 15_000
"""So is one that brought no book for this long where no other way does: it may be subscribed in vain."""

log = structlog.get_logger()


class Upkeep:
    """Asks for books when they are missing, in doubt, or when a socket is quiet."""

    def __init__(
        self,
        *,
        shelf: Shelf,
        rest: ClobBooks,
        checks: Checks,
        clock: Clock,
        fresh_ms: Millis,
        has_snapshots: bool,
        note: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        """Prepare; the loops are the caller's to run. Without snapshots only a socket can give a book."""
        self._has_snapshots = has_snapshots
        self._shelf = shelf
        self._rest = rest
        self._clock = clock
        self._fresh_ms = fresh_ms
        self._note = note
        self._checks = checks
        self._asked = asyncio.Event()

    def ask_soon(self, tracked: Tracked, *, delay_ms: Millis = 0) -> None:
        """Have a token's book asked for after `delay_ms`."""
        tracked.ask_again_at = self._clock.monotonic_ms() + delay_ms
        if delay_ms == 0:
            self._asked.set()

    async def answer_asks(self) -> None:
        """Ask for the books that are missing or in doubt, all that are due in one request; never ends."""
        while True:
            now = self._clock.monotonic_ms()
            books = self._shelf.books.values()
            due = [one for one in books if one.ask_again_at is not None and one.ask_again_at <= now]
            # Those somebody waits for come first.
            due.sort(key=lambda one: not one.waiters)
            if due:
                await self.ask(due[:BOOKS_PER_REQUEST], what=DUE)
            else:
                self._asked.clear()
                await self._wait_for_ask()

    async def _wait_for_ask(self) -> None:
        try:
            async with asyncio.timeout(TICK_MS / 1000):
                await self._asked.wait()
        except TimeoutError:
            return

    async def ask(self, due: Sequence[Tracked], *, what: str, is_poll: bool = False) -> bool:
        """Ask for some books and take them in; False if the venue did not answer."""
        asked_at = self._clock.monotonic_ms()
        epochs = {tracked: tracked.epoch for tracked in due}
        for tracked in due:
            tracked.ask_again_at = None
        try:
            found = await self._rest.books([tracked.token_id for tracked in due])
        except BooksUnavailableError as error:
            self._shelf.counters.rest_failures += 1
            log.warning("books.unavailable", what=what, tokens=len(due), error=str(error))
            for tracked in due:
                if not tracked.book.is_seeded or what == DUE:
                    self._retry(tracked, most_ms=UNANSWERED_RETRY_MAX_MS)
            return False
        self._take_all(epochs, found, asked_at=asked_at, is_poll=is_poll)
        return True

    def _take_all(
        self, epochs: Mapping[Tracked, int], found: Mapping[str, FullBook], *, asked_at: Millis, is_poll: bool = False
    ) -> None:
        """Take in the books that were asked for, but those that were lost or dropped meanwhile."""
        for tracked, epoch in epochs.items():
            if self._shelf.books.get(tracked.token_id) is tracked and tracked.epoch == epoch:
                self._take(tracked, found.get(tracked.token_id), asked_at=asked_at, is_poll=is_poll)

    def _take(self, tracked: Tracked, full: FullBook | None, *, asked_at: Millis, is_poll: bool) -> None:
        if full is None:
            # Resolved, unknown, or not open yet: the venue names no books it does not have.
            if tracked.book.is_seeded:
                self._shelf.lose(tracked)
            self._retry(tracked)
            return
        was_seeded = tracked.book.is_seeded
        self._shelf.absorb(tracked, full, asked_at=asked_at, epoch=tracked.epoch, is_authority=is_poll)
        if not tracked.book.is_seeded:
            # While its connection is down there is nothing to ask: the next subscription will.
            if tracked.is_listening:
                self._retry(tracked)
        elif not was_seeded and tracked.socket is not None and not tracked.is_confirmed:
            self.ask_soon(tracked, delay_ms=CONFIRM_AFTER_MS)

    def _retry(self, tracked: Tracked, *, most_ms: Millis = SEED_RETRY_MAX_MS) -> None:
        delay_ms = min(most_ms, SEED_RETRY_MIN_MS * 2 ** min(tracked.seed_tries, 10))
        tracked.seed_tries += 1
        self.ask_soon(tracked, delay_ms=delay_ms)

    async def resync(self, *, interval_ms: Millis) -> None:
        """Compare every book with the venue's once per interval; never ends."""
        while True:
            await self._clock.sleep_ms(interval_ms)
            seeded = [tracked for tracked in self._shelf.books.values() if tracked.book.is_seeded]
            for start in range(0, len(seeded), BOOKS_PER_REQUEST):
                batch = [one for one in seeded[start : start + BOOKS_PER_REQUEST] if one.book.is_seeded]
                if batch and await self.ask(batch, what="resync"):
                    self._shelf.counters.resyncs += 1
                    log.debug("books.resynced", tokens=len(batch))
                await self._clock.sleep_ms(TICK_MS)

    async def poll(self, *, interval_ms: Millis) -> None:
        """Ask for every tracked book once per interval; never ends."""
        while True:
            started = self._clock.monotonic_ms()
            tracked = list(self._shelf.books.values())
            for start in range(0, len(tracked), BOOKS_PER_REQUEST):
                seeded = [one for one in tracked[start : start + BOOKS_PER_REQUEST] if one.book.is_seeded]
                if seeded:
                    await self.ask(seeded, what="poll", is_poll=True)
            await self._clock.sleep_ms(started + interval_ms - self._clock.monotonic_ms())

    async def watch(self, sockets: Sequence[MarketSocket]) -> None:
        """Check carried prices, and prove each quiet socket or replace it; never ends."""
        async with asyncio.TaskGroup() as probes:
            probing: dict[MarketSocket, asyncio.Task[None]] = {}
            while True:
                began = self._clock.monotonic_ms()
                await self._clock.sleep_ms(TICK_MS)
                stood_ms = self._clock.monotonic_ms() - began - TICK_MS
                if stood_ms > self._fresh_ms:
                    self._replace_all(sockets, f"we stood still for {stood_ms} ms")
                self._checks.check_all()
                for socket in sockets:
                    task = probing.get(socket)
                    if self._is_quiet(socket) and (task is None or task.done()):
                        probing[socket] = probes.create_task(self._probe(socket), name=f"probe-{socket.number}")

    def _replace_all(self, sockets: Sequence[MarketSocket], why: str) -> None:
        """Believe nothing that sockets hold for us: it waited there, and is as old as its wait."""
        for socket in sockets:
            if socket.is_open:
                for token_id in socket.wanted:
                    if tracked := self._shelf.books.get(token_id):
                        self._shelf.lose(tracked)
                socket.restart(why)

    def _is_quiet(self, socket: MarketSocket) -> bool:
        if not socket.is_open:
            return False
        now = self._clock.monotonic_ms()
        unproven_ms = now - max(socket.proven_at, socket.opened_at)
        if unproven_ms > UNSEEDED_MAX_MS and self._is_in_vain(socket, unproven_ms):
            socket.restart("neither data nor proof")
            return False
        return now - socket.proven_at >= self._fresh_ms // 2

    def _is_in_vain(self, socket: MarketSocket, unproven_ms: Millis) -> bool:
        """Tell whether a socket that is unproven for so long is to be replaced; one without books waits for REST."""
        if self._sample(socket):
            return unproven_ms > UNPROVEN_MAX_MS
        return not self._has_snapshots

    async def _probe(self, socket: MarketSocket) -> None:
        """Compare some books of a quiet socket with the venue's; two disagreements replace the socket."""
        for attempt in (1, 2):
            sample = self._sample(socket)
            if not sample:
                await self._clock.sleep_ms(PROBE_AGAIN_MS)
                return
            asked_at = self._clock.monotonic_ms()
            epochs = {tracked: tracked.epoch for tracked in sample}
            self._shelf.counters.probes += 1
            try:
                found = await self._rest.books([tracked.token_id for tracked in sample])
            except BooksUnavailableError as error:
                self._shelf.counters.rest_failures += 1
                log.warning("books.unavailable", what="probe", socket=socket.number, error=str(error))
                await self._clock.sleep_ms(PROBE_AGAIN_MS)
                return
            if not socket.is_open:
                return
            if socket.proven_at >= asked_at:
                # It is not quiet any more; whether something was lost before, each book says for itself.
                self._take_all(epochs, found, asked_at=asked_at)
                return
            agreements = _agreements(sample, found)
            if agreements <= {Agreement.SAME, Agreement.PAST}:
                if Agreement.SAME in agreements:
                    socket.prove(asked_at)
                else:
                    await self._clock.sleep_ms(PROBE_AGAIN_MS)
                return
            if attempt == 1:
                await self._clock.sleep_ms(PROBE_AGAIN_MS)
        self._shelf.counters.mismatches += 1
        self._note("BOOK_MISMATCH", {"socket": socket.number, "what": "a quiet connection missed changes"})
        socket.restart("it missed changes")

    def _sample(self, socket: MarketSocket) -> list[Tracked]:
        """Return the tokens of a socket that are likeliest to have moved: what changed last, then by turns."""
        books = [self._shelf.books[token_id] for token_id in socket.wanted if token_id in self._shelf.books]
        seeded = [tracked for tracked in books if tracked.book.is_seeded]
        seeded.sort(key=lambda tracked: tracked.book.venue_ts_ms, reverse=True)
        lively, rest = seeded[: PROBED_TOKENS // 2], seeded[PROBED_TOKENS // 2 :]
        rest.sort(key=lambda tracked: tracked.known_true_at)
        return lively + rest[: PROBED_TOKENS - len(lively)]


def _agreements(sample: Sequence[Tracked], found: Mapping[str, FullBook]) -> set[Agreement]:
    """Return what the venue's books say of ours, as far as both exist."""
    return {
        tracked.compare(found[tracked.token_id])
        for tracked in sample
        if tracked.token_id in found and tracked.book.is_seeded
    }
