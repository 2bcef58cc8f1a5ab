"""Markets that are listed no more: found for the tokens that the ledger names, and dropped from memory in time."""

from __future__ import annotations

from dataclasses import replace

import httpx

from copytrade.domain.units import MICRO
from tests.contract.test_market_registry import fails, tell, wait_ms
from tests.unit.gamma.fake_gamma import FakeHosts, FakeStore, Office, condition, row, tokens, v2_row

WON = {"closed": True, "outcomePrices": '["1", "0"]', "umaResolutionStatus": "resolved"}
SPLIT = WON | {"outcomePrices": '["0.5", "0.5"]'}
DAY_MS = 86_400_000
COMBO = str((3 << 248) | (7 << 120))


def closed_lookups(hosts: FakeHosts) -> list[list[str]]:
    asked = [request.url.params for request in hosts.requests if request.url.params.get("closed") == "true"]
    return [found for one in asked if (found := one.get_list("clob_token_ids") or one.get_list("position_ids"))]


def test_what_a_leader_traded_before_anyone_asked_is_stored_with_its_title_and_payouts() -> None:
    old_v2 = v2_row(90, **WON)
    hosts = FakeHosts(
        rows=[row(1), row(80, **WON), row(81, **SPLIT), old_v2], payouts={condition(81): [MICRO // 2] * 2}
    )
    store = FakeStore(named={tokens(1)[0], tokens(80)[1], tokens(81)[0], old_v2["positionIds"][0]})

    async def story(office: Office) -> None:
        await wait_ms(10_000)

        assert store.stored[condition(80)].title == "Question 80?"
        assert store.stored[condition(80)].payouts == (MICRO, 0)
        assert store.stored[condition(81)].payouts == (MICRO // 2, MICRO // 2)
        assert old_v2["conditionId"] + "00" in store.stored
        assert len(office.registry) == 1
        assert await store.unlisted_tokens(after="", limit=10) == ()

    tell(story, hosts=hosts, store=store)


def test_tokens_are_asked_about_fifty_at_a_time_and_once_a_day_if_nobody_knows_them() -> None:
    hosts = FakeHosts(rows=[row(1)], page_size=100)
    store = FakeStore(named={tokens(number)[0] for number in range(1_000, 1_120)} | {COMBO, "x"})

    async def story(office: Office) -> None:
        await wait_ms(20_000)
        assert sorted(map(len, closed_lookups(hosts))) == [20, 50, 50]
        assert not any(COMBO in asked or "x" in asked for asked in closed_lookups(hosts))

        await wait_ms(3 * 900_000)
        assert len(closed_lookups(hosts)) == 3
        await wait_ms(DAY_MS)
        assert len(closed_lookups(hosts)) == 6

    tell(story, hosts=hosts, store=store)


def test_a_venue_that_fails_meanwhile_is_asked_again_after_the_next_sync() -> None:
    hosts = FakeHosts(rows=[row(1), row(80, **WON)])
    hosts.intercept = fails(1, httpx.Response(502), when=lambda request: "clob_token_ids" in request.url.params)
    store = FakeStore(named={tokens(80)[0]})

    async def story(office: Office) -> None:
        await wait_ms(60_000)
        assert condition(80) not in store.stored
        await wait_ms(900_000)
        assert store.stored[condition(80)].payouts == (MICRO, 0)

    tell(story, hosts=hosts, store=store)


def test_a_market_settled_days_ago_is_not_in_memory_and_is_found_when_asked_for() -> None:
    hosts = FakeHosts(rows=[row(1), row(2)])

    async def story(office: Office) -> None:
        await wait_ms(10_000)
        hosts.rows[1] |= WON
        await wait_ms(2 * 900_000)
        soon_after = office.registry.market_of(tokens(2)[0])
        await wait_ms(2 * DAY_MS)

        assert soon_after is not None
        assert soon_after.payouts == (MICRO, 0)
        assert office.registry.market_of(tokens(2)[0]) is None
        assert office.registry.market_of(tokens(1)[0]) is not None
        assert office.store.stored[condition(2)].payouts == (MICRO, 0)
        found = await office.registry.fetch(tokens(2)[0])
        assert found is not None
        assert found.payouts == (MICRO, 0)

    tell(story, hosts=hosts)


def test_a_start_loads_what_matters_alone() -> None:
    hosts = FakeHosts(rows=[row(1), row(2)])
    store = FakeStore()

    async def first(office: Office) -> None:
        await wait_ms(10_000)
        hosts.rows[1] |= WON
        await wait_ms(2 * 900_000)

    async def days_later(office: Office) -> None:
        await wait_ms(3 * DAY_MS)
        await office.registry.load()

        assert office.registry.market_of(tokens(1)[0]) is not None
        assert office.registry.market_of(tokens(2)[1]) is None

    tell(first, hosts=hosts, store=store)
    tell(days_later, hosts=hosts, store=store, runs=False)


def test_a_held_token_of_a_market_that_closed_is_asked_about_until_it_is_known_what_it_paid() -> None:
    hosts = FakeHosts(rows=[row(1, **SPLIT)])
    store = FakeStore()

    async def first(office: Office) -> None:
        await office.registry.fetch(tokens(1)[0])
        closed = store.stored[condition(1)]
        forty_days_ago = closed.updated_at_ms - 40 * DAY_MS
        store.stored[condition(1)] = replace(closed, updated_at_ms=forty_days_ago, end_date_ms=forty_days_ago)

    async def later(office: Office) -> None:
        for minute in range(12):
            if minute == 7:
                hosts.payouts[condition(1)] = [MICRO // 2, MICRO // 2]
            office.registry.complete_soon(tokens(1)[0])
            await wait_ms(60_000)

        market = office.registry.market_of(tokens(1)[0])
        assert market is not None
        assert market.payouts == store.stored[condition(1)].payouts == (MICRO // 2, MICRO // 2)
        assert len([request for request in hosts.requests if request.url.host == "data.test"]) == 4

    tell(first, hosts=hosts, store=store, runs=False)
    tell(later, hosts=hosts, store=store)
