"""A second, naive paper venue, written from the rules alone and sharing no code with the first.

It looks at every millisecond, in decimals, and works out what is left of a level by reading all states
again. Slow and obvious on purpose. One market at a time: markets do not touch each other.

The rules:

 1. An order is placed at its instant and judged against the book as it stood then. What the venue refuses
    (closed market, off the tick, off the lot, below the minimum size, too short for a GTD) ends there.
 2. With a crossing book it is marketable: a BUY under one dollar and a post-only order are refused; the venue
    holds it for its delay, then it takes the levels up to its limit at their own prices, as a taker, with one
    fee at the average price. Not crossing, it rests at once.
 3. Without a book, or with a crossed one, it waits: the next good state is when it arrives, or is released.
 4. At rest, each later good state that crosses the limit fills it at the limit, as a maker, without a fee,
    up to what crosses. Among resting orders the better limit goes first, then the earlier, then the id.
 5. What our orders took from a level is gone until a state says another size for that level. There is one
    book: buying the first outcome and selling the second take from the same levels.
 6. It ends at placement plus TTL, that instant included; a cancel moves the end forward, never before the
    placement and never into the hold. Never judged against a book it ends as NO_BOOK.
 7. Within one instant: states, then the tape, then arrivals and releases in order of (placed, id), then endings.
 8. A FAK never rests: what it does not get at once is killed. A FOK gets all at once or nothing. To buy, both
    spend whole cents: size times limit, cut, and never have more shares than their size.
 9. At rest an order stands behind what is displayed at its price. Shares that leave its side are remembered for
    a second, by the stamp they left with. At its own price they leave from behind it while anybody is there.
10. A trade against its side, when printed, is what left with one stamp: as much as it, or the least above that,
    else the most, counting prices as good as its own or better; of equals the oldest. It explains these shares, of
    the best price first. What it explains at the limit and beyond, but for those that left from ahead, first serves
    who is still ahead; the rest fills the order at its limit. Orders of ours share one trade in the order of rule 4.
11. A new tick ends what rests off it, and the market's resolution ends all; what is held learns of it at its
    release, what is on its way when it arrives, if it was decided before.
12. A GTD ends with the whole second in which its TTL is over, and must live for two minutes or more.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from fractions import Fraction

from tests.reference.said import CENT

MILLIONTH = Decimal("0.000001")
HUNDRED_THOUSANDTH = Fraction(1, 100_000)
MEMORY = 1_000


class ReferenceVenue:
    def __init__(self, market, states, tape, orders):
        self.market = market
        self.states = states
        self.tape = tape
        self.orders = sorted(orders, key=lambda order: (order.placed, order.id))
        self.takes = []
        self.current = None

    def run(self):
        now = min([order.placed for order in self.orders] + [state.at for state in self.states])
        now = min([now, *(word.at for word in self.tape)])
        while any(order.ending is None for order in self.orders):
            self.one_millisecond(now)
            now = now + 1 if now < self.last_news() else max(now + 1, self.next_end())
        return self.orders

    def last_news(self):
        """Give the instant after which orders end, and nothing else happens."""
        news = [state.at for state in self.states] + [word.at for word in self.tape]
        return max(news + [order.placed for order in self.orders]) + self.market.delay

    def next_end(self):
        return min((order.end for order in self.orders if order.ending is None), default=0)

    def one_millisecond(self, now):
        for index, state in enumerate(self.states):
            if state.at == now:
                self.current = index
                if state.good:
                    self.new_state(now)
        for word in self.tape:
            if word.at == now:
                self.new_word(word, now)
        for order in self.orders:
            if order.where == "in flight" and order.placed == now:
                self.place(order, now)
            elif order.where == "held" and order.release == now:
                self.let_go(order, now)
        for order in self.orders:
            if self.is_there(order) and now >= order.end:
                self.finish(order, now)

    def is_there(self, order):
        return order.ending is None and order.where not in ("in flight", "held")

    def has_good_book(self):
        return self.current is not None and self.states[self.current].good

    def resting(self):
        there = [order for order in self.orders if order.ending is None and order.where == "resting"]
        return sorted(there, key=lambda order: (order.rank, order.placed, order.id))

    def new_state(self, now):
        waiting = [order for order in self.orders if order.ending is None and order.where in ("waiting", "released")]
        for order in self.resting():
            self.look_who_left(order, now)
        for order in self.resting():
            self.fill_at_limit(order, now)
        for order in waiting:
            if order.where == "waiting":
                self.arrive(order, now)
            else:
                self.take_at_level_prices(order, now)

    def own_side(self, order, index):
        state = self.states[index]
        return state.bids if order.is_bid else state.asks

    def look_who_left(self, order, now):
        before = max(index for index in range(self.current) if self.states[index].good)
        was, is_now = self.own_side(order, before), self.own_side(order, self.current)
        limit = order.own(order.limit)
        if all(is_now.get(price, 0) >= size for price, size in was.items()):
            return
        from_ahead = max(order.ahead - is_now.get(limit, 0), Decimal(0))
        order.ahead -= from_ahead
        for price, size in was.items():
            left = size - is_now.get(price, 0)
            if left > 0 and price == limit and from_ahead > 0:
                order.missing.append([now, price, "ahead", from_ahead])
                left -= from_ahead
            if left > 0:
                order.missing.append([now, price, "others", left])

    def new_word(self, word, now):
        if word.what == "trade" and self.market.queues:
            self.share(word, now)
        for order in [order for order in self.orders if self.is_there(order)]:
            if word.what == "tick" and order.limit % word.price != 0:
                order.ending = ("CANCELED", "TICK_CHANGED", now)
            elif word.what == "resolved":
                order.ending = ("CANCELED", "MARKET_RESOLVED", now)

    def share(self, word, now):
        taker_buys = (word.side == "BUY") == (word.outcome == "first")
        price = word.price if word.outcome == "first" else 1 - word.price
        given = Decimal(0)
        for order in self.resting():
            if order.is_bid == taker_buys:
                continue
            shares = min(order.left, self.reaches(order, price, word.size, given, now))
            if shares > 0:
                given += shares
                order.left -= shares
                order.fills.append((now, order.limit, shares, Decimal(0), "maker"))
                self.finish_if_filled(order, now)

    def reaches(self, order, price, volume, given, now):
        limit, sign = order.own(order.limit), 1 if order.is_bid else -1
        as_good = [part for part in order.missing if part[0] >= now - MEMORY and sign * part[1] >= sign * price]
        stamps = [stamp for stamp in {part[0] for part in as_good} if self.left_with(stamp, as_good) > 0]
        if not stamps:
            return Decimal(0)
        enough = [stamp for stamp in stamps if self.left_with(stamp, as_good) >= volume]
        if enough:
            stamp = min(enough, key=lambda stamp: (self.left_with(stamp, as_good), stamp))
        else:
            stamp = min(stamps, key=lambda stamp: (-self.left_with(stamp, as_good), stamp))
        passed = Decimal(0)
        parts = [part for part in as_good if part[0] == stamp]
        for part in sorted(parts, key=lambda part: (-sign * part[1], part[2] != "ahead")):
            used = min(part[3], volume)
            part[3] -= used
            volume -= used
            if part[2] != "ahead" and sign * part[1] <= sign * limit:
                passed += used
        passed = max(passed - given, Decimal(0))
        served = min(order.ahead, passed)
        order.ahead -= served
        return passed - served

    def left_with(self, stamp, parts):
        return sum(part[3] for part in parts if part[0] == stamp)

    def tick_for(self, order, now):
        ticks = [word.price for word in self.tape if word.what == "tick" and order.decided < word.at <= now]
        return ticks[-1] if ticks else self.market.tick

    def is_resolved_for(self, order, now):
        return any(word.what == "resolved" and order.decided < word.at <= now for word in self.tape)

    def place(self, order, now):
        market, tick = self.market, self.tick_for(order, now)
        if not market.is_open or self.is_resolved_for(order, now):
            order.ending = ("FAILED", "MARKET_NOT_ACCEPTING", now)
        elif not tick <= order.limit <= 1 - tick:
            order.ending = ("FAILED", "PRICE_OUT_OF_RANGE", now)
        elif order.limit % tick != 0:
            order.ending = ("FAILED", "OFF_TICK", now)
        elif order.size % CENT != 0:
            order.ending = ("FAILED", "OFF_LOT", now)
        elif order.size < market.min_size and order.kind not in ("FAK", "FOK"):
            order.ending = ("FAILED", "SIZE_BELOW_MINIMUM", now)
        elif order.kind == "GTD" and order.expiry - order.placed < 120_000:
            order.ending = ("FAILED", "INVALID_EXPIRATION", now)
        elif self.has_good_book():
            self.arrive(order, now)
        else:
            order.where = "waiting"

    def let_go(self, order, now):
        order.where = "released"
        if self.is_resolved_for(order, now):
            order.ending = ("CANCELED", "MARKET_RESOLVED", now)
        elif order.limit % self.tick_for(order, now) != 0:
            order.ending = ("CANCELED", "TICK_CHANGED", now)
        elif self.has_good_book():
            self.take_at_level_prices(order, now)

    def arrive(self, order, now):
        worth = order.size * order.limit if order.money is None else order.money
        if not self.what_crosses(order):
            self.rest_or_kill(order, now)
        elif order.kind == "POST_ONLY":
            order.ending = ("FAILED", "POST_ONLY_CROSSES", now)
        elif order.side == "BUY" and worth < 1:
            order.ending = ("FAILED", "BELOW_MARKETABLE_MINIMUM", now)
        elif self.market.delay > 0:
            order.where = "held"
            order.release = now + self.market.delay
        else:
            self.take_at_level_prices(order, now)

    def rest_or_kill(self, order, now):
        if order.kind == "FOK":
            order.ending = ("CANCELED", "FOK_NOT_FILLED", now)
        elif order.kind == "FAK":
            order.ending = ("CANCELED", "FAK_REST_KILLED" if order.fills else "FAK_NOT_FILLED", now)
        else:
            order.where = "resting"
            order.ahead = self.own_side(order, self.current).get(order.own(order.limit), Decimal(0))

    def what_crosses(self, order):
        """Give (price on the book, what is left there) of every level the order may trade with, best first."""
        state, limit = self.states[self.current], order.own(order.limit)
        if order.is_bid:
            levels = [(price, size) for price, size in sorted(state.asks.items()) if price <= limit]
        else:
            levels = [(price, size) for price, size in sorted(state.bids.items(), reverse=True) if price >= limit]
        found = []
        for price, size in levels:
            left = size - self.gone(order.is_bid, price, size)
            if left > 0:
                found.append((price, left))
        return found

    def gone(self, is_bid, price, size):
        total = Decimal(0)
        for taken_in, taken_by_bid, taken_price, shares in self.takes:
            if taken_by_bid != is_bid or taken_price != price:
                continue
            if all(self.stated(index, is_bid, price) == size for index in range(taken_in, self.current + 1)):
                total += shares
        return total

    def stated(self, index, is_bid, price):
        """Give what a state says about a level; a lost book says nothing, so what was last said holds."""
        while self.states[index].asks is None:
            index -= 1
        state = self.states[index]
        return (state.asks if is_bid else state.bids).get(price)

    def take(self, order, price, shares):
        if self.market.remembers:
            self.takes.append((self.current, order.is_bid, price, shares))
        order.left -= shares

    def take_at_level_prices(self, order, now):
        wanted, spent, taken = order.left, Decimal(0), []
        for price, there in self.what_crosses(order):
            shares = min(there, wanted)
            if order.money is not None:
                affordable = (order.money - spent) / order.own(price)
                shares = min(shares, affordable.quantize(MILLIONTH, rounding=ROUND_DOWN))
            if shares == 0:
                break
            taken.append((price, shares))
            wanted -= shares
            spent += shares * order.own(price)
        is_done = wanted == 0 or (order.money is not None and order.money - spent < MILLIONTH)
        if order.kind == "FOK" and not is_done:
            taken = []
        for (price, shares), fee in zip(taken, self.fees(order, taken), strict=True):
            self.take(order, price, shares)
            order.fills.append((now, order.own(price), shares, fee, "taker"))
        if is_done:
            order.ending = ("FILLED", None, now)
        else:
            self.rest_or_kill(order, now)

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

    def fees(self, order, taken):
        """Give what each level bears of the fee at the average price: hundred-thousandths, by its own fee alone."""
        if not taken:
            return []
        shares = sum(shares for _, shares in taken)
        average = sum(Fraction(order.own(price)) * Fraction(shares) for price, shares in taken) / Fraction(shares)
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
        cancelled = order.cancel_at is not None and max(order.cancel_at, order.placed) < order.expiry
        if cancelled:
            code = "CANCELED_BY_US"
        elif order.where == "resting":
            code = "EXPIRED" if order.kind == "GTD" else "TTL_EXPIRED"
        else:
            code = "NO_BOOK"
        order.ending = ("CANCELED", code, now)
