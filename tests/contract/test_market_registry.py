"""What the market registry promises, over imitated hosts and on virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from copytrade.domain.market import NO_FEES, FeeSchedule
from copytrade.domain.units import MICRO
from copytrade.ports.markets import RegistryUnavailableError
from tests.unit.gamma.fake_gamma import (
    FakeHosts,
    FakeStore,
    Office,
    condition,
    details,
    make_office,
    row,
    tokens,
    v2_row,
)
from tests.virtual_time import VirtualClock, run_virtual

EPOCH_MS = 1_795_000_000_000
HTML = httpx.Response(200, text="<html>maintenance</html>")
Story = Callable[[Office], Awaitable[None]]


def tell(story: Story, *, hosts: FakeHosts | None = None, store: FakeStore | None = None, runs: bool = True) -> None:
    async def main() -> None:
        office = make_office(VirtualClock(), hosts=hosts, store=store)
        task = asyncio.create_task(office.registry.run()) if runs else None
        try:
            await story(office)
        finally:
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    run_virtual(main, epoch_ms=EPOCH_MS)


async def wait_ms(duration_ms: int) -> None:
    await VirtualClock().sleep_ms(duration_ms)


def fails(times: int, response: httpx.Response, *, when: Callable[[httpx.Request], bool] = lambda _: True) -> Any:
    """Answer the first `times` matching requests with `response`."""
    left = times

    def intercept(request: httpx.Request) -> httpx.Response | None:
        nonlocal left
        if left and when(request):
            left -= 1
            return response
        return None

    return intercept


def test_every_page_of_both_versions_is_in_memory_and_stored() -> None:
    hosts = FakeHosts(rows=[*(row(number) for number in range(1, 10)), v2_row(77)])

    async def story(office: Office) -> None:
        await wait_ms(5_000)

        assert office.registry.is_synced
        assert len(office.store.stored) == 10
        for number in range(1, 10):
            market = office.registry.market_of(tokens(number)[1])
            assert market is not None
            assert market.condition_id == condition(number)
            assert market.outcome_of(tokens(number)[1]) == "No"
        position = hosts.rows[-1]["positionIds"][0]
        second = office.registry.market_of(position)
        assert second is not None
        assert len(second.condition_id) == 66
        assert second.version == "v2"

    tell(story, hosts=hosts)


def test_stored_markets_answer_before_the_venue_does() -> None:
    store = FakeStore()

    async def first(office: Office) -> None:
        await wait_ms(2_000)

    async def second(office: Office) -> None:
        await office.registry.load()
        assert office.registry.market_of(tokens(1)[0]) is not None
        assert office.hosts.requests == []

    tell(first, hosts=FakeHosts(rows=[row(1)]), store=store)
    tell(second, store=store, runs=False)


def test_an_unchanged_market_is_not_stored_again() -> None:
    async def story(office: Office) -> None:
        await wait_ms(2_000_000)

        assert sum(office.store.saves) == 4

    tell(story, hosts=FakeHosts(rows=[row(number) for number in range(1, 5)]))


def test_an_outage_is_waited_out_where_it_happened() -> None:
    hosts = FakeHosts(rows=[row(number) for number in range(1, 8)])
    hosts.intercept = fails(
        4, httpx.Response(503, text="no"), when=lambda request: request.url.params.get("after_cursor") == "3"
    )

    async def story(office: Office) -> None:
        await wait_ms(120_000)

        assert len(office.registry) == 7
        asked = [request.url.params for request in hosts.requests]
        firsts = [params for params in asked if params["ascending"] == "true" and "after_cursor" not in params]
        assert len(firsts) == 1

    tell(story, hosts=hosts)


def test_a_database_that_is_away_at_the_start_is_waited_for() -> None:
    async def story(office: Office) -> None:
        office.store.is_down = True
        await wait_ms(10_000)
        office.store.is_down = False
        await wait_ms(200_000)

        assert len(office.store.stored) == 1

    tell(story, hosts=FakeHosts(rows=[row(1)]))


def test_garbage_rows_are_quarantined_and_the_others_kept() -> None:
    bad = [
        row(2, version="v9"),
        row(3, clobTokenIds='["1"]'),
        row(4, clobTokenIds="not json"),
        row(5, orderPriceMinTickSize="NaN"),
        row(6, conditionId="0x12"),
        row(7, clobTokenIds='["-1", "2"]'),
        row(8, feeSchedule={"rate": "1e400", "exponent": 1}),
        row(9, orderMinSize=[]),
        {"unexpected": True},
        "text",
        None,
    ]
    hosts = FakeHosts(rows=[row(1), row(10)], page_size=100)
    hosts.intercept = fails(1, httpx.Response(200, json={"markets": [row(1), *bad, row(10)]}))

    async def story(office: Office) -> None:
        await wait_ms(2_000)

        assert len(office.registry) == 2
        assert office.registry.rows_rejected == len(bad)
        assert [code for code, _ in office.notes] == ["QUARANTINED"] * len(bad)

    tell(story, hosts=hosts)


def test_a_market_from_before_the_order_book_is_left_out_in_silence() -> None:
    async def story(office: Office) -> None:
        await wait_ms(2_000)

        assert len(office.registry) == 1
        assert office.notes == []

    tell(story, hosts=FakeHosts(rows=[row(1, clobTokenIds=None), row(2)]))


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[1, 2", b"\xff\xfe", b"", b'"text"'])
def test_a_page_of_garbage_is_quarantined_and_asked_for_again(body: bytes) -> None:
    hosts = FakeHosts(rows=[row(1)])
    hosts.intercept = fails(5, httpx.Response(200, content=body))

    async def story(office: Office) -> None:
        await wait_ms(300_000)

        assert len(office.registry) == 1
        assert ("REGISTRY_PAGE" in {detail.get("what") for _, detail in office.notes}) is True

    tell(story, hosts=hosts)


def test_a_cursor_that_leads_back_ends_the_sync() -> None:
    hosts = FakeHosts()
    hosts.intercept = lambda request: httpx.Response(200, json={"markets": [row(1)], "next_cursor": "again"})

    async def story(office: Office) -> None:
        await wait_ms(5_000)

        assert office.registry.is_synced
        assert len(hosts.requests) == 2

    tell(story, hosts=hosts)


def test_a_market_that_is_listed_no_more_is_found_closed_with_its_payouts() -> None:
    hosts = FakeHosts(rows=[row(1), row(2)])

    async def story(office: Office) -> None:
        await wait_ms(5_000)
        hosts.rows[0] |= {"closed": True, "outcomePrices": '["0", "1"]', "umaResolutionStatus": "resolved"}
        await wait_ms(900_000)

        market = office.registry.market_of(tokens(1)[0])
        assert market is not None
        assert market.closed
        assert market.payouts == (0, MICRO)

    tell(story, hosts=hosts)


def test_a_miss_is_fetched_from_both_hosts_once_for_all_who_ask() -> None:
    hosts = FakeHosts(rows=[row(1, orderPriceMinTickSize=0.01)])
    hosts.details[condition(1)] = details(1, mts=0.001, sd=3)

    async def story(office: Office) -> None:
        asked = [office.registry.fetch(tokens(1)[0]) for _ in range(5)]
        markets = await asyncio.gather(*asked)

        market = markets[0]
        assert market is not None
        assert markets == [market] * 5
        assert market.title == "Question 1?"
        assert market.category == "crypto"
        assert market.tick_size == 1_000
        assert market.taker_delay_ms == 3_000
        assert office.registry.market_of(tokens(1)[1]) == market
        assert office.store.stored[condition(1)] == market
        assert len(hosts.requests) == 3

    tell(story, hosts=hosts, runs=False)


def test_a_caller_who_gives_up_does_not_take_the_answer_from_others() -> None:
    hosts = FakeHosts(rows=[row(1)])

    async def story(office: Office) -> None:
        impatient = asyncio.create_task(office.registry.fetch(tokens(1)[0]))
        patient = asyncio.create_task(office.registry.fetch(tokens(1)[0]))
        await asyncio.sleep(0)
        impatient.cancel()

        assert await patient is not None

    tell(story, hosts=hosts, runs=False)


def test_the_clob_alone_makes_a_market() -> None:
    hosts = FakeHosts(details={condition(1): details(1)})
    hosts.intercept = lambda request: HTML if request.url.host == "gamma.test" else None

    async def story(office: Office) -> None:
        market = await office.registry.fetch(tokens(1)[0])

        assert market is not None
        assert market.taker_delay_ms == 150
        assert market.fees == FeeSchedule(rate=70_000, exponent=1)
        assert market.category == "unknown"
        assert market.event_slug == condition(1)

    tell(story, hosts=hosts, runs=False)


def test_gamma_alone_makes_a_market() -> None:
    hosts = FakeHosts(rows=[row(1, feesEnabled=False)])
    hosts.intercept = lambda request: httpx.Response(500) if request.url.host == "clob.test" else None

    async def story(office: Office) -> None:
        market = await office.registry.fetch(tokens(1)[0])

        assert market is not None
        assert market.fees == NO_FEES

    tell(story, hosts=hosts, runs=False)


def test_a_closed_market_is_found_too() -> None:
    async def story(office: Office) -> None:
        assert await office.registry.fetch(tokens(1)[0]) is not None

    tell(story, hosts=FakeHosts(rows=[row(1, closed=True)]), runs=False)


def test_a_protocol_v2_position_is_found() -> None:
    hosts = FakeHosts(rows=[v2_row(5)])

    async def story(office: Office) -> None:
        market = await office.registry.fetch(hosts.rows[0]["positionIds"][1])

        assert market is not None
        assert market.condition_id.endswith("00")

    tell(story, hosts=hosts, runs=False)


@pytest.mark.parametrize("token_id", [tokens(9)[0], "0", "-5", "abc", "", "9" * 90, "\uff11\uff12"])
def test_a_token_that_nobody_knows_is_none(token_id: str) -> None:
    async def story(office: Office) -> None:
        assert await office.registry.fetch(token_id) is None

    tell(story, runs=False)


@pytest.mark.parametrize("host", ["gamma.test", "clob.test"])
@pytest.mark.parametrize("response", [HTML, httpx.Response(503), httpx.Response(404, text="<html>404</html>")])
def test_unknown_to_one_host_while_the_other_is_away_is_no_answer(host: str, response: httpx.Response) -> None:
    hosts = FakeHosts()
    hosts.intercept = lambda request: response if request.url.host == host else None

    async def story(office: Office) -> None:
        with pytest.raises(RegistryUnavailableError):
            await office.registry.fetch(tokens(1)[0])

    tell(story, hosts=hosts, runs=False)


def test_looking_up_never_asks_the_venue() -> None:
    async def story(office: Office) -> None:
        assert office.registry.market_of(tokens(1)[0]) is None
        assert office.hosts.requests == []

    tell(story, runs=False)
