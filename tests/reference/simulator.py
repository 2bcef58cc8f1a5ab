"""A second, naive paper venue, written from the rules alone and sharing no code with the first.

It looks at every millisecond, in decimals, and works out what is left of a level by reading all states
again. Slow and obvious on purpose. One token at a time: tokens do not touch each other.

The rules:

 1. An order is placed at its instant and judged against the book as it stood then. What the venue refuses
    (closed market, off the tick, off the lot, below the minimum size) ends there.
 2. With a crossing book it is marketable: a BUY under one dollar is refused; the venue holds it for its
    delay, then it takes the levels up to its limit at their own prices, as a taker, with one fee at the
    average price. Not crossing, it rests at once.
 3. Without a book, or with a crossed one, it waits: the next good state is when it arrives, or is released.
 4. At rest, each later good state that crosses the limit fills it at the limit, as a maker, without a fee,
    up to what crosses. Among resting orders the better limit goes first, then the earlier, then the id.
 5. What our orders took from a level is gone until a state says another size for that level.
 6. It ends at placement plus TTL, that instant included; a cancel moves the end forward, never before the
    placement and never into the hold. Never judged against a book it ends as NO_BOOK.
 7. Within one instant: states, then arrivals and releases in order of (placed, id), then endings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

MILLIONTH = Decimal("0.000001")
HUNDRED_THOUSANDTH = Fraction(1, 100_000)


@dataclass
class RefState:
    """A book as stated at an instant; both sides None when the book was lost then."""

    at: int
    bids: dict[Decimal, Decimal] | None
    asks: dict[Decimal, Decimal] | None

    @property
    def good(self):
        if self.bids is None or self.asks is None:
            return False
        return not (self.bids and self.asks and max(self.bids) >= min(self.asks))


@dataclass
class RefMarket:
    tick: Decimal
    min_size: Decimal
    fee_rate: Decimal
    fee_exponent: int
    delay: int
    is_open: bool


@dataclass
class RefOrder:
    id: str
    side: str
    limit: Decimal
    size: Decimal
    placed: int
    ttl: int
    cancel_at: int | None = None
    where: str = "in flight"
    release: int | None = None
    left: Decimal = field(init=False)
    fills: list = field(default_factory=list)
    ending: tuple | None = None

    def __post_init__(self):
        self.left = self.size

    @property
    def end(self):
        end = self.placed + self.ttl
        if self.cancel_at is not None:
            end = min(end, max(self.cancel_at, self.placed))
        if self.release is not None:
            end = max(end, self.release)
        return end


class ReferenceVenue:
    def __init__(self, market, states, orders):
        self.market = market
        self.states = states
        self.orders = sorted(orders, key=lambda order: (order.placed, order.id))
        self.takes = []
        self.current = None

    def run(self):
        first = min([order.placed for order in self.orders] + [state.at for state in self.states])
        now = first
        while any(order.ending is None for order in self.orders):
            self.one_millisecond(now)
            now += 1
        return self.orders

    def one_millisecond(self, now):
        for index, state in enumerate(self.states):
            if state.at == now:
                self.current = index
                if state.good:
                    self.new_state(now)
        for order in self.orders:
            if order.where == "in flight" and order.placed == now:
                self.place(order, now)
            elif order.where == "held" and order.release == now:
                order.where = "released"
                if self.has_good_book():
                    self.take_at_level_prices(order, now)
        for order in self.orders:
            alive = order.ending is None and order.where not in ("in flight", "held")
            if alive and now >= order.end:
                self.finish(order, now)

    def has_good_book(self):
        return self.current is not None and self.states[self.current].good

    def new_state(self, now):
        resting = [order for order in self.orders if order.ending is None and order.where == "resting"]
        resting.sort(key=lambda order: (-order.limit if order.side == "BUY" else order.limit, order.placed, order.id))
        waiting = [order for order in self.orders if order.ending is None and order.where in ("waiting", "released")]
        for order in resting:
            self.fill_at_limit(order, now)
        for order in waiting:
            if order.where == "waiting":
                self.arrive(order, now)
            else:
                self.take_at_level_prices(order, now)

    def place(self, order, now):
        market = self.market
        if not market.is_open:
            order.ending = ("FAILED", "MARKET_NOT_ACCEPTING", now)
        elif not market.tick <= order.limit <= 1 - market.tick:
            order.ending = ("FAILED", "PRICE_OUT_OF_RANGE", now)
        elif order.limit % market.tick != 0:
            order.ending = ("FAILED", "OFF_TICK", now)
        elif order.size % Decimal("0.01") != 0:
            order.ending = ("FAILED", "OFF_LOT", now)
        elif order.size < market.min_size:
            order.ending = ("FAILED", "SIZE_BELOW_MINIMUM", now)
        elif self.has_good_book():
            self.arrive(order, now)
        else:
            order.where = "waiting"

    def arrive(self, order, now):
        if not self.what_crosses(order):
            order.where = "resting"
        elif order.side == "BUY" and order.size * order.limit < 1:
            order.ending = ("FAILED", "BELOW_MARKETABLE_MINIMUM", now)
        elif self.market.delay > 0:
            order.where = "held"
            order.release = now + self.market.delay
        else:
            self.take_at_level_prices(order, now)

    def what_crosses(self, order):
        """Give (price, what is left there) of every level the order may trade with, best first."""
        state = self.states[self.current]
        if order.side == "BUY":
            levels = [(price, size) for price, size in sorted(state.asks.items()) if price <= order.limit]
        else:
            levels = [(price, size) for price, size in sorted(state.bids.items(), reverse=True) if price >= order.limit]
        found = []
        for price, size in levels:
            left = size - self.gone(order.side, price, size)
            if left > 0:
                found.append((price, left))
        return found

    def gone(self, side, price, size):
        total = Decimal(0)
        for taken_in, taken_side, taken_price, shares in self.takes:
            if taken_side != side or taken_price != price:
                continue
            if all(self.stated(index, side, price) == size for index in range(taken_in, self.current + 1)):
                total += shares
        return total

    def stated(self, index, side, price):
        """Give what a state says about a level; a lost book says nothing, so what was last said holds."""
        while self.states[index].asks is None:
            index -= 1
        state = self.states[index]
        return (state.asks if side == "BUY" else state.bids).get(price)

    def take(self, order, price, shares):
        self.takes.append((self.current, order.side, price, shares))
        order.left -= shares

    def take_at_level_prices(self, order, now):
        order.where = "resting"
        taken = []
        for price, there in self.what_crosses(order):
            shares = min(there, order.left)
            if shares > 0:
                self.take(order, price, shares)
                taken.append((price, shares))
        for (price, shares), fee in zip(taken, self.fees(taken), strict=True):
            order.fills.append((now, price, shares, fee, "taker"))
        self.finish_if_filled(order, now)

    def fill_at_limit(self, order, now):
        total = Decimal(0)
        for price, there in self.what_crosses(order):
            shares = min(there, order.left)
            if shares > 0:
                self.take(order, price, shares)
                total += shares
        if total > 0:
            order.fills.append((now, order.limit, total, Decimal(0), "maker"))
        self.finish_if_filled(order, now)

    def fees(self, taken):
        """Give what each level bears of the fee at the average price: hundred-thousandths, by its own fee alone."""
        if not taken:
            return []
        shares = sum(shares for _, shares in taken)
        average = sum(Fraction(price) * Fraction(shares) for price, shares in taken) / Fraction(shares)
        whole = self.exact_fee(average, Fraction(shares)) // HUNDRED_THOUSANDTH
        alone = [self.exact_fee(Fraction(price), Fraction(shares)) for price, shares in taken]
        fees, given = [], 0
        for number in range(1, len(taken) + 1):
            due = whole * sum(alone[:number]) // sum(alone) if self.market.fee_rate else 0
            fees.append(Decimal(due - given) / 100_000)
            given = due
        return fees

    def exact_fee(self, price, shares):
        return shares * Fraction(self.market.fee_rate) * (price * (1 - price)) ** self.market.fee_exponent

    def finish_if_filled(self, order, now):
        if order.left == 0:
            order.ending = ("FILLED", None, now)

    def finish(self, order, now):
        cancelled = order.cancel_at is not None and max(order.cancel_at, order.placed) < order.placed + order.ttl
        if cancelled:
            code = "CANCELED_BY_US"
        elif order.where == "resting":
            code = "TTL_EXPIRED"
        else:
            code = "NO_BOOK"
        order.ending = ("CANCELED", code, now)
