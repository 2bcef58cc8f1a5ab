"""The leaders: wallets with recognisable habits, who sell only what they bought."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from copytrade.sandbox.events import BUY, SELL
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.market import NO, YES, Market
from copytrade.sandbox.micro import LOT, ONE

PAUSE_MS = {"taker": 3_600, "maker": 2_600, "sweeper": 6_500, "hunter": 7_000}
OPEN_POSITIONS_MAX = 5
SELL_CHANCE = 0.45
PRICE_MIN = 30_000
PRICE_MAX = 970_000
RESTING_ORDERS_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """A followed wallet: what it is called, how it trades, its typical size in shares."""

    address: str
    label: str
    habit: str
    shares: int


class TakingLeader:
    """Crosses the spread; a sweeper goes several levels deep, a hunter empties thin books."""

    def __init__(self, *, leader: Leader, exchange: Exchange, seed: int) -> None:
        """Trade nothing yet."""
        self._leader = leader
        self._exchange = exchange
        self._random = random.Random(f"{seed}:leader:{leader.label}")

    def pause_ms(self) -> int:
        """Return how long until the next trade."""
        return int(PAUSE_MS[self._leader.habit] * self._random.uniform(0.4, 1.6))

    def act(self, markets: Sequence[Market]) -> None:
        """Sell something held, or buy one side of a market."""
        sellable = [
            (market, outcome)
            for market in markets
            for outcome in (YES, NO)
            if self._held(market, outcome) >= market.min_size
        ]
        full = len(sellable) >= OPEN_POSITIONS_MAX
        if sellable and (full or self._random.random() < SELL_CHANCE):
            market, outcome = self._random.choice(sellable)
            self._sell(market, outcome)
        else:
            self._buy(self._choose(markets), self._random.choice((YES, NO)))

    def _choose(self, markets: Sequence[Market]) -> Market:
        if self._leader.habit == "hunter" and self._random.random() < 0.7:
            return min(markets, key=lambda market: len(self._exchange.book(market).orders()))
        return self._random.choice(markets)

    def _buy(self, market: Market, outcome: int) -> None:
        _, asks = self._exchange.book(market).view(outcome)
        if not asks or not PRICE_MIN <= asks[-1].price <= PRICE_MAX:
            return
        limit = min(asks[-1].price + self._reach(market), ONE - market.tick)
        self._send(market, outcome, BUY, limit, self._draw_size())

    def _sell(self, market: Market, outcome: int) -> None:
        bids, _ = self._exchange.book(market).view(outcome)
        held = self._held(market, outcome)
        if not bids:
            return
        part = held if self._random.random() < 0.6 else held // (2 * LOT) * LOT
        size = part if part >= market.min_size else held
        limit = max(bids[-1].price - self._reach(market), market.tick)
        self._send(market, outcome, SELL, limit, size)

    def _reach(self, market: Market) -> int:
        ticks = {"taker": 1, "sweeper": 6, "hunter": 8}[self._leader.habit]
        return ticks * market.tick

    def _send(self, market: Market, outcome: int, side: int, limit: int, size: int) -> None:
        order = self._exchange.new_order(owner=self._leader.address, outcome=outcome, side=side, price=limit, size=size)
        self._exchange.submit(market, order, rest=False)

    def _held(self, market: Market, outcome: int) -> int:
        return self._exchange.held(self._leader.address, market.tokens[outcome])

    def _draw_size(self) -> int:
        drawn = self._leader.shares * self._random.lognormvariate(0, 0.5)
        return max(5 * ONE, int(drawn * 100) * LOT)


class RestingLeader:
    """Quotes inside or at the touch and waits for somebody to come."""

    def __init__(self, *, leader: Leader, exchange: Exchange, seed: int) -> None:
        """Rest nothing yet."""
        self._leader = leader
        self._exchange = exchange
        self._random = random.Random(f"{seed}:leader:{leader.label}")
        self._resting: list[tuple[str, str]] = []

    def pause_ms(self) -> int:
        """Return how long until the next order."""
        return int(PAUSE_MS[self._leader.habit] * self._random.uniform(0.4, 1.6))

    def counterparty_delay_ms(self) -> int:
        """Return how long the order waits before a taker comes along."""
        return self._random.randrange(500, 2_500)

    def rest(self, market: Market) -> bool | None:
        """Put one order on the book; say whether it is a bid for the first outcome.

        None when the market offers no sensible price. The oldest order goes when there are
        too many.
        """
        outcome = self._random.choice((YES, NO))
        held = self._exchange.held(self._leader.address, market.tokens[outcome])
        side = SELL if held >= market.min_size and self._random.random() < 0.7 else BUY
        price = self._price(market, outcome, side)
        if price is None:
            return None
        order = self._exchange.new_order(
            owner=self._leader.address,
            outcome=outcome,
            side=side,
            price=price,
            size=held if side == SELL else self._draw_size(),
        )
        self._withdraw_oldest()
        self._exchange.submit(market, order, rest=True)
        self._resting.append((market.condition, order.order_hash))
        return order.is_bid

    def _price(self, market: Market, outcome: int, side: int) -> int | None:
        bids, asks = self._exchange.book(market).view(outcome)
        if not bids or not asks or not PRICE_MIN <= bids[-1].price <= PRICE_MAX:
            return None
        bid, ask = bids[-1].price, asks[-1].price
        if ask - bid <= market.tick:
            return bid if side == BUY else ask
        return bid + market.tick if side == BUY else ask - market.tick

    def _withdraw_oldest(self) -> None:
        while len(self._resting) >= RESTING_ORDERS_MAX:
            condition, order_hash = self._resting.pop(0)
            market = self._exchange.catalogue.by_condition(condition)
            if market is not None:
                self._exchange.cancel(market, order_hash)

    def _draw_size(self) -> int:
        drawn = self._leader.shares * self._random.lognormvariate(0, 0.5)
        return max(5 * ONE, int(drawn * 100) * LOT)
