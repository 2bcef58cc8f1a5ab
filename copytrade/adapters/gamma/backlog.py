"""The markets of tokens that the ledger names and no market has: most were closed before anyone asked about them.

Millions of markets are closed; the whole of them is of no use to anybody. Those of a leader's history are: they
give his fills a title, a category and what they paid. They are stored and not kept in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from copytrade.adapters.gamma.lookups import IDS_PER_LOOKUP, Lookups
from copytrade.adapters.gamma.patience import PAGE_PAUSE_MS
from copytrade.domain.market import is_combo, is_position_id, is_token_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from copytrade.adapters.gamma.keeper import Keeper
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

TOKENS_AT_ONCE: Final = 500
ASK_AGAIN_MS: Final = 86_400_000
"""A token that Gamma does not know is asked about once in this time."""
ASKED_MAX: Final = 100_000
PROGRESS_INTERVAL_MS: Final = 5_000

log = structlog.get_logger()


class Backlog:
    """Works it off, once for each call of `complete`."""

    def __init__(self, *, lookups: Lookups, keeper: Keeper, clock: Clock) -> None:
        self._lookups = lookups
        self._keeper = keeper
        self._clock = clock
        self._asked_at: dict[str, Millis] = {}
        self._told_at: Millis = clock.monotonic_ms()

    async def complete(self) -> None:
        """Ask about every such token and store what is found, batch by batch: an end in between loses nothing.

        :raises RegistryUnavailableError: the venue did not answer usefully.
        :raises LedgerUnavailableError: the store did not.
        """
        after, asked, found = "", 0, 0
        while tokens := await self._keeper.store.unlisted_tokens(after=after, limit=TOKENS_AT_ONCE):
            after = tokens[-1]
            for key, ids in self._batches(tokens):
                found += await self._look_up(key, ids)
                asked += len(ids)
                self._asked_at.update(dict.fromkeys(ids, self._clock.monotonic_ms()))
                self._tell("registry.completing", asked, found)
                await self._clock.sleep_ms(PAGE_PAUSE_MS)
        if asked:
            log.info("registry.completed", tokens=asked, markets=found)

    def _batches(self, tokens: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
        """Yield tokens of one protocol that were not asked about lately."""
        now = self._clock.monotonic_ms()
        if len(self._asked_at) > ASKED_MAX:
            self._asked_at.clear()
        due = [one for one in tokens if is_token_id(one) and not is_combo(one) and self._is_due(one, now)]
        for key, is_v2 in (("clob_token_ids", False), ("position_ids", True)):
            ids = [token_id for token_id in due if is_position_id(token_id) is is_v2]
            for start in range(0, len(ids), IDS_PER_LOOKUP):
                yield key, ids[start : start + IDS_PER_LOOKUP]

    def _is_due(self, token_id: str, now: Millis) -> bool:
        asked_at = self._asked_at.get(token_id)
        return asked_at is None or now - asked_at >= ASK_AGAIN_MS

    async def _look_up(self, key: str, ids: Sequence[str]) -> int:
        rows = await self._lookups.closed_markets(key, ids)
        markets = [
            await self._lookups.with_payouts(listing.market)
            for listing in self._keeper.parsed(rows)
            if listing.market.closed
        ]
        await self._keeper.store.save_markets(markets)
        return len(markets)

    def _tell(self, event: str, tokens: int, markets: int) -> None:
        now = self._clock.monotonic_ms()
        if now - self._told_at >= PROGRESS_INTERVAL_MS:
            self._told_at = now
            log.info(event, tokens=tokens, markets=markets)
