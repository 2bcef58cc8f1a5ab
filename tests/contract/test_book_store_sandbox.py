"""The book store and the registry against the local venue over real sockets: our books are its books."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httpx
import pytest

from copytrade.adapters.clob.bookstore import BookSource, ClobBookStore
from copytrade.adapters.gamma.registry import GammaRegistry
from copytrade.adapters.system import SystemClock
from copytrade.domain.book import QuoteTier
from copytrade.sandbox.server import SandboxConfig, serve
from tests.unit.gamma.fake_gamma import FakeStore

SECONDS = 4


@pytest.mark.parametrize("source", list(BookSource))
async def test_every_book_of_the_local_venue_is_held_as_it_is(source: BookSource) -> None:
    notes: list[Any] = []
    async with serve(SandboxConfig(seed=5)) as sandbox, httpx.AsyncClient() as http:
        clock = SystemClock()
        registry = GammaRegistry(
            gamma_url=sandbox.urls["GAMMA_HTTP_URL"],
            clob_url=sandbox.urls["CLOB_HTTP_URL"],
            data_api_url=sandbox.urls["DATA_API_HTTP_URL"],
            http=http,
            clock=clock,
            store=FakeStore(),
            sync_interval_ms=900_000,
            note=lambda *note: notes.append(note),
        )
        store = ClobBookStore(
            source=source,
            http_url=sandbox.urls["CLOB_HTTP_URL"],
            ws_url=sandbox.urls["CLOB_MARKET_WS_URL"],
            http=http,
            clock=clock,
            quote_fresh_ms=2_000,
            quote_stale_ms=5_000,
            history_ms=60_000,
            resync_interval_ms=1_000,
            tokens_max=2_000,
            note=lambda *note: notes.append(note),
            on_market_event=registry.apply_event,
            twin_of=registry.twin_of,
        )
        tasks = [asyncio.create_task(registry.run()), asyncio.create_task(store.run())]
        try:
            async with asyncio.timeout(20):
                while not registry.is_synced:
                    await asyncio.sleep(0.05)
            tokens = [
                token.token_id
                for market in registry._catalogue
                if market.enable_order_book and not market.closed
                for token in market.tokens
            ]
            for token_id in tokens:
                store.track(token_id)
            await asyncio.sleep(SECONDS)

            views = {token_id: store.view(token_id) for token_id in tokens}
            assert len(tokens) == 2 * len(store.tracked) > 200
            assert [token_id for token_id, view in views.items() if view is None] == []
            assert {view.tier for view in views.values() if view} == {QuoteTier.FRESH}
            assert store.counters.mismatches == 0
            assert store.counters.malformed == 0
            assert [note for note in notes if note[0] != "RESYNC"] == []
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
