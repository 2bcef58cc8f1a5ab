"""A made-up market, leader, book and fills for drills: nothing of it is the user's, and nobody is asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from copytrade.domain.book import BookSnapshot, BookView, Level, QuoteTier
from copytrade.domain.copy_rules import CopyRules
from copytrade.domain.fills import LeaderFill, LeaderRole, LogPlace, Side, Sighting, Source
from copytrade.domain.ids import leader_id
from copytrade.domain.leaders import Leader
from copytrade.domain.market import FeeSchedule, Market, OutcomeToken
from copytrade.domain.sizing import SizingMode
from copytrade.domain.units import MICRO, notional_down
from copytrade.ports.books import BookStore
from copytrade.ports.leader_fills import FillsSeen
from copytrade.ports.markets import MarketRegistry
from copytrade.ports.risk import HaltSwitch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from copytrade.domain.tape import TapeEntry
    from copytrade.domain.units import Millis, Price

NOON_MS: Final[Millis] = 1_790_000_000_000
"""When drills take place; in the middle of a day, so that none of them ends one."""
LEADER: Final = "0x" + "d1" * 20
TOKEN, OTHER_TOKEN = "111", "222"
COMBO: Final = str(3 << 248 | 7 << 120 | 1)
"""A position id with the bits of a combo."""
CENT: Final[Price] = MICRO // 100
BID, ASK = 49 * CENT, 51 * CENT
SHARES: Final = 50 * MICRO
LEVEL_SHARES: Final = 500 * MICRO
MINUTE_MS: Final[Millis] = 60_000

RULES: Final = CopyRules(
    copy_ratio=MICRO,
    max_usdc_per_trade=1_000 * MICRO,
    maker_leader_ratio=MICRO,
    sizing_mode=SizingMode.RATIO,
    slippage_bps_max=300,
    order_ttl_ms=5_000,
    fill_max_age_ms=30_000,
)
"""Rules with every guard that can be off switched off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a drill changes of the world before it begins; `market` None is a market nobody knows."""

    rules: Mapping[str, Any] = field(default_factory=dict)
    leader: Mapping[str, Any] = field(default_factory=dict)
    fill: Mapping[str, Any] = field(default_factory=dict)
    market: Mapping[str, Any] | None = field(default_factory=dict)
    asks: tuple[Level, ...] = (Level(price=ASK, size=LEVEL_SHARES),)
    has_book: bool = True
    tier: QuoteTier = QuoteTier.FRESH


PLAIN: Final = Scene()


def a_market() -> Market:
    """Return an open market of two outcomes."""
    return Market(
        condition_id="0x" + "d0" * 32,
        version="v1",
        title="Will the drill fire?",
        slug="will-the-drill-fire",
        event_slug="drill",
        category="drills",
        end_date_ms=None,
        enable_order_book=True,
        accepting_orders=True,
        closed=False,
        neg_risk=False,
        tick_size=CENT,
        min_order_size=5 * MICRO,
        fees=FeeSchedule(rate=0, exponent=1),
        taker_delay_ms=0,
        tokens=(
            OutcomeToken(token_id=TOKEN, outcome="Yes", outcome_index=0),
            OutcomeToken(token_id=OTHER_TOKEN, outcome="No", outcome_index=1),
        ),
        payouts=None,
        updated_at_ms=NOON_MS,
    )


def a_leader() -> Leader:
    """Return a leader who is followed and has no rules of his own."""
    return Leader(
        id=leader_id(LEADER),
        address=LEADER,
        label="drill",
        enabled=True,
        copy_ratio=None,
        max_usdc_per_trade=None,
        live_allowed=False,
        followed_since_ms=NOON_MS - MINUTE_MS,
        created_at_ms=NOON_MS - MINUTE_MS,
    )


def seen(number: int, side: Side, *, now_ms: Millis, scene: Scene) -> FillsSeen:
    """Return the leader's fill of that number as the chain would tell it, at the touch and as a taker."""
    price = ASK if side is Side.BUY else BID
    place = LogPlace(
        exchange_address="0x" + "de" * 20,
        block_number=100 + number,
        block_hash=f"0x{number:064x}",
        log_index=number,
        order_hash=f"0x{number:064x}",
        maker=LEADER,
        taker="0x" + "de" * 20,
    )
    fill = LeaderFill(
        leader=LEADER,
        source=Source.POLYGON,
        tx_hash=f"0x{number:064x}",
        token_id=TOKEN,
        side=side,
        role=LeaderRole.TAKER,
        price=price,
        size=SHARES,
        usdc=notional_down(SHARES, price),
        fee=0,
        fill_ts_ms=now_ms,
        detected_at_ms=now_ms,
        place=place,
    )
    fill = replace(fill, **scene.fill)
    key = f"{place.block_hash}|{fill.tx_hash}|{place.log_index}"
    return FillsSeen(source=Source.POLYGON, sightings=(Sighting(fill=fill, source_key=key, payload="{}"),))


class MadeUpMarkets(MarketRegistry):
    """Knows one market, or none."""

    def __init__(self, scene: Scene) -> None:
        self._market = None if scene.market is None else replace(a_market(), **scene.market)

    def market_of(self, token_id: str) -> Market | None:
        return self._market if token_id in {TOKEN, OTHER_TOKEN} else None

    def successor_of(self, token_id: str) -> tuple[str, Market] | None:
        return None

    def learn_payouts(self, condition_id: str, payouts: tuple[Price, ...]) -> None: ...

    def age_ms(self) -> Millis | None:
        return 0

    def top_tokens(self, markets: int) -> tuple[str, ...]:
        return ()

    async def fetch(self, token_id: str) -> Market | None:
        return self.market_of(token_id)

    def complete_soon(self, token_id: str) -> None: ...

    async def run(self) -> None:
        await asyncio.Event().wait()


class MadeUpBooks(BookStore):
    """One book that never changes, or none."""

    def __init__(self, scene: Scene) -> None:
        self._tier = scene.tier
        self._book: BookSnapshot | None = None
        if scene.has_book:
            self._book = BookSnapshot(
                token_id=TOKEN,
                bids=(Level(price=BID, size=LEVEL_SHARES),),
                asks=scene.asks,
                revision=1,
                at_ms=NOON_MS - MINUTE_MS,
                venue_ts_ms=NOON_MS - MINUTE_MS,
            )

    def track(self, token_id: str) -> None: ...

    def pin(self, pinned: Callable[[], Collection[str]]) -> None: ...

    def view(self, token_id: str) -> BookView | None:
        if self._book is None or token_id != TOKEN:
            return None
        return BookView(book=self._book, age_ms=0, tier=self._tier)

    async def first_view(self, token_id: str, *, timeout_ms: Millis) -> BookView | None:
        return self.view(token_id)

    async def refresh(self, token_id: str) -> BookView | None:
        return self.view(token_id)

    def book_at(self, token_id: str, at_ms: Millis) -> BookSnapshot | None:
        return self._book if token_id == TOKEN else None

    def states_after(self, token_id: str, revision: int) -> tuple[BookSnapshot, ...]:
        book = self.book_at(token_id, NOON_MS)
        return () if book is None or book.revision <= revision else (book,)

    def tape_after(self, condition_id: str, at_ms: Millis) -> tuple[TapeEntry, ...]:
        return ()

    async def printed(self, condition_id: str, at_ms: Millis) -> None:
        await asyncio.Event().wait()

    async def changed(self, token_id: str, revision: int) -> None:
        if not self.states_after(token_id, revision):
            await asyncio.Event().wait()

    async def run(self) -> None:
        await asyncio.Event().wait()


class MadeUpSwitch(HaltSwitch):
    """A switch without a file; `throw` sets its text."""

    def __init__(self) -> None:
        self._text: str | None = None

    def throw(self, text: str) -> None:
        """Throw it."""
        self._text = text

    def thrown(self) -> str | None:
        return self._text
