"""The same orders for real: the same world played again from its start, with the orders in it.

What the engine of the sandbox does not know of the venue is said here, on its own and not from the package: order
types, the hold of orders that would take, and the end of a time to live.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.truth.outcome import Outcome
from benchmarks.truth.plan import CRYPTO_DELAY_MS, OVER_MS, Intent
from copytrade.sandbox import digest
from copytrade.sandbox.book import Order
from copytrade.sandbox.events import BUY, SELL
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.happening import Happening, SettlementSent
from copytrade.sandbox.market import Market
from copytrade.sandbox.matching import would_cross
from copytrade.sandbox.micro import ONE
from copytrade.sandbox.server import SandboxConfig, world_config
from copytrade.sandbox.settlement import Fill
from copytrade.sandbox.world import World

CENT = 10_000


def play(config: SandboxConfig, intents: Sequence[Intent]) -> dict[str, Outcome]:
    """Play the orders of one burst in a world of their own and return what became of each."""
    world = World(world_config(config, start_ms=config.start_ms or 0))
    orders = {}
    for intent in intents:
        order = RealOrder(intent, world)
        orders[order.owner] = order
        world.timeline.after(intent.placed_ms - world.now_ms, order.place)

    def note(happening: Happening) -> None:
        if isinstance(happening, SettlementSent):
            for fill in happening.fills:
                if fill.owner in orders:
                    orders[fill.owner].note(fill, at_ms=happening.at_ms)

    world.listen(note)
    world.advance(max(intent.placed_ms for intent in intents) + OVER_MS)
    return {order.intent.name: order.outcome() for order in orders.values()}


class RealOrder:
    """One order at the venue, under a wallet of its own."""

    def __init__(self, intent: Intent, world: World) -> None:
        self.intent = intent
        self.owner = digest.derive_address("truth", intent.name)
        self._world = world
        self._exchange: Exchange = world.exchange
        self._order: Order | None = None
        self._status = ""
        self._left = intent.size
        self._shares = self._collateral = self._fee = 0
        self._first_fill_ms: int | None = None

    def place(self) -> None:
        """Arrive: be refused, killed, held, matched or put on the book."""
        intent, market = self.intent, self._market()
        crosses = self._crosses(market)
        if (intent.order_type == "POST_ONLY" and crosses) or (
            crosses and intent.side == "BUY" and intent.size * intent.limit < ONE * ONE
        ):
            self._status = "FAILED"
        elif crosses and (market.taker_delay or market.seconds_delay):
            held_ms = market.seconds_delay * 1_000 or CRYPTO_DELAY_MS
            self._world.timeline.after(held_ms, self._match)
        else:
            self._match()
        self._world.timeline.after(intent.ttl_ms, self._expire)

    def note(self, fill: Fill, *, at_ms: int) -> None:
        """Add an execution."""
        if self._first_fill_ms is None:
            self._first_fill_ms = at_ms
        self._shares += fill.size
        self._collateral += fill.collateral
        self._fee += fill.fee
        self._left -= fill.size
        if self._left == 0:
            self._status = "FILLED"

    def outcome(self) -> Outcome:
        """Return how it ended."""
        return Outcome(
            status=self._status,
            shares=self._shares,
            collateral=self._collateral,
            fee=self._fee,
            first_fill_ms=self._first_fill_ms,
        )

    def _match(self) -> None:
        market, kind = self._market(), self.intent.order_type
        if self._status:
            return
        is_at_once = kind in ("FAK", "FOK")
        size, is_whole = self._affordable(market) if is_at_once else (self.intent.size, True)
        if is_at_once and (size == 0 or (kind == "FOK" and not is_whole)):
            self._status = "CANCELED"
            return
        self._order = self._exchange.new_order(
            owner=self.owner,
            outcome=self.intent.outcome,
            side=BUY if self.intent.side == "BUY" else SELL,
            price=self.intent.limit,
            size=size,
        )
        self._exchange.submit(market, self._order, rest=not is_at_once)
        if is_at_once:
            self._status = "FILLED" if is_whole else "CANCELED"

    def _affordable(self, market: Market) -> tuple[int, bool]:
        """Return how many shares there are for it up to its limit, and whether those are all that it may have."""
        intent = self.intent
        bids, asks = self._exchange.book(market).view(intent.outcome)
        levels = reversed(asks if intent.side == "BUY" else bids)
        money = intent.size * intent.limit // ONE // CENT * CENT * ONE
        size = 0
        for price, there in levels:
            if (price > intent.limit) if intent.side == "BUY" else (price < intent.limit):
                break
            shares = min(there, intent.size - size)
            if intent.side == "BUY":
                shares = min(shares, money // price)
                money -= shares * price
            size += shares
            if size == intent.size or (intent.side == "BUY" and money < ONE):
                return size, True
        return size, False

    def _crosses(self, market: Market) -> bool:
        order = Order(
            order_hash="",
            owner=self.owner,
            outcome=self.intent.outcome,
            side=BUY if self.intent.side == "BUY" else SELL,
            price=self.intent.limit,
            size=self.intent.size,
        )
        best = self._exchange.book(market).best(is_bid=not order.is_bid)
        return best is not None and would_cross(order, best)

    def _expire(self) -> None:
        if self._order is not None:
            self._exchange.cancel(self._market(), self._order.order_hash)
        if self._status == "" and self._order is not None:
            self._status = "CANCELED"

    def _market(self) -> Market:
        known = self._exchange.catalogue.by_condition(self.intent.market.condition)
        return known or self.intent.market
