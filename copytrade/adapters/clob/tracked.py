"""What is kept of one tracked token beside its book, and the figures of the whole store."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from copytrade.domain.order_book import LiveBook

if TYPE_CHECKING:
    from copytrade.adapters.clob.rest import FullBook
    from copytrade.adapters.clob.socket import MarketSocket
    from copytrade.adapters.clob.wire import MarketMessage
    from copytrade.domain.book_history import Quote
    from copytrade.domain.units import Millis, Shares

BUFFERED_MESSAGES_MAX: Final = 500
"""Changes kept for a token that waits for its snapshot; beyond, only a snapshot that includes the oldest will do."""


@dataclass(slots=True)
class BookCounters:
    """What happened since the start."""

    plain_messages: int = 0
    """Frames with one price change, not counted with the others."""
    frames: int = 0
    messages: int = 0
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
    """One token: its book, where it comes from and when it was last known true (monotonic)."""

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
        "is_confirmed",
        "known_true_at",
        "moved_at",
        "named_at",
        "seed_tries",
        "settle_timer",
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
        self.book = LiveBook(token_id, history_ms=history_ms, revision=revision)
        self.socket: MarketSocket | None = None
        self.epoch = 0
        """Counts the times from which on we hear every change; a book asked for in an earlier one may lack some."""
        self.known_true_at: Millis = 0
        self.moved_at: Millis = 0
        self.named_at = self.viewed_at = now
        self.snapshot_ts_ms: Millis = 0
        """The stamp of the last REST book: socket messages older than it are part of it."""
        self.carried: bytes | MarketMessage | None = None
        """The last message of changes, or its frame: what it says of the book is yet to be compared with ours."""
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
        self.buffer: list[tuple[Millis, list[tuple[Quote, Shares]]]] = []
        self.dropped_ts_ms: Millis = 0
        """The newest stamp that did not fit into the buffer."""
        self.waiters: list[asyncio.Future[None]] = []
        self.settle_timer: asyncio.TimerHandle | None = None

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


def _levels_of(bids: tuple[tuple[int, int], ...], asks: tuple[tuple[int, int], ...]) -> dict[Quote, Shares]:
    return {**dict(bids), **{-price: size for price, size in asks}}
