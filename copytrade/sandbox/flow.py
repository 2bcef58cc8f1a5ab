"""The invented flow: makers who quote, takers, and the leaders worth copying among them."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from copytrade.sandbox import digest
from copytrade.sandbox.catalogue import Liquidity, Listing, new_updown_listing
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.leading import Leader, RestingLeader, TakingLeader
from copytrade.sandbox.market import Market
from copytrade.sandbox.micro import LOT, ONE
from copytrade.sandbox.quoting import QuotingMaker
from copytrade.sandbox.timeline import Timeline

TAKER_EVERY_MS = 900
TAKERS = 40
NEW_MARKET_FIRST_MS = 9_000
NEW_MARKET_EVERY_MS = 60_000


def list_leaders(seed: int) -> list[Leader]:
    """Return the leaders of the invented world, each with a habit of its own."""
    habits = (
        ("steady-taker", "taker", 25),
        ("patient-maker", "maker", 40),
        ("sweeper", "sweeper", 260),
        ("thin-book-hunter", "hunter", 30),
    )
    return [
        Leader(
            address=digest.derive_address("leader", seed, label),
            label=label,
            habit=habit,
            shares=shares,
        )
        for label, habit, shares in habits
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """A traded market with its first maker, who knows the fair price."""

    listing: Listing
    maker: QuotingMaker


class Flow:
    """Schedules every invented participant on the world's timeline.

    Each participant draws from a generator of its own, so that one more of them does not
    change what the others do.
    """

    def __init__(
        self,
        *,
        exchange: Exchange,
        timeline: Timeline,
        listings: Sequence[Listing],
        leaders: Sequence[Leader],
        seed: int,
        crossing_chance: float = 0,
    ) -> None:
        """Prepare participants; nobody acts before `open_books` and `start`."""
        self._exchange = exchange
        self._timeline = timeline
        self._listings = listings
        self._seed = seed
        self._crossing_chance = crossing_chance
        self._random = random.Random(f"{seed}:takers")
        self._quoted: list[Quoted] = []
        self._paused = False
        self._opened = 0
        self._taking = [
            TakingLeader(leader=leader, exchange=exchange, seed=seed) for leader in leaders if leader.habit != "maker"
        ]
        self._resting = [
            RestingLeader(leader=leader, exchange=exchange, seed=seed) for leader in leaders if leader.habit == "maker"
        ]

    def open_books(self) -> None:
        """Quote every market once."""
        for listing in self._listings:
            if listing.liquidity is not None:
                self._quote_market(listing, listing.liquidity)

    def start(self) -> None:
        """Begin the invented trading."""
        for at, quoted in enumerate(self._quoted):
            if quoted.listing.traded:
                self._requote(quoted, first_ms=40 * at)
        self._timeline.after(TAKER_EVERY_MS, self._take)
        for taking in self._taking:
            self._timeline.after(taking.pause_ms(), functools.partial(self._lead, taking))
        for resting in self._resting:
            self._timeline.after(resting.pause_ms(), functools.partial(self._rest, resting))

    def begin_present(self) -> None:
        """Turn from the past to the present: a trade soon, sales of new purchases, new markets."""
        for leader in (*self._taking, *self._resting):
            leader.keep_holdings(self._exchange.catalogue.all())
        for at, taking in enumerate(self._taking):
            self._timeline.after(400 + 500 * at, functools.partial(self._trade, taking))
        self._timeline.after(NEW_MARKET_FIRST_MS, self._open_market)

    def pause(self, *, paused: bool) -> None:
        """Stop or resume orders; what is settled already is still mined."""
        self._paused = paused

    def _quote_market(self, listing: Listing, liquidity: Liquidity) -> Quoted:
        maker = QuotingMaker(
            market=listing.market,
            liquidity=liquidity,
            exchange=self._exchange,
            seed=self._seed,
            crossing_chance=self._crossing_chance,
        )
        maker.requote()
        quoted = Quoted(listing=listing, maker=maker)
        self._quoted.append(quoted)
        return quoted

    def _requote(self, quoted: Quoted, *, first_ms: int) -> None:
        def act() -> None:
            self._timeline.after(quoted.maker.pause_ms(), act)
            if not self._paused:
                quoted.maker.drift()
                quoted.maker.requote()

        self._timeline.after(first_ms, act)

    def _traded(self) -> list[Quoted]:
        return [quoted for quoted in self._quoted if quoted.listing.traded and self._current(quoted).has_book]

    def _current(self, quoted: Quoted) -> Market:
        condition = quoted.listing.market.condition
        return self._exchange.catalogue.by_condition(condition) or quoted.listing.market

    def _take(self) -> None:
        pause_ms = int(self._random.expovariate(1 / TAKER_EVERY_MS)) + 50
        self._timeline.after(min(pause_ms, 5 * TAKER_EVERY_MS), self._take)
        if self._paused or not self._traded():
            return
        quoted = self._random.choice(self._traded())
        buys_yes = self._random.random() < 0.5
        self._aggress(quoted, towards_yes=buys_yes, size=self._draw_size(25), ticks=2)

    def _aggress(self, quoted: Quoted, *, towards_yes: bool, size: int, ticks: int) -> None:
        market = self._current(quoted)
        best = self._exchange.book(market).best(is_bid=not towards_yes)
        if best is None:
            return
        edge = best + market.tick * ticks * (1 if towards_yes else -1)
        limit = min(max(edge, market.tick), ONE - market.tick)
        outcome = self._random.randrange(2)
        order = self._exchange.new_order(
            owner=digest.derive_address("taker", self._seed, self._random.randrange(TAKERS)),
            outcome=outcome,
            side=0 if towards_yes == (outcome == 0) else 1,
            price=limit if outcome == 0 else ONE - limit,
            size=size,
        )
        self._exchange.submit(market, order, rest=False)
        quoted.maker.feel(pushed_up=towards_yes)

    def _draw_size(self, shares: int) -> int:
        drawn = self._random.lognormvariate(0, 0.8) * shares
        return max(5 * ONE, int(drawn * 100) * LOT)

    def _lead(self, leader: TakingLeader) -> None:
        self._timeline.after(leader.pause_ms(), lambda: self._lead(leader))
        self._trade(leader)

    def _trade(self, leader: TakingLeader) -> None:
        markets = [self._current(quoted) for quoted in self._traded()]
        if markets and not self._paused:
            leader.act(markets)

    def _rest(self, leader: RestingLeader) -> None:
        self._timeline.after(leader.pause_ms(), functools.partial(self._rest, leader))
        by_condition = {quoted.listing.market.condition: quoted for quoted in self._traded()}
        markets = [self._current(quoted) for quoted in by_condition.values()]
        order = leader.rest(markets) if markets and not self._paused else None
        if order is not None:
            quoted = by_condition[leader.market_of(order)]
            meet = functools.partial(self._meet, quoted, towards_yes=not order.is_bid)
            self._timeline.after(leader.counterparty_delay_ms(), meet)

    def _meet(self, quoted: Quoted, *, towards_yes: bool) -> None:
        if not self._paused and self._current(quoted).has_book:
            self._aggress(quoted, towards_yes=towards_yes, size=self._draw_size(35), ticks=0)

    def _open_market(self) -> None:
        self._timeline.after(NEW_MARKET_EVERY_MS, self._open_market)
        if self._paused:
            return
        self._opened += 1
        listing = new_updown_listing(seed=self._seed, now_ms=self._timeline.now_ms, number=self._opened)
        self._exchange.open_market(listing.market)
        if listing.liquidity is not None:
            self._requote(self._quote_market(listing, listing.liquidity), first_ms=300)
