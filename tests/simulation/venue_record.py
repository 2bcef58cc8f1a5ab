"""What the venue showed and printed, at every time, from its own books: what a copy may be held against."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from operator import itemgetter

from copytrade.domain.fills import Side
from copytrade.domain.units import MICRO, format_micro
from copytrade.sandbox.events import BUY
from copytrade.sandbox.happening import BookChanged, Happening, MarketOpened, TradePrinted
from copytrade.sandbox.market import YES, Market
from copytrade.sandbox.micro import lots_down
from copytrade.sandbox.world import World

Touch = tuple[str, str]
"""Best bid and best ask, "none" for an empty side."""

_BOOK = (YES, 1 - YES)


@dataclass(slots=True)
class Level:
    """One price of one side of a market's first outcome, and its size since each time."""

    times: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def note(self, at_ms: int, size: int) -> None:
        if not self.sizes or self.sizes[-1] != size:
            self.times.append(at_ms)
            self.sizes.append(size)

    def most(self, first_ms: int, last_ms: int) -> int:
        """Return the largest size that stood at some instant of that time."""
        start = max(0, bisect_right(self.times, first_ms) - 1)
        end = bisect_right(self.times, last_ms)
        return max(self.sizes[start:end], default=0)

    def constant_spans(self) -> list[tuple[int, int, int]]:
        """Return (from, to, size) of every time in which the size did not change."""
        ends = [*self.times[1:], 1 << 62]
        return list(zip(self.times, ends, self.sizes, strict=True))


@dataclass(frozen=True, slots=True)
class Print:
    """A trade as it was printed, of the taker's own outcome."""

    at_ms: int
    side: Side
    price: int
    size: int

    def mirrored(self) -> Print:
        """Return the same trade seen from the other outcome."""
        other = Side.SELL if self.side is Side.BUY else Side.BUY
        return Print(self.at_ms, other, MICRO - self.price, self.size)


class VenueRecord:
    """Listens to a world from now on; all times are the world's own, and not its stamps, which may be ahead of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._levels: dict[tuple[str, bool, int], Level] = defaultdict(Level)
        self._prices: dict[tuple[str, bool], set[int]] = defaultdict(set)
        self._touches: dict[str, list[tuple[int, Touch]]] = defaultdict(list)
        self._prints: dict[str, list[Print]] = defaultdict(list)
        for market in world.exchange.catalogue.all():
            self._note_all(market)
        world.listen(self._on)

    def touches(self, token_id: str, first_ms: int, last_ms: int) -> set[Touch]:
        """Return every touch that stood at some instant of that time."""
        history = self._touches[token_id]
        start = max(0, bisect_right(history, first_ms, key=itemgetter(0)) - 1)
        end = bisect_right(history, last_ms, key=itemgetter(0))
        return {touch for _, touch in history[start:end]}

    def level(self, token_id: str, price: int, *, side: Side) -> Level:
        """Return the level that a taker of that side meets at a price of that token."""
        market, outcome = self._place_of(token_id)
        is_bid = (side is Side.SELL) == (outcome == YES)
        return self._levels[market.condition, is_bid, price if outcome == YES else MICRO - price]

    def most_within(self, token_id: str, limit: int, first_ms: int, last_ms: int, *, side: Side) -> int:
        """Return at least what stood for a taker of that side within a limit, at any instant of that time."""
        market, outcome = self._place_of(token_id)
        is_bid = (side is Side.SELL) == (outcome == YES)
        own = ((price if outcome == YES else MICRO - price) for price in self._prices[market.condition, is_bid])
        within = [price for price in own if (price <= limit if side is Side.BUY else price >= limit)]
        return sum(self.level(token_id, price, side=side).most(first_ms, last_ms) for price in within)

    def printed(self, token_id: str, limit: int, first_ms: int, last_ms: int, *, against: Side) -> int:
        """Return how much takers traded against resting orders of a side at a limit or through it."""
        prints = self._prints[token_id]
        start = bisect_left(prints, first_ms, key=lambda one: one.at_ms)
        end = bisect_right(prints, last_ms, key=lambda one: one.at_ms)
        return sum(
            one.size
            for one in prints[start:end]
            if one.side is not against and (one.price <= limit if against is Side.BUY else one.price >= limit)
        )

    def _place_of(self, token_id: str) -> tuple[Market, int]:
        market = self._world.exchange.catalogue.by_token_text(token_id)
        if market is None:
            raise LookupError(f"the venue has no token {token_id}")
        return market, market.outcome_of(int(token_id))

    def _on(self, happening: Happening) -> None:
        if isinstance(happening, BookChanged):
            for message in happening.messages:
                for change in message:
                    self._note_level(happening.market, change.is_bid, change.price, change.size, self._world.now_ms)
            self._note_touches(happening.market)
        elif isinstance(happening, MarketOpened):
            self._note_all(happening.market)
        elif isinstance(happening, TradePrinted):
            side = Side.BUY if happening.side == BUY else Side.SELL
            told = Print(self._world.now_ms, side, happening.price, happening.size)
            for outcome, token in enumerate(happening.market.tokens):
                self._prints[str(token)].append(told if outcome == happening.outcome else told.mirrored())

    def _note_all(self, market: Market) -> None:
        bids, asks = self._world.exchange.book(market).view(YES)
        for is_bid, side in ((True, bids), (False, asks)):
            for price, size in side:
                self._note_level(market, is_bid, price, size, self._world.now_ms)
        self._note_touches(market)

    def _note_level(self, market: Market, is_bid: bool, price: int, size: int, at_ms: int) -> None:
        self._prices[market.condition, is_bid].add(price)
        self._levels[market.condition, is_bid, price].note(at_ms, lots_down(size))

    def _note_touches(self, market: Market) -> None:
        for outcome, token in enumerate(market.tokens):
            bids, asks = self._world.exchange.book(market).view(outcome)
            history, touch = self._touches[str(token)], (_shown(bids), _shown(asks))
            if not history or history[-1][1] != touch:
                history.append((self._world.now_ms, touch))


def _shown(levels: list) -> str:
    best = next((level for level in reversed(levels) if lots_down(level.size)), None)
    return "none" if best is None else format_micro(best.price)
