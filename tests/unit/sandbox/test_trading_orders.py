"""Accepted orders live on the public books, match there, and end as they were asked to."""

from __future__ import annotations

import json

import pytest

from copytrade.sandbox import contracts
from tests.unit.sandbox.trader import NEG_RISK, OTHER_KEY, STANDARD, V3, on_floor


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
@pytest.mark.parametrize("slug", [STANDARD, NEG_RISK, V3])
def test_every_kind_of_wallet_trades_at_every_exchange(kind, slug):
    async def story(floor):
        token = await floor.quote(slug)
        market = floor.markets[slug]
        trader = await floor.trader(kind=kind)

        status, answer = await trader.place(token, "BUY", "0.5", "20", "FAK")
        floor.elapse(2_000)

        assert (status, answer["status"]) == (200, "matched")
        logs = floor.logs_of(answer["orderID"])
        assert [(log.address, log.topics[2][-40:]) for log in logs] == [(market.exchange, trader.wallet[2:])]

    on_floor(story)


def test_a_resting_order_is_seen_by_everybody_and_a_cancelled_one_is_not():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        market = floor.venue.connect("/ws/market")
        market.send_to_venue(json.dumps({"type": "market", "assets_ids": [str(token)]}))
        await market.receive()

        _, answer = await trader.place(token, "BUY", "0.45", "10")
        seen = json.loads(await market.receive())["price_changes"][0]
        assert (answer["status"], seen["side"], seen["price"], seen["size"]) == ("live", "BUY", "0.45", "10")
        book = json.loads((await floor.venue.request("GET", f"/clob/book?token_id={token}")).body)
        assert book["bids"][-1] == {"price": "0.45", "size": "10"}

        assert await trader.call("DELETE", "/order", {"orderID": answer["orderID"]}) == (
            200,
            {"canceled": [answer["orderID"]], "not_canceled": {}},
        )
        seen = json.loads(await market.receive())["price_changes"][0]
        assert (seen["price"], seen["size"]) == ("0.45", "0")

    on_floor(story)


def test_an_order_for_an_amount_spends_it_and_takes_the_better_price_as_more_shares():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()

        _, answer = await trader.post(trader.post_body(token, "BUY", (60_000_000, 117_647_000), "FOK"))

        # 100 at 0.5 are 50; the other 10 buy 19.607843 at 0.51.
        assert (answer["makingAmount"], answer["takingAmount"]) == ("59.999999", "119.607843")
        _, order = await trader.call("GET", f"/data/order/{answer['orderID']}")
        assert (order["status"], order["original_size"], order["size_matched"]) == ("MATCHED", "60", "119.607843")

    on_floor(story)


def test_a_fill_and_kill_order_takes_what_is_there_and_the_rest_is_killed():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader(shares={str(token): "150"})
        ear = trader.listen()

        _, answer = await trader.place(token, "SELL", "0.4", "150", "FAK")

        assert (answer["status"], answer["makingAmount"], answer["takingAmount"]) == ("matched", "100", "40")
        assert ear.said() == ["order LIVE", "trade MATCHED", "order LIVE", "order CANCELED"]
        assert floor.book(floor.markets[STANDARD])[0] == []

    on_floor(story)


def test_a_killed_order_is_told_of_with_the_reason_in_its_status():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        ear = trader.listen()

        status, answer = await trader.place(token, "BUY", "0.5", "102", "FOK")

        assert (status, answer["orderID"][:2]) == (400, "0x")
        assert [(one["type"], one["status"]) for one in ear.heard()] == [
            ("CANCELLATION", "CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed.")
        ]

    on_floor(story)


def test_a_limit_order_takes_what_crosses_and_rests_with_what_is_left():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        ear = trader.listen()

        _, answer = await trader.place(token, "BUY", "0.5", "130")
        _, page = await trader.call("GET", "/data/orders")

        assert (answer["status"], answer["makingAmount"], answer["takingAmount"]) == ("matched", "50", "100")
        assert [(row["status"], row["size_matched"], row["original_size"]) for row in page["data"]] == [
            ("LIVE", "100", "130")
        ]
        assert ear.said() == ["order LIVE", "trade MATCHED", "order LIVE"]
        assert floor.book(floor.markets[STANDARD])[0][-1] == (500_000, 30_000_000)

    on_floor(story)


def test_a_maker_is_told_of_his_fill_among_the_makers_also_when_the_taker_trades_the_other_outcome():
    async def story(floor):
        market = floor.markets[STANDARD]
        await floor.set_book(market.tokens[0])
        maker, taker = await floor.trader(), await floor.trader(OTHER_KEY, collateral="500")
        maker_ear, taker_ear = maker.listen(), taker.listen()

        _, resting = await maker.place(market.tokens[0], "BUY", "0.43", "7")
        _, answer = await taker.place(market.tokens[1], "BUY", "0.57", "7")
        floor.elapse(2_000)

        trade = next(one for one in maker_ear.heard() if one["event_type"] == "trade")
        own = [one for one in trade["maker_orders"] if one["owner"] == maker.api["apiKey"]]
        assert (trade["trader_side"], trade["taker_order_id"]) == ("MAKER", answer["orderID"])
        assert (trade["asset_id"], trade["side"], trade["outcome"]) == (str(market.tokens[1]), "BUY", "No")
        assert [(one["order_id"], one["matched_amount"], one["price"], one["outcome"]) for one in own] == [
            (resting["orderID"], "7", "0.43", "Yes")
        ]
        assert own[0]["asset_id"] == str(market.tokens[0])
        mirrored = next(one for one in taker_ear.heard() if one["event_type"] == "trade")
        assert (mirrored["trader_side"], mirrored["id"]) == ("TAKER", trade["id"])
        assert mirrored["owner"] == taker.api["apiKey"] == trade["owner"]
        assert trade["trade_owner"] == maker.api["apiKey"]

        held = {row["wallet"]: row["shares"] for row in await floor.read("accounts")}
        assert held[maker.wallet] == {str(market.tokens[0]): 7_000_000}
        assert held[taker.wallet] == {str(market.tokens[1]): 7_000_000}

    on_floor(story)


def test_two_sellers_of_opposite_outcomes_are_merged_and_paid():
    async def story(floor):
        market = floor.markets[STANDARD]
        await floor.set_book(market.tokens[0])
        yes, no = (str(token) for token in market.tokens)
        maker = await floor.trader(collateral="0", shares={yes: "10"})
        taker = await floor.trader(OTHER_KEY, collateral="0", shares={no: "10"})

        await maker.place(market.tokens[0], "SELL", "0.43", "10")
        await taker.place(market.tokens[1], "SELL", "0.55", "10", "FAK")
        floor.elapse(2_000)

        rows = {row["wallet"]: row for row in await floor.read("accounts")}
        assert rows[maker.wallet]["collateral"] == 4_300_000
        # 10 x 0.57 less the taker's fee, 10 x 0.04 x 0.57 x 0.43 = 0.09804.
        assert rows[taker.wallet]["collateral"] == 5_700_000 - 98_040
        assert not rows[maker.wallet]["shares"]
        assert not rows[taker.wallet]["shares"]

    on_floor(story)


def test_the_invented_flow_takes_an_accounts_resting_order():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await trader.place(token, "BUY", "0.45", "10")

        await floor.control(
            "post", wallet="0x" + "cd" * 20, token=str(token), side="SELL", match="book", size="6", price="0.45"
        )
        _, page = await trader.call("GET", "/data/orders")
        _, trades = await trader.call("GET", "/data/trades")

        assert page["data"][0]["size_matched"] == "6"
        assert [(row["trader_side"], row["size"]) for row in trades["data"]] == [("MAKER", "6")]

    on_floor(story)


def test_a_book_set_by_hand_leaves_accounts_their_orders_and_matches_what_reaches_them():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await trader.place(token, "BUY", "0.45", "10")

        await floor.set_book(token, bids=[["0.3", "50"]], asks=[["0.6", "50"]])
        assert floor.book(floor.markets[STANDARD])[0] == [(300_000, 50_000_000), (450_000, 10_000_000)]
        await floor.set_book(token, bids=[["0.3", "50"]], asks=[["0.44", "4"]])
        _, page = await trader.call("GET", "/data/orders")

        assert page["data"][0]["size_matched"] == "4"

    on_floor(story)


def test_a_good_till_date_order_ends_a_minute_early():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        ear = trader.listen()
        stated = trader.now_s + 180

        _, answer = await trader.place(token, "BUY", "0.45", "10", "GTD", expiration=str(stated))
        floor.elapse(119_000)
        assert len((await trader.call("GET", "/data/orders"))[1]["data"]) == 1
        floor.elapse(2_000)

        assert (await trader.call("GET", "/data/orders"))[1]["data"] == []
        _, order = await trader.call("GET", f"/data/order/{answer['orderID']}")
        assert (order["status"], order["expiration"]) == ("CANCELED_EXPIRED_ORDER", str(stated))
        assert ear.said() == ["order LIVE", "order CANCELED_EXPIRED_ORDER"]

    on_floor(story)


def test_a_market_that_resolves_cancels_its_orders():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        ear = trader.listen()
        await trader.place(token, "BUY", "0.45", "10")

        await floor.control("resolve", token=str(token), winner=0)

        assert ear.said() == ["order LIVE", "order CANCELED_MARKET_RESOLVED"]
        assert (await floor.read("accounts"))[0]["reserved"] == 0

    on_floor(story)


def test_a_wallet_does_not_trade_with_itself():
    async def story(floor):
        token = floor.markets[STANDARD].tokens[0]
        await floor.set_book(token)
        trader = await floor.trader(shares={str(token): "10"})
        ear = trader.listen()
        await trader.place(token, "SELL", "0.45", "10")

        _, answer = await trader.place(token, "BUY", "0.45", "10")

        assert answer["status"] == "live"
        assert "order CANCELED" in ear.said()

    on_floor(story)


def test_a_wallets_own_orders_do_not_fill_its_fill_or_kill():
    async def story(floor):
        token = floor.markets[STANDARD].tokens[0]
        await floor.set_book(token)
        trader = await floor.trader(shares={str(token): "10"})
        await trader.place(token, "SELL", "0.5", "10")

        status, answer = await trader.place(token, "BUY", "0.5", "10", "FOK")

        assert (status, answer["error"][:37]) == (400, "order couldn't be fully filled. FOK o")
        assert len((await trader.call("GET", "/data/orders"))[1]["data"]) == 1

    on_floor(story)


def test_every_cancel_says_what_it_cancelled():
    async def story(floor):
        yes, no = floor.markets[STANDARD].tokens
        other = floor.markets[NEG_RISK].tokens[0]
        trader, stranger = await floor.trader(), await floor.trader(OTHER_KEY)
        ids = [(await trader.place(token, "BUY", "0.2", "5"))[1]["orderID"] for token in (yes, no, no, other)]
        gone = "order can't be found - already canceled or matched"

        assert (await stranger.call("DELETE", "/order", {"orderID": ids[0]}))[1]["not_canceled"] == {ids[0]: gone}
        assert (await stranger.call("DELETE", "/cancel-all"))[1] == {"canceled": [], "not_canceled": {}}
        by_token = {"asset_id": str(no)}
        assert (await trader.call("DELETE", "/cancel-market-orders", by_token))[1]["canceled"] == ids[1:3]
        assert (await trader.call("DELETE", "/orders", ids[:2]))[1] == {
            "canceled": ids[:1],
            "not_canceled": {ids[1]: gone},
        }
        by_market = {"market": floor.markets[NEG_RISK].condition}
        assert (await trader.call("DELETE", "/cancel-market-orders", by_market))[1]["canceled"] == ids[3:]
        for method, path, body in (
            ("DELETE", "/order", {"orderID": "0x12"}),
            ("DELETE", "/orders", ["x"]),
            ("GET", "/data/order/0x12", None),
        ):
            assert await trader.call(method, path, body) == (400, {"error": "Invalid orderID"})
        for path, body in (("/order", []), ("/orders", {}), ("/cancel-market-orders", {})):
            assert await trader.call("DELETE", path, body) == (400, {"error": "Invalid order payload"})
        many = ["0x" + "00" * 32] * 3_001
        assert (await trader.call("DELETE", "/orders", many))[1] == {
            "error": "Too many orders in payload, max allowed: 3000"
        }

    on_floor(story)


def test_what_an_order_is_tagged_with_is_on_chain():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        _, answer = await trader.place(
            token, "BUY", "0.5", "10", "FAK", metadata="0x" + "ab" * 32, builder="0x" + "cd" * 32
        )
        floor.elapse(2_000)

        log = floor.logs_of(answer["orderID"])[0]
        assert log.data.endswith("cd" * 32 + "ab" * 32)
        assert log.address == contracts.EXCHANGE_STANDARD

    on_floor(story)
