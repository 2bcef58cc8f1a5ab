"""The market registry and the order books."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

    from copytrade.adapters.clob.bookstore import ClobBookStore
    from copytrade.adapters.gamma.registry import GammaRegistry
    from copytrade.app.outside import Outside
    from copytrade.engine.notes import Notes
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger
    from copytrade.settings import Settings


def build_registry(
    settings: Settings, ledger: Ledger, clock: Clock, *, http: httpx.AsyncClient, notes: Notes
) -> GammaRegistry:
    """Return the registry, filled from the ledger first and from the venue once it runs."""
    from copytrade.adapters.gamma.registry import GammaRegistry

    return GammaRegistry(
        gamma_url=settings.gamma_http_url,
        clob_url=settings.clob_http_url,
        data_api_url=settings.data_api_http_url,
        http=http,
        sync_interval_ms=settings.registry_sync_interval_ms,
        clock=clock,
        store=ledger,
        note=notes.take,
    )


def build_books(
    settings: Settings,
    outside: Outside,
    *,
    http: httpx.AsyncClient,
    notes: Notes,
    registry: GammaRegistry,
) -> ClobBookStore:
    """Return the books, kept the way the settings say; what their sockets announce is the registry's."""
    from copytrade.adapters.clob.bookstore import BookSource, ClobBookStore
    from copytrade.adapters.clob.socket import connect_to_market

    return ClobBookStore(
        source=BookSource(settings.bookstore_mode),
        http_url=settings.clob_http_url,
        ws_url=settings.clob_market_ws_url,
        http=http,
        clock=outside.clock,
        quote_fresh_ms=settings.quote_fresh_ms,
        quote_stale_ms=settings.quote_stale_ms,
        history_ms=settings.book_history_ms,
        resync_interval_ms=settings.book_resync_interval_ms,
        tokens_max=settings.track_max_tokens,
        note=notes.take,
        on_market_event=registry.apply_event,
        twin_of=registry.twin_of,
        open_connection=outside.connect or connect_to_market,
    )
