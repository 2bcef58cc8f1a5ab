"""The markets in memory, and what a newer record may change of an older one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from copytrade.adapters.gamma.amounts import TAKER_DELAY_MS
from copytrade.domain.market import UNKNOWN_CATEGORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis

GAMMA_CACHE_MS: Final = 600_000
"""Gamma's answers may be five minutes old; for twice that a tick size announced on the socket wins."""


class Catalogue:
    """Every known market by condition and by token."""

    def __init__(self) -> None:
        """Start empty."""
        self._by_condition: dict[str, Market] = {}
        self._by_token: dict[str, Market] = {}
        self._successors: dict[str, str] = {}
        self._tick_announced_at: dict[str, Millis] = {}

    def __len__(self) -> int:
        """Return how many markets are known."""
        return len(self._by_condition)

    def __iter__(self) -> Iterator[Market]:
        """Return all markets."""
        return iter(tuple(self._by_condition.values()))

    def of_token(self, token_id: str) -> Market | None:
        """Return a token's market."""
        return self._by_token.get(token_id)

    def of_condition(self, condition_id: str) -> Market | None:
        """Return a market by its 64-digit condition id."""
        return self._by_condition.get(condition_id)

    def successor_of(self, token_id: str) -> tuple[str, Market] | None:
        """Return the token that took a token's place, with its market."""
        successor = self._successors.get(token_id)
        return None if successor is None else (successor, self._by_token[successor])

    def load(self, markets: Iterable[Market]) -> None:
        """Take stored markets; what was learned meanwhile stays."""
        for market in markets:
            if market.condition_id not in self._by_condition:
                self.put(market)

    def merge(self, markets: Iterable[Market], *, monotonic_ms: Millis) -> list[Market]:
        """Take records as of now; return those that say something new, as they are kept."""
        changed = []
        for market in markets:
            known = self._by_condition.get(market.condition_id)
            kept = market if known is None else self._merged(known, market, monotonic_ms)
            if known is None or replace(kept, updated_at_ms=known.updated_at_ms) != known:
                self.put(kept)
                changed.append(kept)
        return changed

    def put(self, market: Market) -> None:
        """Keep exactly this."""
        self._by_condition[market.condition_id] = market
        for token in market.tokens:
            self._by_token[token.token_id] = market
        for former, token in zip(market.former_token_ids, market.tokens, strict=False):
            self._successors[former] = token.token_id

    def drop(self, market: Market) -> None:
        """Forget a market."""
        del self._by_condition[market.condition_id]
        self._tick_announced_at.pop(market.condition_id, None)
        for token in market.tokens:
            self._by_token.pop(token.token_id, None)
        for former in market.former_token_ids:
            self._successors.pop(former, None)

    def announce_tick(self, market: Market, tick_size: int, *, monotonic_ms: Millis) -> Market:
        """Keep a tick size that the market socket announced, against Gamma's older answers too."""
        self._tick_announced_at[market.condition_id] = monotonic_ms
        changed = replace(market, tick_size=tick_size)
        self.put(changed)
        return changed

    def _merged(self, known: Market, new: Market, monotonic_ms: Millis) -> Market:
        announced_at = self._tick_announced_at.get(known.condition_id)
        is_tick_newer = announced_at is not None and monotonic_ms - announced_at < GAMMA_CACHE_MS
        if announced_at is not None and not is_tick_newer:
            del self._tick_announced_at[known.condition_id]
        # Gamma does not tell the crypto taker delay; it was learned from the CLOB.
        is_delay_known = new.taker_delay_ms == 0 and known.taker_delay_ms == TAKER_DELAY_MS
        is_resolved = known.payouts is not None
        return replace(
            new,
            tick_size=known.tick_size if is_tick_newer else new.tick_size,
            taker_delay_ms=known.taker_delay_ms if is_delay_known else new.taker_delay_ms,
            payouts=known.payouts if known.payouts is not None else new.payouts,
            resolution_status=new.resolution_status or known.resolution_status,
            former_token_ids=new.former_token_ids or known.former_token_ids,
            closed=new.closed or is_resolved,
            accepting_orders=new.accepting_orders and not is_resolved,
            title=new.title or known.title,
            slug=new.slug or known.slug,
            event_slug=known.event_slug if new.event_slug == new.condition_id else new.event_slug,
            category=known.category if new.category == UNKNOWN_CATEGORY else new.category,
            end_date_ms=new.end_date_ms if new.end_date_ms is not None else known.end_date_ms,
        )
