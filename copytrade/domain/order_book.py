"""The live book of one token and its recent past: exact, in memory, without a clock of its own.

A dictionary of levels with sorted prices beside it copes with every tick, a tick that changes and prices
off the grid, and costs about as much as lists indexed by tick, which do not.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Final

from copytrade.domain.book_history import Quote, Stretch, packed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from copytrade.domain.book import BookSnapshot
    from copytrade.domain.units import Millis, Price, Shares

CHECKPOINT_CHANGES: Final = 256
"""A stretch of history ends after this many changes, or after as many as the book had levels if those are more."""

_AT: Final = itemgetter(3)
_STARTED_AT: Final = attrgetter("at_ms")


class LiveBook:
    """One token's book, changed in place, and every settled state of the last `history_ms`.

    Several messages may carry one venue timestamp, and between them the book may be crossed: half of a sweep
    was applied. A crossed state is settled by a message with another timestamp or by `settle`; every other
    state is settled at once. The caller's instants must not go back but with `restart`, the venue's timestamps
    not while there is a book.
    """

    __slots__ = (
        "_asks",
        "_bids",
        "_changes",
        "_checkpoint_at",
        "_history_ms",
        "_latest",
        "_levels",
        "_room",
        "_stretch",
        "_stretches",
        "_unsettled",
        "is_pending",
        "is_seeded",
        "token_id",
        "venue_ts_ms",
    )

    def __init__(self, token_id: str, *, history_ms: Millis, revision: int = 0) -> None:
        """Start without a book; its states will have revisions above `revision`."""
        self.token_id = token_id
        self.venue_ts_ms: Millis = 0
        self.is_seeded = False
        self.is_pending = False
        self._room = 0
        self._history_ms = history_ms
        self._stretches: list[Stretch] = []
        self._latest: BookSnapshot | None = None
        self._hold({})
        self._begin(Stretch(at_ms=0, venue_ts_ms=0, revision=revision, levels=None))

    @property
    def revision(self) -> int:
        """The revision of the newest settled state."""
        return self._stretch.revision + 1 + self._stretch.settled_up_to(len(self._changes) - 1)

    @property
    def levels(self) -> Mapping[Quote, Shares]:
        """Every level now, settled or not; not a copy."""
        return self._levels

    @property
    def changed_at_ms(self) -> Millis:
        """When the last change was applied or settled, in our time."""
        return self._changes[-1][3] if self._changes else self._stretch.at_ms

    @property
    def best_bid(self) -> Price | None:
        """The highest bid now, settled or not."""
        return self._bids[-1] if self._bids else None

    @property
    def best_ask(self) -> Price | None:
        """The lowest ask now, settled or not."""
        return -self._asks[-1] if self._asks else None

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is at or above the best ask now, settled or not."""
        return bool(self._bids and self._asks) and self._bids[-1] + self._asks[-1] >= 0

    def change(self, quote: Quote, size: Shares, venue_ts_ms: Millis, at_ms: Millis) -> None:
        """Set the size at one price, zero removes the level: all that one message says of this token."""
        if not self.try_change(quote, size, venue_ts_ms, at_ms):
            self.change_many(((quote, size),), venue_ts_ms, at_ms)

    def try_change(self, quote: Quote, size: Shares, venue_ts_ms: Millis, at_ms: Millis) -> bool:
        """Do the same if it is plain: the book is not crossed by it, not newer, and amid a stretch of its history."""
        # Written out instead of calling _set and is_crossed: this runs for every change of every token.
        changes = self._changes
        if len(changes) >= self._room or venue_ts_ms < self.venue_ts_ms:
            return False
        levels = self._levels
        if size:
            if quote not in levels:
                side, other = (self._bids, self._asks) if quote > 0 else (self._asks, self._bids)
                if other and quote + other[-1] >= 0:
                    return False
                insort(side, quote)
            levels[quote] = size
        elif quote in levels:
            del levels[quote]
            side = self._bids if quote > 0 else self._asks
            if side[-1] == quote:
                side.pop()
            else:
                del side[bisect_left(side, quote)]
        self.venue_ts_ms = venue_ts_ms
        changes.append((quote, size, venue_ts_ms, at_ms))
        return True

    def change_many(self, changed: Iterable[tuple[Quote, Shares]], venue_ts_ms: Millis, at_ms: Millis) -> None:
        """Apply one message with several changes to this token: one new state, not one for each."""
        if self.is_pending and venue_ts_ms != self.venue_ts_ms:
            self.settle(at_ms)
        if not self.is_pending and len(self._changes) >= self._checkpoint_at:
            self._checkpoint()
        changes = self._changes
        for quote, size in changed:
            self._set(quote, size)
            self._unsettled.add(len(changes))
            changes.append((quote, size, venue_ts_ms, at_ms))
        self.venue_ts_ms = venue_ts_ms
        self._judge()
        if not self.is_pending:
            self._unsettled.discard(len(changes) - 1)

    @property
    def has_two_ends(self) -> bool:
        """Whether changes of the newest stamp say different things of one level: nobody knows which came last."""
        said: dict[Quote, Shares] = {}
        for quote, size, venue_ts_ms, _ in reversed(self._changes):
            if venue_ts_ms != self.venue_ts_ms:
                return False
            if said.setdefault(quote, size) != size:
                return True
        return False

    def settle(self, at_ms: Millis) -> None:
        """Take a pending state for what it is: from now on the book is really crossed."""
        if not self.is_pending:
            return
        self.is_pending = False
        last = len(self._changes) - 1
        self._unsettled.discard(last)
        if last < 0:
            self._stretch.at_ms = at_ms
        else:
            quote, size, venue_ts_ms, _ = self._changes[last]
            self._changes[last] = (quote, size, venue_ts_ms, at_ms)

    def replace(self, levels: Mapping[Quote, Shares], venue_ts_ms: Millis, at_ms: Millis) -> None:
        """Take a full book for the truth; it makes a new state only if it differs from the one held."""
        if not self.is_seeded:
            self._seed(levels, venue_ts_ms, at_ms)
            return
        held = self._levels
        if held == levels:
            self.venue_ts_ms = venue_ts_ms
            return
        size_at = held.get
        changed = [(quote, size) for quote, size in levels.items() if size_at(quote) != size]
        if len(held) + sum(quote not in held for quote, _ in changed) != len(levels):
            changed[:0] = [(quote, 0) for quote in held if quote not in levels]
        self.change_many(changed, venue_ts_ms, at_ms)

    def clear(self, at_ms: Millis) -> None:
        """Forget the book: from now on there is none; what came before stays in the history."""
        if not self.is_seeded:
            return
        revision = self._stretch.revision + len(self._changes)
        self.is_seeded = self.is_pending = False
        self.venue_ts_ms = 0
        self._latest = None
        self._hold({})
        self._begin(Stretch(at_ms=at_ms, venue_ts_ms=0, revision=revision, levels=None))
        self._room = 0

    def restart(self, at_ms: Millis) -> None:
        """Forget the past and hold what is held as a new state of that instant, which may be before the last one."""
        self._stretches.clear()
        if self.is_seeded:
            self._latest = None
            self._seed(self._levels, self.venue_ts_ms, at_ms)
        else:
            self._begin(Stretch(at_ms=at_ms, venue_ts_ms=0, revision=self._stretch.revision, levels=None))

    def agrees_with(self, levels: Mapping[Quote, Shares]) -> bool:
        """Whether the book, settled or not, has exactly these levels."""
        return self.is_seeded and self._levels == levels

    def latest(self) -> BookSnapshot | None:
        """Return the newest settled state, None while there is no book."""
        if not self.is_seeded:
            return None
        number = self._stretch.settled_up_to(len(self._changes) - 1)
        if self._latest is None or self._latest.revision != self._stretch.revision + 1 + number:
            levels = self._levels if number == len(self._changes) - 1 else None
            self._latest = self._stretch.state(number, self.token_id, levels=levels)
        return self._latest

    def book_at(self, at_ms: Millis) -> BookSnapshot | None:
        """Return the settled state that was the newest at that instant, None if none is kept."""
        number = bisect_right(self._stretches, at_ms, key=_STARTED_AT) - 1
        if number < 0:
            return None
        stretch = self._stretches[number]
        return stretch.state(stretch.settled_up_to(bisect_right(stretch.changes, at_ms, key=_AT) - 1), self.token_id)

    def states_after(self, revision: int) -> tuple[BookSnapshot, ...]:
        """Return every kept settled state newer than `revision`, oldest first."""
        return tuple(
            state
            for stretch in self._stretches
            if stretch.revision + len(stretch.changes) > revision
            for state in stretch.states_after(revision, self.token_id)
        )

    def states_of(self, venue_ts_ms: Millis) -> tuple[BookSnapshot, ...]:
        """Return the settled states that carry the newest venue timestamp up to this one.

        None if they are older than the history or than the last time the book was lost.
        """
        for stretch in reversed(self._stretches):
            if stretch.levels is None:
                return ()
            if found := stretch.states_of(venue_ts_ms, self.token_id):
                return found
        return ()

    def _seed(self, levels: Mapping[Quote, Shares], venue_ts_ms: Millis, at_ms: Millis) -> None:
        self._hold(levels)
        self.is_seeded = True
        self.venue_ts_ms = venue_ts_ms
        levels_then = packed(self._levels)
        revision = self._stretch.revision + len(self._changes) + 1
        self._begin(Stretch(at_ms=at_ms, venue_ts_ms=venue_ts_ms, revision=revision, levels=levels_then, is_new=True))
        self._judge()
        if self.is_pending:
            self._unsettled.add(-1)

    def _checkpoint(self) -> None:
        """Start a new stretch with the settled state that the last change made."""
        _, _, venue_ts_ms, at_ms = self._changes[-1]
        revision = self._stretch.revision + len(self._changes)
        # A copy is made ten times faster than packed; the few there are while a token is busy are worth the memory.
        copied = self._levels.copy()
        self._begin(Stretch(at_ms=at_ms, venue_ts_ms=venue_ts_ms, revision=revision, levels=copied))

    def _begin(self, stretch: Stretch) -> None:
        """Start a stretch and drop those that ended before the history does."""
        self._stretch, self._changes, self._unsettled = stretch, stretch.changes, stretch.unsettled
        self._checkpoint_at = max(CHECKPOINT_CHANGES, len(self._levels))
        self._stretches.append(stretch)
        oldest = bisect_right(self._stretches, stretch.at_ms - self._history_ms, key=_STARTED_AT) - 1
        if oldest > 0:
            del self._stretches[:oldest]

    def _judge(self) -> None:
        """Say whether the state just made is crossed, and how many plain changes may follow it."""
        self.is_pending = self.is_crossed
        self._room = 0 if self.is_pending else self._checkpoint_at

    def _hold(self, levels: Mapping[Quote, Shares]) -> None:
        self._levels: dict[Quote, Shares] = dict(levels)
        self._bids: list[Quote] = sorted(quote for quote in levels if quote > 0)
        self._asks: list[Quote] = sorted(quote for quote in levels if quote < 0)

    def _set(self, quote: Quote, size: Shares) -> None:
        levels = self._levels
        side = self._bids if quote > 0 else self._asks
        if size:
            if quote not in levels:
                insort(side, quote)
            levels[quote] = size
        elif quote in levels:
            del levels[quote]
            del side[bisect_left(side, quote)]
