"""What is kept of one book beside its levels, its two outcomes, and the figures of the whole store."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from copytrade.adapters.clob.hashes import Verdict
from copytrade.adapters.clob.wire import MIRRORED_QUOTES_OF_SIDE, QUOTES_OF_SIDE
from copytrade.domain.book_history import mirrored_levels
from copytrade.domain.order_book import LiveBook

if TYPE_CHECKING:
    from copytrade.adapters.clob.rest import FullBook
    from copytrade.adapters.clob.socket import MarketSocket
    from copytrade.adapters.clob.wire import MarketMessage
    from copytrade.domain.book import BookSnapshot
    from copytrade.domain.book_history import Quote
    from copytrade.domain.units import Millis, Shares

BUFFERED_MESSAGES_MAX: Final = 500
"""Changes kept for a token that waits for its snapshot; beyond, only a snapshot that includes the oldest will do."""


@dataclass(slots=True)
class BookCounters:
    """What happened since the start."""

    messages: int = 0
    """All but the plain price changes, which are a frame each."""
    unknown_messages: int = 0
    malformed: int = 0
    late_messages: int = 0
    unseeded_messages: int = 0
    mismatches: int = 0
    hash_ok: int = 0
    hash_unknown: int = 0
    hash_failed: int = 0
    seeds: int = 0
    resyncs: int = 0
    probes: int = 0
    reconnects: int = 0
    quotes_refreshed: int = 0
    books_lost: int = 0
    evicted: int = 0
    refused: int = 0
    rest_failures: int = 0

    def figures(self) -> dict[str, int]:
        """Return all of them by name."""
        return asdict(self)


class Agreement(Enum):
    """What a REST book says of the one we hold."""

    SAME = auto()
    """Level for level what we hold now."""
    PAST = auto()
    """Older than ours, and as ours was then: it proves nothing about now."""
    AHEAD = auto()
    """Newer than ours: a message is on its way, or was lost."""
    DIFFERENT = auto()
    """Not newer than ours, and not what ours was then."""


class Tracked:
    """One book: where it comes from and when it was last known true (monotonic).

    It is the book of the outcome `token_id`, which is what the venue is asked for; the other outcome of its
    market, if there are two, sees the same book mirrored.
    """

    __slots__ = (
        "ask_again_at",
        "book",
        "buffer",
        "carried",
        "doubted_at",
        "dropped_ts_ms",
        "epoch",
        "has_matched_hash",
        "hash_judged_at",
        "hash_strikes",
        "hash_verdict",
        "hashed",
        "is_confirmed",
        "known_true_at",
        "moved_at",
        "named_at",
        "outcomes",
        "prices_seen",
        "seed_tries",
        "settle_timer",
        "shown",
        "snapshot_ts_ms",
        "socket",
        "strikes",
        "token_id",
        "viewed_at",
        "waiters",
    )

    def __init__(self, token_id: str, *, history_ms: Millis, revision: int, now: Millis) -> None:
        """Start without a book, above a revision."""
        self.token_id = token_id
        self.outcomes = [Outcome(self, token_id, is_mirrored=False)]
        self.book = LiveBook(token_id, history_ms=history_ms, revision=revision)
        self.socket: MarketSocket | None = None
        self.epoch = 0
        """Counts the times from which on we hear every change; a book asked for in an earlier one may lack some."""
        self.known_true_at: Millis = 0
        self.moved_at: Millis = 0
        self.named_at = self.viewed_at = now
        self.snapshot_ts_ms: Millis = 0
        """The stamp of the last REST book: socket messages older than it are part of it."""
        self.shown: tuple[str, Millis] = ("", 0)
        """The token and the stamp of the last full book that the socket brought."""
        self.carried: bytes | MarketMessage | None = None
        """The last message of changes since a full book, or its frame; what it says of ours is held against it."""
        self.prices_seen: bytes | MarketMessage | None = None
        """The one whose best prices were found to be ours."""
        self.hashed: bytes | MarketMessage | None = None
        """The one whose hash was made, and what it said."""
        self.hash_verdict = Verdict.UNKNOWN
        self.strikes = self.hash_strikes = 0
        self.hash_judged_at: Millis = 0
        self.has_matched_hash = False
        """Whether the recipe ever gave this token's hash: before, a hash that is not ours says nothing."""
        self.doubted_at: Millis | None = None
        self.is_confirmed = False
        """Whether the socket itself has sent this token's book since it was subscribed."""
        self.ask_again_at: Millis | None = None
        """When to ask for its book next: a missing seed, a doubt, a confirmation."""
        self.seed_tries = 0
        self.buffer: list[tuple[Millis, dict[Quote, Shares]]] = []
        self.dropped_ts_ms: Millis = 0
        """The newest stamp that did not fit into the buffer."""
        self.waiters: list[asyncio.Future[None]] = []
        self.settle_timer: asyncio.TimerHandle | None = None

    @property
    def is_struck(self) -> bool:
        """Whether something spoke against the book, and neither a full book nor a change has come since."""
        return self.strikes > 0 and self.carried is None

    @property
    def token_ids(self) -> tuple[str, ...]:
        """The tokens whose book this is."""
        return tuple(outcome.token_id for outcome in self.outcomes)

    def pair_with(self, twin_id: str) -> Outcome:
        """Let the market's other outcome see this book too."""
        twin = Outcome(self, twin_id, is_mirrored=True)
        twin.twin_id = self.token_id
        self.outcomes[0].twin_id = twin_id
        self.outcomes.append(twin)
        return twin

    def part(self) -> str:
        """Keep the book for its own outcome alone; return the token of the other."""
        twin = self.outcomes.pop()
        self.outcomes[0].twin_id = ""
        return twin.token_id

    def wake(self) -> None:
        """Wake everyone who waits for a change."""
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def next_change(self) -> None:
        """Wait for the next settled state or the loss of the book."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self.waiters:
                self.waiters.remove(waiter)

    @property
    def is_hashed(self) -> bool:
        """Whether the newest change's hash was made; what full books say needs none."""
        return self.hashed is self.carried

    @property
    def is_listening(self) -> bool:
        """Whether changes of this token reach us, so that a snapshot can be kept up to date; true without a socket."""
        return self.socket is None or (self.socket.is_open and self.token_id in self.socket.subscribed)

    def compare(self, full: FullBook) -> Agreement:
        """Compare a REST book with the one held."""
        book = self.book
        if book.agrees_with(full.levels):
            return Agreement.SAME
        if full.venue_ts_ms > book.venue_ts_ms:
            return Agreement.AHEAD
        past = book.states_of(full.venue_ts_ms)
        if not past or any(_levels_of(state.bids, state.asks) == full.levels for state in past):
            return Agreement.PAST
        return Agreement.DIFFERENT


class Outcome:
    """A token and the book it is traded on, read in the token's own prices."""

    __slots__ = ("_seen", "_shown", "is_mirrored", "quotes", "quotes_of_twin", "token_id", "tracked", "twin_id")

    def __init__(self, tracked: Tracked, token_id: str, *, is_mirrored: bool) -> None:
        self.tracked = tracked
        self.token_id = token_id
        self.twin_id = ""
        """The other outcome of the same book, "" if there is none."""
        self.is_mirrored = is_mirrored
        self.quotes, self.quotes_of_twin = QUOTES_OF_SIDE, MIRRORED_QUOTES_OF_SIDE
        """The book's own quotes by the sides and prices of this token, and of the other."""
        if is_mirrored:
            self.quotes, self.quotes_of_twin = self.quotes_of_twin, self.quotes
        self._seen: BookSnapshot | None = None
        self._shown: BookSnapshot | None = None

    def latest(self) -> BookSnapshot | None:
        """Return the newest settled state, None while there is no book."""
        state = self.tracked.book.latest()
        if not self.is_mirrored or state is None:
            return state
        if state is not self._seen:
            self._seen, self._shown = state, state.mirrored(self.token_id)
        return self._shown

    def book_at(self, at_ms: Millis) -> BookSnapshot | None:
        """Return the settled state that was the newest at that instant, None if none is kept."""
        state = self.tracked.book.book_at(at_ms)
        return state.mirrored(self.token_id) if self.is_mirrored and state is not None else state

    def states_after(self, revision: int) -> tuple[BookSnapshot, ...]:
        """Return every kept settled state newer than `revision`, oldest first."""
        states = self.tracked.book.states_after(revision)
        return tuple(state.mirrored(self.token_id) for state in states) if self.is_mirrored else states

    def levels(self, listed: dict[Quote, Shares]) -> dict[Quote, Shares]:
        """Return levels that the venue lists for this token as the book has them."""
        return mirrored_levels(listed) if self.is_mirrored else listed


def _levels_of(bids: tuple[tuple[int, int], ...], asks: tuple[tuple[int, int], ...]) -> dict[Quote, Shares]:
    return {**dict(bids), **{-price: size for price, size in asks}}
