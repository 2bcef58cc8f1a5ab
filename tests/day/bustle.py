"""What goes on in the world of a day: markets that open, are traded by the leaders and resolve, each in its way."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from copytrade.sandbox import catalogue, digest
from copytrade.sandbox.book import Order
from copytrade.sandbox.events import BUY, SELL
from copytrade.sandbox.leading import Leader, RestingLeader, TakingLeader
from copytrade.sandbox.market import NO, YES, EventGroup, Market
from copytrade.sandbox.micro import ONE
from copytrade.sandbox.quoting import QuotingMaker
from copytrade.sandbox.world import World

MINUTE_MS = 60_000
HABITS = (("taker", 30), ("sweeper", 120), ("hunter", 30), ("maker", 40))
FEES = (catalogue.POLITICS, catalogue.CRYPTO, catalogue.SPORTS, catalogue.CULTURE, catalogue.FREE)
TAGS = ("Politics", "Crypto", "Sports", "Culture", "Weather")
MARKETS_AN_EVENT = 3
LIVES_MS = (30 * MINUTE_MS, 150 * MINUTE_MS)
VOID_EVERY = 6
"""Each so-manieth market pays half to both sides."""
QUOTE_EVERY_MS = 2_000
"""One market is quoted anew, so that the feed is known to be alive."""
REPORTED_BEFORE_MS = 10 * MINUTE_MS
DISPUTED_FOR_MS = 8 * MINUTE_MS
WAYS = ("announced", "announced", "announced", "silent", "on chain first", "disputed")
"""How a resolution comes to be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much goes on."""

    leaders: int = 36
    first_markets: int = 30
    markets_an_hour: int = 20
    order_every_ms: int = 8_000


class Bustle:
    """Acts on the timeline of a world that has no markets and no leaders of its own."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._world = world
        self._plan = plan
        self._exchange = world.exchange
        self._random = random.Random(f"{world.config.seed}:day")
        self._makers: dict[str, QuotingMaker] = {}
        self._opened = 0
        self._is_over = False
        self.voids = self.resolved = 0
        seed = world.config.seed
        world.leaders += [_leader(seed, number) for number in range(plan.leaders)]
        self._takers = [
            TakingLeader(leader=one, exchange=self._exchange, seed=seed)
            for one in world.leaders
            if one.habit != "maker"
        ]
        self._resters = [
            RestingLeader(leader=one, exchange=self._exchange, seed=seed)
            for one in world.leaders
            if one.habit == "maker"
        ]

    @property
    def opened(self) -> int:
        """How many markets there ever were."""
        return self._opened

    def begin(self) -> None:
        """Open the first markets, and let everything go on from here."""
        for _ in range(self._plan.first_markets):
            self._open()
        self._every(3_600_000 // self._plan.markets_an_hour, self._open)
        self._every(QUOTE_EVERY_MS, self._quote)
        self._every(self._plan.order_every_ms, self._trade)

    def end(self) -> None:
        """Let nothing new come."""
        self._is_over = True

    def ruin(self, held: Mapping[str, tuple[int, int]], *, up_to_usdc: int) -> None:
        """Resolve markets against whoever holds these shares at these costs, until so much is lost."""
        lost = 0
        for condition in list(self._makers):
            market = self._live(condition)
            if market is None or lost >= up_to_usdc:
                continue
            mine = [held.get(str(token), (0, 0)) for token in market.tokens]
            loser = YES if mine[YES][0] > mine[NO][0] else NO
            loss = sum(cost for _, cost in mine) - mine[1 - loser][0]
            if loss > 0 and lost + loss <= up_to_usdc + ONE:
                lost += loss
                self._resolve(condition, _paid(1 - loser))

    def _every(self, pause_ms: int, act: Callable[[], None]) -> None:
        def again() -> None:
            if not self._is_over:
                self._world.timeline.after(int(pause_ms * self._random.uniform(0.5, 1.5)), again)
                act()

        self._world.timeline.after(pause_ms, again)

    def _live(self, condition: str) -> Market | None:
        market = self._exchange.catalogue.by_condition(condition)
        return market if market is not None and market.has_book else None

    def _markets(self) -> list[Market]:
        return [market for condition in self._makers if (market := self._live(condition)) is not None]

    def _open(self) -> None:
        number, now_ms = self._opened, self._world.now_ms
        self._opened += 1
        life_ms = self._random.randrange(*LIVES_MS)
        market = _market(self._world.config.seed, number, now_ms=now_ms, end_ms=now_ms + life_ms)
        liquidity = catalogue.Liquidity(
            fair=self._random.randrange(15, 86) * 10_000, levels=5, level_shares=120, step_ticks=0.8
        )
        self._exchange.open_market(market)
        maker = QuotingMaker(market=market, liquidity=liquidity, exchange=self._exchange, seed=self._world.config.seed)
        maker.requote()
        self._makers[market.condition] = maker
        self._plan_end(market, life_ms, fair=liquidity.fair)

    def _plan_end(self, market: Market, life_ms: int, *, fair: int) -> None:
        """Draw what the market pays, by its price, and how that is told."""
        after, condition = self._world.timeline.after, market.condition
        payouts = _paid(YES if self._random.randrange(ONE) < fair else NO)
        if self._opened % VOID_EVERY == 0:
            payouts = (ONE // 2, ONE // 2)
        way = self._random.choice(WAYS)
        if way == "on chain first" and market.version == "v1":
            after(life_ms - REPORTED_BEFORE_MS, partial(self._report, condition, payouts))
        elif way == "disputed":
            after(life_ms - DISPUTED_FOR_MS, partial(self._dispute, condition))
        after(life_ms, partial(self._resolve, condition, payouts, announced=way != "silent"))

    def _report(self, condition: str, payouts: tuple[int, int]) -> None:
        """Let the chain have the result while the venue still trades."""
        market = self._live(condition)
        if market is not None:
            self._exchange.report_payouts(market, payouts)

    def _dispute(self, condition: str) -> None:
        market = self._live(condition)
        if market is not None:
            self._exchange.await_resolution(market, "disputed")

    def _resolve(self, condition: str, payouts: tuple[int, int], *, announced: bool = True) -> None:
        market = self._live(condition)
        if market is None or self._is_over:
            return
        del self._makers[condition]
        self.resolved += 1
        self.voids += payouts[YES] == payouts[NO]
        self._exchange.resolve_market(market, payouts, announced=announced)

    def _quote(self) -> None:
        markets = self._markets()
        if markets:
            maker = self._makers[self._random.choice(markets).condition]
            maker.drift()
            maker.requote()

    def _trade(self) -> None:
        markets = self._markets()
        if not markets:
            return
        if self._random.random() < len(self._resters) / self._plan.leaders:
            self._rest(self._random.choice(self._resters), markets)
        else:
            self._random.choice(self._takers).act(markets)

    def _rest(self, leader: RestingLeader, markets: list[Market]) -> None:
        order = leader.rest(markets)
        if order is not None:
            meet = partial(self._meet, leader.market_of(order), order)
            self._world.timeline.after(leader.counterparty_delay_ms(), meet)

    def _meet(self, condition: str, order: Order) -> None:
        """Let somebody come for the order, if it still stands."""
        market = self._live(condition)
        if market is not None and self._exchange.book(market).find(order.order_hash) is not None:
            stranger = self._exchange.new_order(
                owner=digest.derive_address("stranger", self._random.randrange(40)),
                outcome=order.outcome,
                side=SELL if order.side == BUY else BUY,
                price=order.price,
                size=order.size,
            )
            self._exchange.submit(market, stranger, rest=False)


def _leader(seed: int, number: int) -> Leader:
    habit, shares = HABITS[number % len(HABITS)]
    label = f"{habit}-{number}"
    return Leader(address=digest.derive_address("leader", seed, label), label=label, habit=habit, shares=shares)


def _paid(winner: int) -> tuple[int, int]:
    return (ONE, 0) if winner == YES else (0, ONE)


def _market(seed: int, number: int, *, now_ms: int, end_ms: int) -> Market:
    """Return the `number`-th market: events of three, each fifth market of the second protocol."""
    slug, kind = f"day-{seed}-{number}", number // MARKETS_AN_EVENT % len(TAGS)
    event = f"day-event-{seed}-{number // MARKETS_AN_EVENT}"
    tag = TAGS[kind]
    market = Market(
        market_id=str(7_000_000 + number),
        condition=digest.derive_hash("condition", seed, slug),
        question=f"Will thing {number} of the day happen?",
        slug=slug,
        group=EventGroup(
            event_id=str(800_000 + number // MARKETS_AN_EVENT), slug=event, title=event, tags=((tag, tag.lower()),)
        ),
        outcomes=("Yes", "No"),
        tokens=(digest.derive_token(seed, slug, 0), digest.derive_token(seed, slug, 1)),
        tick=catalogue.CENT,
        fees=FEES[kind],
        created_ms=now_ms,
        end_ms=end_ms,
    )
    if number % 5 == 4:
        return catalogue.as_protocol_v2(market, module=catalogue.BINARY_MODULE)
    return market
