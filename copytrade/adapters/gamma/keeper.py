"""What becomes of rows the venue sends: read, merged into memory, stored; what cannot be read is quarantined."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from copytrade.adapters.gamma.amounts import NoTokensError
from copytrade.adapters.gamma.catalogue import Catalogue
from copytrade.adapters.gamma.decode import parse_listing
from copytrade.adapters.gamma.drift import VersionMix
from copytrade.adapters.gamma.liquidity import Liquidity
from copytrade.ports.ledger import LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from copytrade.adapters.gamma.decode import Listing
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis, Price
    from copytrade.ports.clock import Clock
    from copytrade.ports.markets import RegistrySync

LOADED_AT_ONCE: Final = 1_000
"""Markets taken into memory before others have their turn, some 2 ms."""
SETTLED_KEPT_MS: Final = 2 * 86_400_000
"""How long a settled market stays in memory; thousands are settled a day."""
SPARED_AT_ONCE: Final = 10_000
QUARANTINED_PER_SYNC: Final = 20
"""Rows of one sync whose text is kept in a note; the others are counted."""

log = structlog.get_logger()


class MarketStore(Protocol):
    """Where markets are kept; the ledger is one."""

    async def markets(self, *, settled_since_ms: Millis | None = None) -> tuple[Market, ...]:
        """Return the stored markets, but those settled before that and of which nothing is held."""

    async def unlisted_tokens(self, *, after: str, limit: int) -> tuple[str, ...]:
        """Return tokens that are named somewhere and are of no stored market, in order, above `after`."""

    async def save_markets(self, markets: Sequence[Market]) -> None:
        """Insert or update markets; payouts are recorded once."""

    async def registry_sync(self) -> RegistrySync | None:
        """Return the sync that was under way."""

    async def save_registry_sync(self, sync: RegistrySync | None) -> None:
        """Keep how far a sync has come, or that none is under way."""


class Keeper:
    """The markets in memory and the way into them and into the store."""

    def __init__(self, *, store: MarketStore, clock: Clock, note: Callable[[str, Mapping[str, object]], None]) -> None:
        self.catalogue = Catalogue()
        self.liquidity = Liquidity()
        self.mix = VersionMix(note=note)
        self.store = store
        self.work = asyncio.Event()
        """Set to wake whoever works in the background."""
        self.rows_rejected = 0
        self.listed_ms: Millis | None = None
        """When a page of the listing was last taken, on the monotonic clock."""
        self.clock = clock
        self.note = note
        self.is_save_due = False
        self._to_save: dict[str, Market] = {}
        self._conflicts: set[tuple[str, tuple[Price, ...]]] = set()
        self._spared = 0

    async def load(self) -> None:
        """Take the stored markets that still matter into memory; what was learned meanwhile stays.

        :raises LedgerUnavailableError: there are none to be had now.
        """
        gc.disable()
        try:
            markets = await self.store.markets(settled_since_ms=self.clock.now_ms() - SETTLED_KEPT_MS)
        finally:
            gc.enable()
        for start in range(0, len(markets), LOADED_AT_ONCE):
            self.catalogue.load(markets[start : start + LOADED_AT_ONCE])
            await asyncio.sleep(0)
        self.spare_the_collector()

    def forget_settled(self) -> None:
        """Drop markets from memory that were settled long ago; the store keeps them, and asking finds them again."""
        before_ms = self.clock.now_ms() - SETTLED_KEPT_MS
        for market in self.catalogue:
            if market.closed and market.payouts is not None and market.updated_at_ms < before_ms:
                self.catalogue.drop(market)

    def spare_the_collector(self) -> None:
        """Take what is in memory now out of the garbage collector's sight, if many markets came that will stay.

        With a hundred thousand of them, each full collection would stop everything for 150 ms (measured).
        """
        if len(self.catalogue) - self._spared >= SPARED_AT_ONCE:
            self._spared = len(self.catalogue)
            gc.freeze()

    def parsed(self, rows: Iterable[bytes]) -> list[Listing]:
        """Read rows; a market without tokens is left out in silence, what cannot be read is noted."""
        listings = []
        for row in rows:
            try:
                listings.append(parse_listing(row, now_ms=self.clock.now_ms()))
            except NoTokensError:
                continue
            except ValueError as error:
                self._reject(row, error)
        return listings

    def take(self, listings: Iterable[Listing]) -> list[str]:
        """Keep listed markets in memory, to be stored by the next `save`; return their conditions."""
        listed = list(listings)
        self.listed_ms = self.clock.monotonic_ms()
        for listing in listed:
            self.liquidity.see(listing.market.condition_id, listing.liquidity_usdc)
        self.keep(listing.market for listing in listed)
        kept = (self.catalogue.of_condition(listing.market.condition_id) for listing in listed)
        return [market.condition_id for market in kept if market is not None]

    def keep(self, markets: Iterable[Market]) -> None:
        """Keep markets in memory, to be stored by the next `save`."""
        for market in self._merge(markets):
            self._to_save[market.condition_id] = market

    def settle(self, market: Market, payouts: tuple[Price, ...]) -> None:
        """Record what a market paid, once; to be stored by the next `save`."""
        log.info("registry.settled", condition_id=market.condition_id, payouts=payouts)
        self.keep([replace(market, closed=True, accepting_orders=False, payouts=payouts)])

    async def remember(self, market: Market) -> None:
        """Keep a market in memory and in the store.

        :raises LedgerUnavailableError: it is kept, and will be stored later.
        """
        changed = self._merge([market])
        try:
            if changed:
                await self.store.save_markets(changed)
        except LedgerUnavailableError:
            self.save_soon(changed)
            raise

    def save_soon(self, markets: Iterable[Market]) -> None:
        """Have markets stored in the background as they are now."""
        for market in markets:
            self._to_save[market.condition_id] = market
        self.is_save_due = True
        self.work.set()

    async def save(self) -> None:
        """Store what waits, in one batch.

        :raises LedgerUnavailableError: it still waits.
        """
        markets = dict(self._to_save)
        if markets:
            await self.store.save_markets(tuple(markets.values()))
        for condition_id, market in markets.items():
            if self._to_save.get(condition_id) is market:
                del self._to_save[condition_id]
        self.is_save_due = bool(self._to_save)

    def _merge(self, markets: Iterable[Market]) -> list[Market]:
        given, now = list(markets), self.clock.monotonic_ms()
        self._tell_conflicts(given)
        opened = [market for market in given if self.catalogue.of_condition(market.condition_id) is None]
        changed = self.catalogue.merge(given, monotonic_ms=now)
        self.mix.see((market for market in opened if not market.closed), monotonic_ms=now)
        return changed

    def _tell_conflicts(self, given: Iterable[Market]) -> None:
        """Note what is said to pay otherwise than was recorded; the record stays."""
        for market in given:
            known = self.catalogue.of_condition(market.condition_id)
            if known is not None and market.payouts is not None:
                self.tell_conflict(known, market.payouts)

    def tell_conflict(self, known: Market, payouts: tuple[Price, ...]) -> None:
        """Note it once for each other vector of payouts."""
        told = (known.condition_id, payouts)
        if known.payouts is None or known.payouts == payouts or told in self._conflicts:
            return
        self._conflicts.add(told)
        detail = {"condition_id": known.condition_id, "recorded": known.payouts, "told": payouts, "told_by": "registry"}
        self.note("RESOLUTION_CONFLICT", detail)

    def _reject(self, row: bytes, error: ValueError) -> None:
        self.rows_rejected += 1
        if self.rows_rejected <= QUARANTINED_PER_SYNC:
            log.warning("registry.row_rejected", error=str(error))
            payload = row[:500].decode(errors="replace")
            self.note("QUARANTINED", {"what": "REGISTRY_ROW", "error": str(error), "payload": payload})
