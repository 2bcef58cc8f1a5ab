"""The markets of the invented world: every kind the worker has to tell apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

from copytrade.sandbox import digest
from copytrade.sandbox.market import Catalogue, EventGroup, Fees, Market
from copytrade.sandbox.micro import ONE

DAY_MS = 86_400_000
BINARY_MODULE = 1
NEG_RISK_MODULE = 2
FIRST_ID = 5_400_000

CENT = 10_000
TENTH_CENT = 1_000

POLITICS = Fees(kind="politics_fees", rate=40_000)
CRYPTO = Fees(kind="crypto_fees_v2", rate=70_000, rebate=200_000)
SPORTS = Fees(kind="sports_fees_v3", rate=50_000, rebate=150_000)
ECONOMICS = Fees(kind="economics_fees", rate=50_000)
CULTURE = Fees(kind="culture_fees", rate=50_000)
FREE = Fees(kind="zero_fees", rate=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidity:
    """How the invented makers quote a market; prices in micro-units, sizes in whole shares."""

    fair: int
    half_spread_ticks: int = 1
    levels: int = 8
    level_shares: int = 150
    requote_ms: int = 700
    step_ticks: float = 0.35
    """Standard deviation of the fair price's step at each requote, in ticks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A market and how it is quoted; no liquidity means no book or an idle one."""

    market: Market
    liquidity: Liquidity | None
    traded: bool = True


def list_markets(*, seed: int, start_ms: int, filler: int) -> list[Listing]:
    """Return the world's markets; `filler` adds quiet ones, so that lists need several pages."""
    draw = _Draft(seed=seed, start_ms=start_ms)
    return [
        *_traded(draw),
        *_untraded(draw),
        *(_filler(draw, number) for number in range(filler)),
    ]


def register(listings: list[Listing]) -> Catalogue:
    """Put the listings' markets into a catalogue."""
    catalogue = Catalogue()
    for listing in listings:
        catalogue.put(listing.market)
    return catalogue


class _Draft:
    """Gives out ids in order, all derived from the seed."""

    def __init__(self, *, seed: int, start_ms: int) -> None:
        self.seed = seed
        self.start_ms = start_ms
        self._count = 0

    def group(self, slug: str, title: str, *tags: str, neg_risk: bool = False) -> EventGroup:
        return EventGroup(
            event_id=str(int.from_bytes(digest.derive("event", self.seed, slug)[:3])),
            slug=slug,
            title=title,
            tags=tuple((tag, tag.lower().replace(" ", "-")) for tag in tags),
            neg_risk=neg_risk,
        )

    def market(self, *, slug: str, question: str, group: EventGroup, fees: Fees) -> Market:
        self._count += 1
        return Market(
            market_id=str(FIRST_ID + self._count),
            condition=digest.derive_hash("condition", self.seed, slug),
            question=question,
            slug=slug,
            group=group,
            outcomes=("Yes", "No"),
            tokens=(
                digest.derive_token(self.seed, slug, 0),
                digest.derive_token(self.seed, slug, 1),
            ),
            tick=CENT,
            fees=fees,
            created_ms=self.start_ms - 3 * DAY_MS,
            end_ms=self.start_ms + 10 * DAY_MS,
        )


def as_protocol_v2(market: Market, *, module: int) -> Market:
    """Give a market V2 position ids: module, base hash, then zeros, the outcome last."""
    base = int.from_bytes(bytes.fromhex(market.condition[2:])[:16])
    position = (module << 248) | (base << 120)
    return replace(
        market,
        version="v2",
        condition=f"0x{position >> 8:062x}00",
        tokens=(position, position | 1),
    )


def _traded(draw: _Draft) -> list[Listing]:
    election = draw.group("lisbon-mayor", "Lisbon mayoral election", "Politics", "Portugal")
    mayor = draw.market(
        slug="lisbon-mayor-reelected",
        question="Will the mayor of Lisbon be re-elected?",
        group=election,
        fees=POLITICS,
    )
    treaty = draw.market(
        slug="arctic-treaty-signed",
        question="Arctic treaty signed before the new year?",
        group=draw.group("arctic-treaty", "Arctic treaty", "Geopolitics"),
        fees=FREE,
    )
    return [
        Listing(market=mayor, liquidity=Liquidity(fair=540_000)),
        Listing(market=updown_market(draw.seed, draw.start_ms, 0), liquidity=_updown_liquidity()),
        Listing(market=_sports(draw), liquidity=Liquidity(fair=610_000, level_shares=90)),
        *_fed_decision(draw),
        Listing(market=treaty, liquidity=Liquidity(fair=180_000, level_shares=220)),
        *_protocol_v2(draw),
        Listing(
            market=draw.market(
                slug="silent-film-best-picture",
                question="Will a silent film win best picture?",
                group=draw.group("best-picture", "Best picture", "Culture", "Movies"),
                fees=CULTURE,
            ),
            liquidity=Liquidity(
                fair=330_000,
                half_spread_ticks=2,
                levels=2,
                level_shares=14,
                requote_ms=8_000,
                step_ticks=0.8,
            ),
        ),
    ]


def updown_market(seed: int, start_ms: int, number: int) -> Market:
    """Return the `number`-th recurring crypto market, with taker delay and Up/Down outcomes."""
    slug = f"btc-updown-15m-{start_ms // 1000 + number * 900}"
    draw = _Draft(seed=seed, start_ms=start_ms)
    group = draw.group(slug, "Bitcoin Up or Down", "Crypto", "Bitcoin", "Up or Down")
    market = draw.market(slug=slug, question="Bitcoin Up or Down", group=group, fees=CRYPTO)
    return replace(
        market,
        market_id=str(FIRST_ID + 10_000 + number),
        outcomes=("Up", "Down"),
        taker_delay=True,
        created_ms=start_ms,
        end_ms=start_ms + 900_000,
    )


def _updown_liquidity() -> Liquidity:
    return Liquidity(fair=500_000, level_shares=120, requote_ms=450, step_ticks=0.7)


def new_updown_listing(*, seed: int, now_ms: int, number: int) -> Listing:
    """Return a market that opens while the world runs."""
    return Listing(market=updown_market(seed, now_ms, number), liquidity=_updown_liquidity())


def _sports(draw: _Draft) -> Market:
    market = draw.market(
        slug="epl-porto-leeds-porto",
        question="Will Porto beat Leeds?",
        group=draw.group("epl-porto-leeds", "Porto vs. Leeds", "Sports", "Soccer"),
        fees=SPORTS,
    )
    return replace(market, seconds_delay=1, end_ms=draw.start_ms + DAY_MS // 12)


def _fed_decision(draw: _Draft) -> list[Listing]:
    group = draw.group("fed-december", "Fed decision in December", "Economy", neg_risk=True)
    fairs = {"no-change": 620_000, "cut-25": 335_000, "cut-50": 31_000}
    listings = []
    for name, fair in fairs.items():
        market = draw.market(
            slug=f"fed-december-{name}",
            question=f"Fed decision in December: {name}?",
            group=group,
            fees=ECONOMICS,
        )
        fine = name != "no-change"
        listings.append(
            Listing(
                market=replace(market, tick=TENTH_CENT if fine else CENT),
                liquidity=Liquidity(fair=fair, half_spread_ticks=2 if fine else 1, level_shares=260, step_ticks=0.6),
            )
        )
    return listings


def _protocol_v2(draw: _Draft) -> list[Listing]:
    launch = draw.market(
        slug="lunar-cargo-lands",
        question="Will the lunar cargo ship land this year?",
        group=draw.group("lunar-cargo", "Lunar cargo", "Science"),
        fees=CULTURE,
    )
    cup = draw.market(
        slug="handball-cup-norway",
        question="Will Norway win the handball cup?",
        group=draw.group("handball-cup", "Handball cup", "Sports", neg_risk=True),
        fees=SPORTS,
    )
    return [
        Listing(market=as_protocol_v2(launch, module=BINARY_MODULE), liquidity=Liquidity(fair=420_000)),
        Listing(
            market=as_protocol_v2(cup, module=NEG_RISK_MODULE),
            liquidity=Liquidity(fair=270_000, level_shares=70, requote_ms=1_200),
        ),
    ]


def _untraded(draw: _Draft) -> list[Listing]:
    resolved = draw.market(
        slug="harbour-bridge-open",
        question="Harbour bridge open by summer?",
        group=draw.group("harbour-bridge", "Harbour bridge", "Culture"),
        fees=CULTURE,
    )
    bookless = [
        draw.market(
            slug=f"bookless-{name}",
            question=f"A market without an order book, {name}",
            group=draw.group(f"bookless-{name}", "No order book", "Culture"),
            fees=FREE,
        )
        for name in ("north", "south")
    ]
    return [
        *(
            Listing(market=replace(market, enable_order_book=False), liquidity=None, traded=False)
            for market in bookless
        ),
        Listing(
            market=replace(
                resolved,
                closed=True,
                payouts=(ONE, 0),
                resolved_ms=draw.start_ms - DAY_MS,
                resolution="resolved",
                end_ms=draw.start_ms - DAY_MS,
            ),
            liquidity=None,
            traded=False,
        ),
    ]


def _filler(draw: _Draft, number: int) -> Listing:
    market = draw.market(
        slug=f"quiet-market-{number}",
        question=f"Will quiet thing {number} happen?",
        group=draw.group(f"quiet-{number // 4}", f"Quiet things {number // 4}", "Weather"),
        fees=CULTURE,
    )
    fair = 50_000 + CENT * (number * 7 % 90)
    return Listing(market=market, liquidity=Liquidity(fair=fair, levels=4, level_shares=60), traded=False)
