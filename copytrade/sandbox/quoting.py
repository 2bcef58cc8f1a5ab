"""A maker who keeps a ladder of quotes around a wandering fair price."""

from __future__ import annotations

import random

from copytrade.sandbox import digest
from copytrade.sandbox.catalogue import Liquidity
from copytrade.sandbox.events import BUY, SELL
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.market import NO, YES, Market
from copytrade.sandbox.micro import LOT, ONE

MAKERS_PER_MARKET = 3
REFRESH_CHANCE = 0.35
IMPACT_TICKS = 0.4
EDGE_TICKS = 4
"""The fair price keeps this far from 0 and 1."""


class QuotingMaker:
    """Quotes one market for a few wallets; buys of one outcome stand for sells of the other."""

    def __init__(
        self, *, market: Market, liquidity: Liquidity, exchange: Exchange, seed: int, crossing_chance: float = 0
    ) -> None:
        """Quote nothing yet; a quote that an order is in the way of trades with it by that chance, or is not made."""
        self._crossing_chance = crossing_chance
        self._condition = market.condition
        self._liquidity = liquidity
        self._exchange = exchange
        self._random = random.Random(f"{seed}:maker:{market.condition}")
        self._fair_ticks = liquidity.fair / market.tick
        self._anchor_ticks = self._fair_ticks
        self._quotes: dict[tuple[bool, int], str] = {}
        self._wallets = [
            digest.derive_address("maker", seed, market.condition, number) for number in range(MAKERS_PER_MARKET)
        ]

    def pause_ms(self) -> int:
        """Return how long until the next look at the quotes."""
        return int(self._liquidity.requote_ms * self._random.uniform(0.5, 1.5))

    def drift(self) -> None:
        """Let the fair price wander, with a weak pull back to where it began."""
        pull = 0.01 * (self._anchor_ticks - self._fair_ticks)
        step = self._random.gauss(0, self._liquidity.step_ticks)
        self._move(pull + step)

    def feel(self, *, pushed_up: bool) -> None:
        """Move the fair price the way an aggressive order pushed."""
        self._move(IMPACT_TICKS if pushed_up else -IMPACT_TICKS)

    def requote(self) -> None:
        """Cancel quotes that are out of place and put the missing ones, as a rule without crossing."""
        market = self._exchange.catalogue.by_condition(self._condition)
        if market is None or not market.has_book:
            return
        book = self._exchange.book(market)
        wanted = set(self._ladder(market))
        for key, order_hash in list(self._quotes.items()):
            gone = book.find(order_hash) is None
            if gone or key not in wanted:
                del self._quotes[key]
                self._exchange.cancel(market, order_hash)
        for key in sorted(wanted - self._quotes.keys()):
            self._place(market, *key)
        if self._quotes and self._random.random() < REFRESH_CHANCE:
            key = self._random.choice(sorted(self._quotes))
            self._exchange.cancel(market, self._quotes.pop(key))
            self._place(market, *key)

    def _move(self, ticks: float) -> None:
        market = self._exchange.catalogue.by_condition(self._condition)
        top = (ONE // market.tick if market else 100) - EDGE_TICKS
        self._fair_ticks = min(max(self._fair_ticks + ticks, EDGE_TICKS), top)

    def _ladder(self, market: Market) -> list[tuple[bool, int]]:
        middle = round(self._fair_ticks)
        half = self._liquidity.half_spread_ticks
        keys = []
        for step in range(self._liquidity.levels):
            spread = half + step
            keys.append((True, (middle - spread) * market.tick))
            keys.append((False, (middle + spread) * market.tick))
        return [key for key in keys if market.tick <= key[1] <= ONE - market.tick]

    def _place(self, market: Market, is_bid: bool, price: int) -> None:
        best = self._exchange.book(market).best(is_bid=not is_bid)
        crosses = best is not None and (price >= best if is_bid else price <= best)
        if crosses and not (self._crossing_chance and self._random.random() < self._crossing_chance):
            return
        outcome = self._random.choice((YES, NO))
        order = self._exchange.new_order(
            owner=self._random.choice(self._wallets),
            outcome=outcome,
            side=BUY if is_bid == (outcome == YES) else SELL,
            price=price if outcome == YES else ONE - price,
            size=self._draw_size(),
        )
        self._exchange.submit(market, order, rest=True)
        self._quotes[is_bid, price] = order.order_hash

    def _draw_size(self) -> int:
        shares = self._liquidity.level_shares * self._random.uniform(0.4, 1.8)
        rounded = int(shares) * ONE if self._random.random() < 0.6 else int(shares * 100) * LOT
        return max(5 * ONE, rounded)
