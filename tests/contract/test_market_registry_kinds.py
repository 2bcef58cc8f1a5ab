"""Protocol versions, combos and liquidity: what the registry tells apart beyond open and closed."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.contract.test_market_registry import tell, wait_ms
from tests.unit.gamma.fake_gamma import FakeHosts, Office, details, row, tokens, v2_row

COMBO = str(3 << 248 | 7 << 120)
MINUTE_MS = 60_000
DAY_MS = 86_400_000


def test_a_combo_is_asked_of_nobody() -> None:
    async def story(office: Office) -> None:
        await wait_ms(1_000)
        asked = len(office.hosts.requests)
        office.registry.complete_soon(COMBO)
        assert await office.registry.fetch(COMBO) is None
        await wait_ms(1_000)
        assert len(office.hosts.requests) == asked

    tell(story)


def test_a_protocol_v2_token_leads_to_its_record_by_its_bits() -> None:
    listed = v2_row(5)
    [first, second] = listed["positionIds"]
    record = details(5, v="v2", c=listed["conditionId"] + "00", t=[{"t": first, "o": "Yes"}, {"t": second, "o": "No"}])
    hosts = FakeHosts(details={record["c"]: record})

    async def story(office: Office) -> None:
        market = await office.registry.fetch(second)
        assert market is not None
        assert market.condition_id == record["c"]
        assert market.version == "v2"
        assert [path for path in hosts.paths() if "clob" in path] == [f"clob.test /clob-markets/{record['c']}"]

    tell(story, hosts=hosts, runs=False)


@pytest.mark.parametrize(("opened", "is_noted"), [(v2_row, True), (row, False)])
def test_a_jump_in_the_share_of_protocol_v2_is_noted_once_a_day(opened: Any, is_noted: bool) -> None:
    hosts = FakeHosts(rows=[row(number) for number in range(1, 31)])

    async def story(office: Office) -> None:
        await wait_ms(5_000)
        for number in range(31, 81):
            hosts.rows.append(opened(number))
            await wait_ms(MINUTE_MS)
        noted = [detail for code, detail in office.notes if code == "GAMMA_VERSION_MIX"]
        assert noted == ([{"v2_percent": 100, "v2_percent_before": 0, "of": 20}] if is_noted else [])

    tell(story, hosts=hosts)


def test_what_a_first_sync_finds_is_no_jump() -> None:
    async def story(office: Office) -> None:
        await wait_ms(5 * MINUTE_MS)
        assert office.notes == []

    tell(story, hosts=FakeHosts(rows=[*map(row, range(1, 31)), *map(v2_row, range(31, 61))]))


def test_the_age_of_the_listing_is_that_of_its_last_page_that_came() -> None:
    hosts = FakeHosts(rows=[row(1)])

    async def story(office: Office) -> None:
        assert office.registry.age_ms() is None
        await wait_ms(20 * MINUTE_MS)
        before = office.registry.age_ms()
        assert before is not None
        assert before <= MINUTE_MS
        hosts.intercept = lambda request: httpx.Response(503)
        await wait_ms(30 * MINUTE_MS)
        assert office.registry.age_ms() == before + 30 * MINUTE_MS

    tell(story, hosts=hosts)


def test_the_most_liquid_open_markets_are_named_first() -> None:
    hosts = FakeHosts(
        rows=[
            row(1, liquidityNum=10.5),
            row(2, liquidityNum=9_000),
            row(3, liquidityNum=1e6, acceptingOrders=False),
            row(4, liquidityNum=500),
            row(5),
        ]
    )

    async def story(office: Office) -> None:
        assert office.registry.top_tokens(3) == ()
        await wait_ms(5_000)
        assert office.registry.top_tokens(2) == (*tokens(2), *tokens(4))
        assert office.registry.top_tokens(1_000) == (*tokens(2), *tokens(4), *tokens(1))
        assert office.registry.top_tokens(0) == ()
        hosts.rows[0]["liquidityNum"], hosts.rows[1]["liquidityNum"] = 800, 0
        await wait_ms(15 * MINUTE_MS)
        assert office.registry.top_tokens(5) == (*tokens(1), *tokens(4))

    tell(story, hosts=hosts)
