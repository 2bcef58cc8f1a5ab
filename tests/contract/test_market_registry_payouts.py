"""Closed markets: found when asked for, and what they paid recorded once, 50/50 and uneven splits too."""

from __future__ import annotations

import json

import httpx
import pytest

from copytrade.domain.market_events import MarketResolved
from copytrade.domain.units import MICRO
from tests.contract.test_market_registry import tell, wait_ms
from tests.unit.gamma.fake_gamma import FakeHosts, Office, condition, row, tokens, v2_row

HALF = MICRO // 2
SPLIT = {"closed": True, "outcomePrices": '["0.5", "0.5"]', "umaResolutionStatus": "resolved"}


def payouts(office: Office, number: int = 1) -> tuple[int, ...] | None:
    market = office.registry.market_of(tokens(number)[0])
    assert market is not None
    return market.payouts


def asked(hosts: FakeHosts) -> list[str]:
    return [request.url.params["condition"] for request in hosts.requests if request.url.host == "data.test"]


@pytest.mark.parametrize("paid", [[HALF, HALF], [0, MICRO], [333_333, 666_666]])
def test_a_closed_market_is_fetched_with_what_it_paid(paid: list[int]) -> None:
    hosts = FakeHosts(rows=[row(1, **SPLIT)], payouts={condition(1): paid})

    async def story(office: Office) -> None:
        market = await office.registry.fetch(tokens(1)[0])
        assert market is not None
        assert market.closed
        assert not market.accepting_orders
        assert market.payouts == tuple(paid)
        assert office.store.stored[condition(1)] == market

    tell(story, hosts=hosts, runs=False)


def test_a_protocol_v2_market_is_asked_about_with_64_digits() -> None:
    listed = v2_row(5, **SPLIT)
    hosts = FakeHosts(rows=[listed], payouts={listed["conditionId"] + "00": [HALF, HALF]})

    async def story(office: Office) -> None:
        market = await office.registry.fetch(listed["positionIds"][0])
        assert market is not None
        assert market.payouts == (HALF, HALF)
        assert asked(hosts) == [listed["conditionId"] + "00"]

    tell(story, hosts=hosts, runs=False)


def test_a_resolution_that_spells_its_condition_with_62_digits_is_the_markets() -> None:
    listed = v2_row(5, **SPLIT)
    said = {"data": {"status": "resolved", "payouts": [HALF, HALF], "condition_id": listed["conditionId"]}}
    hosts = FakeHosts(rows=[listed])
    hosts.intercept = lambda request: httpx.Response(200, json=said) if request.url.host == "data.test" else None

    async def story(office: Office) -> None:
        market = await office.registry.fetch(listed["positionIds"][1])
        assert market is not None
        assert market.payouts == (HALF, HALF)

    tell(story, hosts=hosts, runs=False)


def test_a_market_that_closed_fifty_fifty_is_settled_by_the_next_sync() -> None:
    hosts = FakeHosts(rows=[row(1), row(2)])

    async def story(office: Office) -> None:
        await wait_ms(5_000)
        hosts.rows[0] |= SPLIT
        hosts.payouts[condition(1)] = [HALF, HALF]
        await wait_ms(900_000)
        assert payouts(office) == (HALF, HALF)
        assert office.store.stored[condition(1)].payouts == (HALF, HALF)
        hosts.payouts[condition(1)] = [MICRO, 0]
        await wait_ms(1_800_000)
        assert payouts(office) == (HALF, HALF)
        assert asked(hosts) == [condition(1)]

    tell(story, hosts=hosts)


def test_a_resolution_without_a_single_winner_is_looked_up_at_once() -> None:
    hosts = FakeHosts(rows=[row(1)], payouts={condition(1): [HALF, HALF]})

    async def story(office: Office) -> None:
        await wait_ms(5_000)
        event = MarketResolved(condition_id=condition(1), token_ids=tokens(1), winning_token_id=None)
        office.registry.apply_event(event)
        await wait_ms(1_000)
        assert payouts(office) == office.store.stored[condition(1)].payouts == (HALF, HALF)

    tell(story, hosts=hosts)


def test_payouts_are_not_changed_by_what_is_said_later() -> None:
    hosts = FakeHosts(rows=[row(1)])

    async def story(office: Office) -> None:
        await wait_ms(5_000)
        for winner in tokens(1):
            office.registry.apply_event(
                MarketResolved(condition_id=condition(1), token_ids=tokens(1), winning_token_id=winner)
            )
        hosts.rows[0] |= SPLIT | {"outcomePrices": '["0", "1"]'}
        await wait_ms(1_800_000)
        assert payouts(office) == office.store.stored[condition(1)].payouts == (MICRO, 0)

    tell(story, hosts=hosts)


@pytest.mark.parametrize(
    "data",
    [
        [],
        None,
        [{"status": "proposed", "payouts": [HALF, HALF]}],
        [{"status": "resolved", "payouts": [0, 0]}],
        [{"status": "resolved", "payouts": None}],
        [{"status": "resolved", "payouts": [MICRO]}],
        [{"status": "resolved", "payouts": [MICRO, MICRO]}],
        [{"status": "resolved", "payouts": [-1, 1]}],
        [{"status": "resolved", "payouts": [0.5, 0.5]}],
        [{"status": "resolved", "payouts": [MICRO, 0], "condition_id": condition(9)}],
        [{"status": "resolved", "payouts": [MICRO, 0], "condition_id": "0x12"}],
        "nonsense",
    ],
)
def test_payouts_that_are_not_said_or_cannot_be_are_none(data: object) -> None:
    hosts = FakeHosts(rows=[row(1, **SPLIT)])
    answer = httpx.Response(200, json={"data": data})
    hosts.intercept = lambda request: answer if request.url.host == "data.test" else None

    async def story(office: Office) -> None:
        market = await office.registry.fetch(tokens(1)[0])
        assert market is not None
        assert market.closed
        assert market.payouts is None

    tell(story, hosts=hosts, runs=False)


def test_a_market_is_found_although_nobody_tells_what_it_paid() -> None:
    hosts = FakeHosts(rows=[row(1, **SPLIT)])
    hosts.intercept = lambda request: httpx.Response(503) if request.url.host == "data.test" else None

    async def story(office: Office) -> None:
        await wait_ms(5_000)
        assert await office.registry.fetch(tokens(1)[0]) is not None

    tell(story, hosts=hosts)


def test_a_contradiction_is_noted_once_and_changes_nothing() -> None:
    hosts = FakeHosts(rows=[row(1)])

    async def story(office: Office) -> None:
        await wait_ms(5_000)
        for winner in (*tokens(1), *tokens(1)):
            office.registry.apply_event(
                MarketResolved(condition_id=condition(1), token_ids=tokens(1), winning_token_id=winner)
            )
        office.registry.learn_payouts(condition(1), (HALF, HALF))
        office.registry.learn_payouts(condition(1), (MICRO, 0))
        office.registry.learn_payouts(condition(1), (MICRO,))
        await wait_ms(1_000)

        told = [detail for code, detail in office.notes if code == "RESOLUTION_CONFLICT"]
        assert [(one["recorded"], one["told"]) for one in told] == [
            ((MICRO, 0), (0, MICRO)),
            ((MICRO, 0), (HALF, HALF)),
        ]
        assert payouts(office) == (MICRO, 0)

    tell(story, hosts=hosts)


def test_what_the_chain_tells_closes_a_market_here_too() -> None:
    hosts = FakeHosts(rows=[row(1)])

    async def story(office: Office) -> None:
        await wait_ms(5_000)
        office.registry.learn_payouts(condition(1), (333_333, 666_666))
        office.registry.learn_payouts(condition(9), (MICRO, 0))
        await wait_ms(1_000_000)

        market = office.registry.market_of(tokens(1)[0])
        assert market is not None
        assert (market.closed, market.accepting_orders, market.payouts) == (True, False, (333_333, 666_666))
        assert office.store.stored[condition(1)].payouts == (333_333, 666_666)

    tell(story, hosts=hosts)


def test_how_far_a_resolution_has_come_is_known_while_it_is_open() -> None:
    hosts = FakeHosts(rows=[row(1)])

    async def story(office: Office) -> None:
        await wait_ms(5_000)
        hosts.rows[0] |= {"umaResolutionStatuses": '["proposed", "disputed"]'}
        await wait_ms(900_000)

        assert office.store.stored[condition(1)].resolution_status == "disputed"

    tell(story, hosts=hosts)


def test_a_market_of_protocol_v2_tells_which_tokens_it_took_the_place_of() -> None:
    listed = v2_row(5) | {"clobTokenIds": json.dumps(tokens(1))}
    hosts = FakeHosts(rows=[row(1), listed])

    async def story(office: Office) -> None:
        await wait_ms(5_000)
        new = office.registry.market_of(listed["positionIds"][1])
        assert new is not None
        assert office.registry.successor_of(tokens(1)[1]) == (listed["positionIds"][1], new)
        assert office.registry.successor_of(listed["positionIds"][1]) is None
        assert office.registry.successor_of("9") is None

    tell(story, hosts=hosts)


@pytest.mark.parametrize("former", [None, "[]", '["12"]', '["12", "x"]'])
def test_tokens_that_are_not_paired_are_nobodys_successors(former: str | None) -> None:
    listed = v2_row(5) | {"clobTokenIds": former}
    hosts = FakeHosts(rows=[listed])

    async def story(office: Office) -> None:
        market = await office.registry.fetch(listed["positionIds"][0])
        assert market is not None
        assert market.former_token_ids == ()

    tell(story, hosts=hosts, runs=False)
