"""What the market socket announces and the CLOB completes, and that Gamma's older answers do not undo it."""

from __future__ import annotations

from copytrade.domain.market_events import MarketListed, MarketResolved, TickSizeChanged
from copytrade.domain.units import MICRO
from tests.contract.test_market_registry import tell, wait_ms
from tests.unit.gamma.fake_gamma import FakeHosts, Office, condition, details, row, tokens


def test_completing_adds_the_taker_delay_and_a_later_sync_keeps_it() -> None:
    hosts = FakeHosts(rows=[row(1)], details={condition(1): details(1)})

    async def story(office: Office) -> None:
        await wait_ms(2_000)
        office.registry.complete_soon(tokens(1)[0])
        office.registry.complete_soon(tokens(1)[1])
        await wait_ms(2_000)
        hosts.rows[0]["question"] = "Renamed?"
        await wait_ms(900_000)

        market = office.registry.market_of(tokens(1)[0])
        assert market is not None
        assert market.title == "Renamed?"
        assert market.taker_delay_ms == 150
        assert office.store.stored[condition(1)].taker_delay_ms == 150

    tell(story, hosts=hosts)


def test_an_announced_tick_size_wins_over_gammas_cache_for_a_while() -> None:
    hosts = FakeHosts(rows=[row(1)])

    async def story(office: Office) -> None:
        await wait_ms(899_000)
        event = TickSizeChanged(condition_id=condition(1), token_id=tokens(1)[0], tick_size=1_000)
        office.registry.apply_event(event)
        office.registry.apply_event(event)
        at_once = office.registry.market_of(tokens(1)[1])
        await wait_ms(60_000)
        after_sync = office.registry.market_of(tokens(1)[1])
        await wait_ms(900_000)
        later = office.registry.market_of(tokens(1)[1])

        assert at_once is not None
        assert at_once.tick_size == 1_000
        assert after_sync is not None
        assert after_sync.tick_size == 1_000
        assert later is not None
        assert later.tick_size == 10_000

    tell(story, hosts=hosts)


def test_an_announced_resolution_closes_and_pays_at_once_and_stays() -> None:
    hosts = FakeHosts(rows=[row(1)])

    async def story(office: Office) -> None:
        await wait_ms(2_000)
        yes, no = tokens(1)
        office.registry.apply_event(MarketResolved(condition_id=condition(1), token_ids=(yes, no), winning_token_id=no))
        await wait_ms(1_000_000)

        market = office.registry.market_of(yes)
        assert market is not None
        assert market.payouts == (0, MICRO)
        assert market.closed
        assert not market.accepting_orders
        assert office.store.stored[condition(1)] == market

    tell(story, hosts=hosts)


def test_a_listed_market_is_fetched_in_the_background() -> None:
    hosts = FakeHosts()

    async def story(office: Office) -> None:
        await wait_ms(2_000)
        hosts.rows.append(row(3))
        office.registry.apply_event(MarketListed(condition_id=condition(3), token_ids=tokens(3)))
        await wait_ms(2_000)

        assert office.registry.market_of(tokens(3)[0]) is not None

    tell(story, hosts=hosts)
