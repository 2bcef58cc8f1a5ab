"""A full sync loses no market: killed, with garbage in the way, with markets opened and closed meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from copytrade.adapters.gamma import lookups
from copytrade.ports.markets import RegistrySync
from tests.contract.test_market_registry import EPOCH_MS, fails, tell, wait_ms
from tests.unit.gamma.fake_gamma import FakeHosts, FakeStore, Office, condition, row, tokens

MINUTE_MS = 60_000


def cursors(hosts: FakeHosts) -> list[str | None]:
    """Return the cursors of the pages a full sync asked for."""
    pages = [request.url.params for request in hosts.requests if request.url.path == "/markets/keyset"]
    return [params.get("after_cursor") for params in pages if params.get("ascending") == "true"]


def is_known(office: Office, number: int) -> bool:
    return office.registry.market_of(tokens(number)[0]) is not None


def test_a_worker_killed_in_the_middle_of_a_sync_goes_on_from_there() -> None:
    store = FakeStore()

    async def killed(office: Office) -> None:
        await wait_ms(620)
        assert store.sync is not None
        assert (store.sync.cursor, store.sync.pages, store.sync.markets) == ("30", 10, 30)
        assert len(store.stored) == 30

    async def resumed(office: Office) -> None:
        await wait_ms(480)
        assert cursors(office.hosts)[:10] == [str(last) for last in range(30, 60, 3)]
        assert all(is_known(office, number) for number in range(1, 61))
        await wait_ms(5_000)
        assert len(store.stored) == 60
        assert store.sync is None

    rows = [row(number) for number in range(1, 61)]
    tell(killed, hosts=FakeHosts(rows=rows), store=store)
    tell(resumed, hosts=FakeHosts(rows=rows), store=store)


def test_what_closed_while_the_worker_was_dead_is_found_by_the_sync_after_the_resumed_one() -> None:
    rows = [row(number) for number in range(1, 61)]
    store = FakeStore()

    async def killed(office: Office) -> None:
        await wait_ms(620)

    async def resumed(office: Office) -> None:
        await wait_ms(10_000)
        gone = office.registry.market_of(tokens(2)[0])
        assert gone is not None
        assert gone.closed
        still = office.registry.market_of(tokens(1)[0])
        assert still is not None
        assert not still.closed

    tell(killed, hosts=FakeHosts(rows=rows), store=store)
    rows[1]["closed"] = True
    tell(resumed, hosts=FakeHosts(rows=rows), store=store)


@pytest.mark.parametrize("age_ms", [3_600_000, -1])
def test_a_sync_left_long_ago_or_in_the_future_starts_anew(age_ms: int) -> None:
    hosts = FakeHosts(rows=[row(number) for number in range(1, 8)])
    left = RegistrySync(cursor="3", started_at_ms=EPOCH_MS - age_ms, pages=1, markets=3)

    async def story(office: Office) -> None:
        await wait_ms(2_000)
        assert cursors(hosts) == [None, "3", "6"]

    tell(story, hosts=hosts, store=FakeStore(sync=left))


def test_a_cursor_the_venue_refuses_starts_the_sync_anew() -> None:
    hosts = FakeHosts(rows=[row(number) for number in range(1, 8)])
    hosts.intercept = fails(
        1, httpx.Response(422, json={}), when=lambda request: request.url.params.get("after_cursor") == "3"
    )
    left = RegistrySync(cursor="3", started_at_ms=EPOCH_MS, pages=1, markets=3)

    async def story(office: Office) -> None:
        await wait_ms(10_000)
        assert cursors(hosts) == ["3", None, "3", "6"]
        assert len(office.registry) == 7

    tell(story, hosts=hosts, store=FakeStore(sync=left))


def test_a_venue_that_refuses_an_order_is_read_in_its_own() -> None:
    hosts = FakeHosts(rows=[row(number) for number in range(1, 8)])
    hosts.intercept = lambda request: httpx.Response(422, json={}) if "order" in request.url.params else None

    async def story(office: Office) -> None:
        await wait_ms(2 * MINUTE_MS)
        assert office.registry.is_synced
        assert len(office.registry) == 7

    tell(story, hosts=hosts)


def test_a_sync_that_fails_goes_on_where_it_failed() -> None:
    hosts = FakeHosts(rows=[row(number) for number in range(1, 8)])
    hosts.intercept = fails(
        5, httpx.Response(200, text="<html>"), when=lambda request: request.url.params.get("after_cursor") == "3"
    )

    async def story(office: Office) -> None:
        await wait_ms(10 * MINUTE_MS)
        assert len(office.registry) == 7
        assert cursors(hosts).count(None) == 1

    tell(story, hosts=hosts)


Happening = tuple[int, str, int]
"""After which request, what, and to which market."""
HAPPENINGS = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from(["open", "close"]), st.integers(1, 30)), max_size=12
)


@given(happenings=HAPPENINGS, page_size=st.integers(1, 7))
@settings(max_examples=100)
def test_no_market_is_lost_when_others_open_and_close_during_the_sync(
    happenings: list[Happening], page_size: int
) -> None:
    hosts = FakeHosts(rows=[row(number) for number in range(1, 31)], page_size=page_size)

    def shift(_request: httpx.Request) -> None:
        for after, what, number in happenings:
            if after == len(hosts.requests) and what == "open":
                hosts.rows.append(row(len(hosts.rows) + 1))
            elif after == len(hosts.requests):
                hosts.rows[number - 1]["closed"] = True

    hosts.intercept = shift

    async def story(office: Office) -> None:
        await wait_ms(14 * MINUTE_MS)  # One sync, and a look at the newest each minute.
        open_now = {one["conditionId"] for one in hosts.rows if not one["closed"]}
        known = {market.condition_id for market in office.store.stored.values() if not market.closed}
        assert open_now <= known
        await wait_ms(3 * MINUTE_MS)
        known = {market.condition_id for market in office.store.stored.values() if not market.closed}
        assert open_now == known

    tell(story, hosts=hosts)


def test_a_market_opened_while_the_socket_was_down_appears_within_a_minute() -> None:
    hosts = FakeHosts(rows=[row(number) for number in range(1, 8)])

    async def story(office: Office) -> None:
        await wait_ms(5_000)
        synced_by = len(cursors(hosts))
        hosts.rows += [row(number) for number in range(8, 20)]
        await wait_ms(61_000)
        assert all(is_known(office, number) for number in range(1, 20))
        asked = len(hosts.requests)
        await wait_ms(60_000)
        assert len(hosts.requests) == asked + 1
        assert len(cursors(hosts)) == synced_by

    tell(story, hosts=hosts)


def test_one_row_that_ruins_its_page_costs_one_row() -> None:
    hosts = FakeHosts(rows=[row(number) for number in range(1, 12)], page_size=100)

    def intercept(request: httpx.Request) -> httpx.Response | None:
        params = request.url.params
        first = int(params.get("after_cursor", "0")) + 1
        if params.get("ascending") != "true" or not first <= 5 < first + int(params["limit"]):
            return None
        return httpx.Response(200, text='{"markets": [\x00], "next_cursor": "5"}' if first == 5 else '{"markets": [')

    hosts.intercept = intercept

    async def story(office: Office) -> None:
        await wait_ms(10 * MINUTE_MS)
        assert [number for number in range(1, 12) if not is_known(office, number)] == []
        assert "REGISTRY_PAGE_SKIPPED" in [code for code, _ in office.notes]

    async def without_newest(office: Office) -> None:
        await wait_ms(50_000)
        assert [number for number in range(1, 12) if not is_known(office, number)] == [5]

    tell(without_newest, hosts=hosts)
    tell(story, hosts=replace(hosts, requests=[]))


def test_a_market_on_a_page_that_was_skipped_is_not_taken_for_closed() -> None:
    hosts = FakeHosts(rows=[row(number) for number in range(1, 8)])

    async def story(office: Office) -> None:
        await wait_ms(5_000)
        garbage = httpx.Response(200, text='{"markets": [?], "next_cursor": "6"}')
        hosts.intercept = fails(9, garbage, when=lambda request: request.url.params.get("after_cursor") == "3")
        hosts.requests.clear()
        await wait_ms(16 * MINUTE_MS)
        assert "6" in cursors(hosts)
        assert [request for request in hosts.requests if request.url.params.get("closed") == "true"] == []

    tell(story, hosts=hosts)


def test_progress_is_told_at_most_every_five_seconds() -> None:
    hosts = FakeHosts(rows=[row(number) for number in range(1, 601)], page_size=2)

    async def story(office: Office) -> None:
        await wait_ms(20_000)

    with capture_logs() as logs:
        tell(story, hosts=hosts)

    told: list[Any] = [entry for entry in logs if entry["event"] == "registry.syncing"]
    assert [(entry["pages"], entry["markets"]) for entry in told] == [(1, 2), (101, 202), (201, 402)]
    assert [entry["pages"] for entry in logs if entry["event"] == "registry.synced"] == [300]


def test_markets_are_stored_in_batches() -> None:
    hosts = FakeHosts(rows=[row(number) for number in range(1, 101)], page_size=2)

    async def story(office: Office) -> None:
        await wait_ms(10_000)
        assert office.store.saves == [20, 20, 20, 20, 20]

    tell(story, hosts=hosts)


def test_an_answer_without_end_is_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "ANSWER_BYTES_MAX", 10_000)
    hosts = FakeHosts(rows=[row(1)])
    hosts.intercept = fails(1, httpx.Response(200, content=b"[" + b" " * 20_000 + b"]"))

    async def story(office: Office) -> None:
        await wait_ms(10_000)
        assert [detail["what"] for _, detail in office.notes] == ["REGISTRY_PAGE"]
        assert is_known(office, 1)

    tell(story, hosts=hosts)


def test_a_database_that_is_away_during_a_sync_loses_nothing() -> None:
    hosts = FakeHosts(rows=[row(number) for number in range(1, 61)])

    async def story(office: Office) -> None:
        await wait_ms(300)
        office.store.is_down = True
        await wait_ms(20_000)
        office.store.is_down = False
        await wait_ms(3 * MINUTE_MS)
        assert set(office.store.stored) == {condition(number) for number in range(1, 61)}

    tell(story, hosts=hosts)


def test_asking_for_a_token_during_a_sync_waits_for_no_page() -> None:
    hosts = FakeHosts(rows=[row(number) for number in range(1, 61)])

    async def story(office: Office) -> None:
        await wait_ms(200)
        async with asyncio.timeout(0.01):
            assert await office.registry.fetch(tokens(60)[0]) is not None

    tell(story, hosts=hosts)
