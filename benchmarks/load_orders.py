"""A real order on its way out: from the approved attempt, with the commits before it, to its first byte at a venue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from benchmarks.first_byte import to_first_byte
from benchmarks.measuring import Kind, percentile
from benchmarks.measuring_loads import Held
from tests.ledgers import sql_ledger
from tests.processes import a_world

ORDERS_SHORT, ORDERS_LONG = 300, 5_000
FIRST_BYTE_P99_MS_MAX = 20.0


def measure(kind: Kind, *, long: bool) -> Iterator[Held]:
    """Yield how long an order takes to leave; the sandbox, a process of its own, refuses each."""
    with a_world("--manual") as world:
        venue_url = world.urls["CLOB_HTTP_URL"]
        took_ms = asyncio.run(_send(kind.new(), venue_url, ORDERS_LONG if long else ORDERS_SHORT))
    what = f"{kind.name}: approved attempt to first byte"
    yield Held(what=f"{what}, p50", figure=percentile(took_ms, 0.5), unit="ms")
    yield Held(what=f"{what}, p99", figure=percentile(took_ms, 0.99), unit="ms", bound=FIRST_BYTE_P99_MS_MAX)


async def _send(url: str, venue_url: str, orders: int) -> list[float]:
    async with sql_ledger(url) as ledger:
        return await to_first_byte(venue_url, ledger, orders)
