"""The leaders: wallets with recognisable habits, who sell only what they bought."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from copytrade.sandbox.book import Order
from copytrade.sandbox.events import BUY, SELL
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.market import NO, YES, Market
from copytrade.sandbox.micro import LOT, ONE, lots_down

PAUSE_MS = {"taker": 4_200, "maker": 3_400, "sweeper": 7_000, "hunter": 8_000}
OPEN_POSITIONS_MAX = 5
SELL_CHANCE = 0.45
PRICE_MIN = 30_000
PRICE_MAX = 970_000
RESTING_ORDERS_MAX = 3
REMEMBERED_MAX = 20
LATEST_CHANCE = 0.75
WHOLE_CHANCE = 0.6
THIN_CHANCE = 0.7
DOLLARS_CHANCE = 0.4
"""How often a taker spends whole dollars, which buys fractions down to a millionth of a share."""
REACH_TICKS = {"taker": 1, "sweeper": 6, "hunter": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """A followed wallet: what it is called, how it trades, its typical size in shares."""

    address: str
    label: str
    habit: str
    shares: int


class Trader:
    """What both kinds of leaders share: their draws, what they hold and what they bought last."""

    def __init__(self, *, leader: Leader, exchange: Exchange, seed: int) -> None:
        """Trade nothing yet."""
        self._leader = leader
        self._exchange = exchange
        self._random = random.Random(f"{seed}:leader:{leader.label}")
        self._bought: list[int] = []
        self._kept: dict[int, int] = {}

    def pause_ms(self) -> int:
        """Return how long until the next order."""
        return int(PAUSE_MS[self._leader.habit] * self._random.uniform(0.4, 1.6))

    def keep_holdings(self, markets: Sequence[Market]) -> None:
        """Treat what is held now as held for good: only later purchases are sold.

        A follower who starts now could copy no sale of anything older.
        """
        for market in markets:
            for token in market.tokens:
                self._kept[token] = self._exchange.held(self._leader.address, token)

    def _held(self, market: Market, outcome: int) -> int:
        token = market.tokens[outcome]
        return self._exchange.held(self._leader.address, token) - self._kept.get(token, 0)

    def _note_buy(self, token: int) -> None:
        self._bought = [*self._bought[-REMEMBERED_MAX:], token]

    def _choose_sale(self, markets: Sequence[Market]) -> tuple[Market, int] | None:
        """Pick a holding to sell, mostly the one bought last; None when buying is the choice."""
        sellable = [
            (market, outcome)
            for market in markets
            for outcome in (YES, NO)
            if self._held(market, outcome) >= market.min_size
        ]
        full = len(sellable) >= OPEN_POSITIONS_MAX
        if not sellable or not (full or self._random.random() < SELL_CHANCE):
            return None
        if self._random.random() < LATEST_CHANCE:
            return max(sellable, key=lambda held: self._bought_at(held[0].tokens[held[1]]))
        return self._random.choice(sellable)

    def _bought_at(self, token: int) -> int:
        return max((at for at, one in enumerate(self._bought) if one == token), default=-1)

    def _draw_size(self) -> int:
        drawn = self._leader.shares * self._random.lognormvariate(0, 0.5)
        return max(5 * ONE, int(drawn * 100) * LOT)


class TakingLeader(Trader):
    """Crosses the spread; a sweeper goes several levels deep, a hunter empties thin books."""

    def act(self, markets: Sequence[Market]) -> None:
        """Sell something held, or buy one side of a market."""
        sale = self._choose_sale(markets)
        if sale is None:
            self._buy(self._choose(markets), self._random.choice((YES, NO)))
        else:
            self._sell(*sale)

    def _choose(self, markets: Sequence[Market]) -> Market:
        if self._leader.habit == "hunter" and self._random.random() < THIN_CHANCE:
            return min(markets, key=lambda market: len(self._exchange.book(market).orders()))
        return self._random.choice(markets)

    def _buy(self, market: Market, outcome: int) -> None:
        _, asks = self._exchange.book(market).view(outcome)
        if not asks or not PRICE_MIN <= asks[-1].price <= PRICE_MAX:
            return
        limit = min(asks[-1].price + self._reach(market), ONE - market.tick)
        size = self._draw_size()
        if self._leader.habit == "taker" and self._random.random() < DOLLARS_CHANCE:
            size = max(market.min_size, size // ONE * ONE * ONE // asks[-1].price // 2)
        self._send(market, outcome, BUY, limit, size)
        self._note_buy(market.tokens[outcome])

    def _sell(self, market: Market, outcome: int) -> None:
        bids, _ = self._exchange.book(market).view(outcome)
        held = self._held(market, outcome)
        if not bids:
            return
        part = held if self._random.random() < WHOLE_CHANCE else held // 2
        size = lots_down(part if part >= market.min_size else held)
        limit = max(bids[-1].price - self._reach(market), market.tick)
        self._send(market, outcome, SELL, limit, size)

    def _reach(self, market: Market) -> int:
        return REACH_TICKS[self._leader.habit] * market.tick

    def _send(self, market: Market, outcome: int, side: int, limit: int, size: int) -> None:
        order = self._exchange.new_order(owner=self._leader.address, outcome=outcome, side=side, price=limit, size=size)
        self._exchange.submit(market, order, rest=False)


class RestingLeader(Trader):
    """Quotes inside or at the touch and waits for somebody to come."""

    def __init__(self, *, leader: Leader, exchange: Exchange, seed: int) -> None:
        """Rest nothing yet."""
        super().__init__(leader=leader, exchange=exchange, seed=seed)
        self._resting: list[tuple[str, str]] = []

    def counterparty_delay_ms(self) -> int:
        """Return how long the order waits before a taker comes along."""
        return self._random.randrange(500, 2_500)

    def rest(self, markets: Sequence[Market]) -> Order | None:
        """Put one order on a book and return it; None when there is no sensible price.

        Older orders in the same market go, and the oldest of all when there are too many.
        """
        sale = self._choose_sale(markets)
        market, outcome = sale or (self._random.choice(markets), self._random.choice((YES, NO)))
        side = BUY if sale is None else SELL
        price = self._price(market, outcome, side)
        if price is None:
            return None
        self._withdraw(market)
        order = self._exchange.new_order(
            owner=self._leader.address,
            outcome=outcome,
            side=side,
            price=price,
            size=lots_down(self._held(market, outcome)) if side == SELL else self._draw_size(),
        )
        self._exchange.submit(market, order, rest=True)
        self._resting.append((market.condition, order.order_hash))
        if side == BUY:
            self._note_buy(market.tokens[outcome])
        return order

    def market_of(self, order: Order) -> str:
        """Return the condition of the market an order of this leader rests in."""
        return next(condition for condition, order_hash in self._resting if order_hash == order.order_hash)

    def _price(self, market: Market, outcome: int, side: int) -> int | None:
        bids, asks = self._exchange.book(market).view(outcome)
        if not bids or not asks or not PRICE_MIN <= bids[-1].price <= PRICE_MAX:
            return None
        bid, ask = bids[-1].price, asks[-1].price
        if ask - bid <= market.tick:
            return bid if side == BUY else ask
        return bid + market.tick if side == BUY else ask - market.tick

    def _withdraw(self, market: Market) -> None:
        kept: list[tuple[str, str]] = []
        for at, (condition, order_hash) in enumerate(self._resting):
            too_many = len(self._resting) - at >= RESTING_ORDERS_MAX
            held_in = self._exchange.catalogue.by_condition(condition)
            if held_in is not None and (condition == market.condition or too_many):
                self._exchange.cancel(held_in, order_hash)
            else:
                kept.append((condition, order_hash))
        self._resting = kept
