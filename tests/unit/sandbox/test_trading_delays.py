"""Some orders wait before they match: for a second in sports, for a moment in crypto, or as long as asked."""

from __future__ import annotations

import asyncio
import functools

import pytest

from copytrade.sandbox.trading.funds import Purse
from tests.unit.sandbox.trader import CRYPTO, KEY, OTHER_KEY, SPORTS, on_floor


def test_a_sports_order_waits_meets_the_later_book_and_cannot_be_cancelled_meanwhile():
    async def story(floor):
        token = await floor.quote(SPORTS)
        trader = await floor.trader()
        ear = trader.listen()

        _, answer = await trader.place(token, "BUY", "0.5", "10")
        assert (answer["status"], answer["makingAmount"], answer["tradeIDs"]) == ("delayed", "", [])
        _, refused = await trader.call("DELETE", "/order", {"orderID": answer["orderID"]})
        assert list(refused["not_canceled"]) == [answer["orderID"]]
        await floor.set_book(token, bids=[["0.4", "100"]], asks=[["0.49", "4"]])
        floor.elapse(1_000)

        assert ear.said() == ["order DELAYED", "trade MATCHED", "order LIVE"]
        _, order = await trader.call("GET", f"/data/order/{answer['orderID']}")
        assert (order["status"], order["size_matched"]) == ("LIVE", "4")

    on_floor(story)


def test_a_delayed_order_that_finds_nothing_rests_unmatched_or_is_killed():
    async def story(floor):
        token = await floor.quote(SPORTS)
        trader = await floor.trader()
        ear = trader.listen()

        await trader.place(token, "BUY", "0.5", "10")
        await trader.place(token, "BUY", "0.5", "10", "FAK")
        await floor.set_book(token, bids=[["0.4", "100"]], asks=[["0.6", "4"]])
        floor.elapse(1_000)

        said = ear.said()
        assert said[:3] == ["order DELAYED", "order DELAYED", "order UNMATCHED"]
        assert said[3].startswith("order CANCELED_no orders found to match with FAK order.")
        assert len((await trader.call("GET", "/data/orders"))[1]["data"]) == 1

    on_floor(story)


def test_a_passive_order_is_not_delayed():
    async def story(floor):
        for slug in (SPORTS, CRYPTO):
            token = await floor.quote(slug)
            trader = await floor.trader()
            before = floor.world.now_ms
            _, answer = await trader.place(token, "BUY", "0.4", "10")
            assert (answer["status"], floor.world.now_ms) == ("live", before)
            await trader.call("DELETE", "/auth/api-key")

    on_floor(story)


def test_a_marketable_crypto_order_holds_the_answer_and_meets_the_book_of_that_moment():
    async def story(floor):
        token = await floor.quote(CRYPTO)
        trader = await floor.trader()
        before = floor.world.now_ms

        _, answer = await trader.place(token, "BUY", "0.5", "10", "FAK")
        assert (answer["status"], floor.world.now_ms - before) == ("matched", 150)

        await floor.control("delay", taker_ms=400)
        floor.world.timeline.after(
            100,
            lambda: floor.world.exchange.set_levels(floor.markets[CRYPTO], owner="0x" + "ee" * 20, bids=[], asks=[]),
        )
        _, answer = await trader.place(token, "BUY", "0.5", "10")
        assert (answer["status"], floor.world.now_ms - before) == ("unmatched", 550)

    on_floor(story)


def test_an_order_is_refused_whose_market_closes_while_it_is_held():
    async def story(floor):
        token = await floor.quote(CRYPTO)
        trader = await floor.trader()
        floor.world.timeline.after(
            100, lambda: floor.world.exchange.resolve_market(floor.markets[CRYPTO], (1_000_000, 0))
        )

        status, answer = await trader.place(token, "BUY", "0.5", "10")

        assert (status, answer["error"]) == (400, "the market is not yet ready to process new orders")
        assert (await floor.read("accounts"))[0]["reserved"] == 0

    on_floor(story)


def test_a_delayed_order_can_time_out_unmatched():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        ear = trader.listen()
        await floor.control("delay", ms=3_000, matches=False)
        await trader.place(token, "BUY", "0.5", "10")
        floor.elapse(3_000)

        assert ear.said() == ["order DELAYED", "order CANCELED_ORDER_TIMED_OUT"]
        assert (await floor.read("accounts"))[0]["reserved"] == 0

    on_floor(story)


def test_money_that_is_gone_when_a_delay_ends_ends_the_order():
    async def story(floor):
        for slug, said in ((SPORTS, "order CANCELED_NOT_ENOUGH_BALANCE"), (CRYPTO, None)):
            token = await floor.quote(slug)
            trader = await floor.trader(OTHER_KEY if said else KEY)
            ear = trader.listen()
            funds = floor.venue._venue._floor.desk.funds
            floor.world.timeline.after(50, functools.partial(funds.put, trader.wallet, Purse()))
            status, answer = await trader.place(token, "BUY", "0.5", "10")
            await asyncio.sleep(1.1)
            if said:
                assert ear.said() == ["order DELAYED", said]
            else:
                assert (status, answer["error"]) == (400, "not enough balance / allowance")

    on_floor(story)


@pytest.mark.parametrize("word", ["delayed", "live", "unmatched"])
def test_any_answer_can_come_before_the_match(word):
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await floor.control("delay", ms=3_000, word=word)

        _, answer = await trader.place(token, "BUY", "0.5", "10", "FAK")
        assert (answer["status"], answer["takingAmount"]) == (word, "")
        floor.elapse(3_000)
        _, order = await trader.call("GET", f"/data/order/{answer['orderID']}")

        assert order["size_matched"] == "10"

    on_floor(story)
