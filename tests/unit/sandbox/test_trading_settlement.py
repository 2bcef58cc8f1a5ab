"""Matched trades reach the chain, or they do not; the record, the chain and the socket agree on which."""

from __future__ import annotations

import asyncio
import json

import pytest

from copytrade.sandbox.micro import decimal_text
from tests.unit.sandbox.trader import OTHER_KEY, Floor, Trader, on_floor

STANDARD = "lisbon-mayor-reelected"


async def _bought(floor: Floor, trader: Trader, shares: str = "10") -> dict:
    token = floor.markets[STANDARD].tokens[0]
    await floor.set_book(token, asks=[["0.5", "1000"]])
    return (await trader.place(token, "BUY", "0.5", shares, "FAK"))[1]


async def _statuses(trader: Trader) -> list[str]:
    return [row["status"] for row in (await trader.call("GET", "/data/trades"))[1]["data"]]


def test_a_trade_is_matched_then_mined_then_confirmed_and_is_one_log_of_its_order():
    async def story(floor):
        trader = await floor.trader()
        ear = trader.listen()
        answer = await _bought(floor, trader)

        assert await _statuses(trader) == ["TRADE_STATUS_MATCHED_NOT_BROADCASTED"]
        floor.elapse(100)
        assert await _statuses(trader) == ["TRADE_STATUS_MATCHED"]
        floor.elapse(10_000)
        assert await _statuses(trader) == ["TRADE_STATUS_CONFIRMED"]
        pushed = [one for one in ear.heard() if one["event_type"] == "trade"]

        assert [one["status"] for one in pushed] == ["MATCHED", "MINED", "CONFIRMED"]
        assert {one["id"] for one in pushed} == set(answer["tradeIDs"])
        logs = floor.logs_of(answer["orderID"])
        assert [log.tx_hash for log in logs] == [pushed[0]["transaction_hash"]]
        assert int(pushed[-1]["timestamp"]) > int(pushed[0]["timestamp"])

    on_floor(story)


def test_a_failed_trade_is_retried_fails_and_never_has_a_log_nor_moves_money():
    async def story(floor):
        trader = await floor.trader()
        ear = trader.listen()
        await floor.control("settlement", failure_rate=1, retries=2)
        answer = await _bought(floor, trader)
        floor.elapse(60_000)

        pushed = [one for one in ear.heard() if one["event_type"] == "trade"]
        assert [one["status"] for one in pushed] == ["MATCHED", "RETRYING", "RETRYING", "FAILED"]
        assert floor.logs_of(answer["orderID"]) == []
        account = (await floor.read("accounts"))[0]
        assert (account["collateral"], account["matched"], account["shares"]) == (1_000_000_000, 0, {})
        assert await _statuses(trader) == ["TRADE_STATUS_FAILED"]
        _, order = await trader.call("GET", f"/data/order/{answer['orderID']}")
        assert (order["status"], order["size_matched"]) == ("MATCHED", "10")

    on_floor(story)


def test_a_retried_trade_is_mined_under_another_hash():
    async def story(floor):
        trader = await floor.trader()
        ear = trader.listen()
        await floor.control("settlement", next=["retry"], retry_ms=500)
        answer = await _bought(floor, trader)
        floor.elapse(10_000)

        pushed = [one for one in ear.heard() if one["event_type"] == "trade"]
        assert [one["status"] for one in pushed] == ["MATCHED", "RETRYING", "MINED", "CONFIRMED"]
        assert pushed[0]["transaction_hash"] != pushed[-1]["transaction_hash"]
        assert [log.tx_hash for log in floor.logs_of(answer["orderID"])] == [pushed[-1]["transaction_hash"]]

    on_floor(story)


def test_a_trade_that_is_never_sent_stays_matched_and_keeps_its_money_locked():
    async def story(floor):
        trader = await floor.trader()
        await floor.control("settlement", next=["never"])
        await _bought(floor, trader)
        floor.elapse(600_000)

        assert await _statuses(trader) == ["TRADE_STATUS_MATCHED_NOT_BROADCASTED"]
        assert (await floor.read("accounts"))[0]["matched"] == 5_100_000

    on_floor(story)


def test_of_one_order_some_trades_can_fail():
    async def story(floor):
        token = floor.markets[STANDARD].tokens[0]
        await floor.set_book(token, asks=[[f"0.5{digit}", "10"] for digit in range(8)])
        trader = await floor.trader()
        await floor.control("settlement", next=["ok", "fail"], retries=0)
        _, answer = await trader.place(token, "BUY", "0.57", "80", "FAK")
        floor.elapse(10_000)

        assert len(answer["tradeIDs"]) == 2
        assert sorted(await _statuses(trader)) == ["TRADE_STATUS_CONFIRMED", "TRADE_STATUS_FAILED"]
        assert len(floor.logs_of(answer["orderID"])) == 1
        rows = (await trader.call("GET", "/data/trades"))[1]["data"]
        assert {row["bucket_index"] for row in rows} == {0, 1}

    on_floor(story)


def test_money_that_left_the_wallet_unseen_makes_a_ghost_fill():
    async def story(floor):
        trader = await floor.trader(collateral="100")
        await floor.control("account", wallet=trader.wallet, collateral="1", unseen=True)
        answer = await _bought(floor, trader)
        assert answer["status"] == "matched"
        floor.elapse(60_000)

        assert await _statuses(trader) == ["TRADE_STATUS_FAILED"]
        query = "?asset_type=COLLATERAL&signature_type=0"
        assert (await trader.call("GET", "/balance-allowance", query=query))[1]["balance"] == "100000000"
        assert (await trader.call("GET", "/balance-allowance/update", query=query))[1]["balance"] == "1000000"
        status, refused = await trader.place(floor.markets[STANDARD].tokens[0], "BUY", "0.5", "10", "FAK")
        assert (status, "balance: 1000000," in refused["error"]) == (400, True)

    on_floor(story)


def test_two_trades_cannot_spend_the_same_money():
    async def story(floor):
        trader = await floor.trader(collateral="100")
        await floor.control("account", wallet=trader.wallet, collateral="6", unseen=True)
        await _bought(floor, trader)
        await _bought(floor, trader)
        floor.elapse(60_000)

        assert sorted(await _statuses(trader)) == ["TRADE_STATUS_CONFIRMED", "TRADE_STATUS_FAILED"]
        assert (await floor.read("accounts"))[0]["collateral"] == 6_000_000 - 5_100_000

    on_floor(story)


@pytest.mark.parametrize(
    ("fate", "status", "collateral"),
    [("moved", "CONFIRMED", 994_900_000), ("delayed", "CONFIRMED", 994_900_000), ("dropped", "FAILED", 1_000_000_000)],
)
def test_a_reorg_takes_a_trade_back_with_its_money_and_may_mine_it_again(fate, status, collateral):
    async def story(floor):
        trader = await floor.trader()
        answer = await _bought(floor, trader)
        floor.elapse(1_600)
        assert await _statuses(trader) == ["TRADE_STATUS_MINED"]

        await floor.control("reorg", depth=1, fate=fate)
        floor.elapse(20_000)

        assert await _statuses(trader) == [f"TRADE_STATUS_{status}"]
        assert (await floor.read("accounts"))[0]["collateral"] == collateral
        assert len(floor.logs_of(answer["orderID"])) == (1 if status == "CONFIRMED" else 0)

    on_floor(story)


def test_a_stalled_finality_leaves_trades_mined():
    async def story(floor):
        trader = await floor.trader()
        await floor.control("finality", stalled=True)
        await _bought(floor, trader)
        floor.elapse(30_000)
        assert await _statuses(trader) == ["TRADE_STATUS_MINED"]
        await floor.control("finality", stalled=False)
        floor.elapse(2_000)
        assert await _statuses(trader) == ["TRADE_STATUS_CONFIRMED"]

    on_floor(story)


def test_a_match_is_printed_for_everybody_under_the_hash_its_trade_first_had():
    async def story(floor):
        token = floor.markets[STANDARD].tokens[0]
        trader = await floor.trader()
        market = floor.venue.connect("/ws/market")
        market.send_to_venue(json.dumps({"type": "market", "assets_ids": [str(token)]}))
        await floor.control("settlement", next=["fail"], retries=0)
        await floor.control("answers", hashes_inline=True)
        answer = await _bought(floor, trader)
        floor.elapse(200)

        inbox = market._inbox
        heard = [json.loads(inbox.get_nowait()) for _ in range(inbox.qsize())]
        printed = [one for one in heard if isinstance(one, dict) and one["event_type"] == "last_trade_price"]
        assert [one["transaction_hash"] for one in printed] == answer["transactionsHashes"]
        assert (printed[0]["size"], printed[0]["price"], printed[0]["side"]) == ("10", "0.5", "BUY")

    on_floor(story)


def test_other_peoples_settlements_are_not_held_up():
    async def story(floor):
        trader = await floor.trader()
        await floor.control("settlement", failure_rate=1, retries=0)
        await _bought(floor, trader)
        posted = await floor.control(
            "post", leader="sweeper", token=str(floor.markets[STANDARD].tokens[0]), side="BUY", size="8", price="0.5"
        )
        floor.elapse(2_000)

        assert len(floor.logs_of(posted["order_hash"])) == 1

    on_floor(story)


def test_among_invented_traders_each_match_is_the_sum_of_its_logs():
    async def story(floor):
        market = floor.markets[STANDARD]
        trader = await floor.trader(shares={str(token): "500" for token in market.tokens})
        for second in range(20):
            bids, asks = floor.book(market)
            price = decimal_text(bids[-1].price if second % 2 else asks[-1].price)
            side = "SELL" if second % 4 < 2 else "BUY"
            await trader.place(market.tokens[0], side, price, "15", "GTC" if second % 3 else "FAK")
            await asyncio.sleep(1)
        await trader.call("DELETE", "/cancel-all")
        await asyncio.sleep(15)

        orders = await floor.read("orders")
        fills = [fill for trade in await floor.read("trades") for fill in trade["fills"]]
        roles = {fill["role"] for fill in fills if fill["wallet"] == trader.wallet}
        assert roles == {"maker", "taker"}
        assert {trade["status"] for trade in await floor.read("trades")} == {"CONFIRMED"}
        for order in orders:
            logs = floor.logs_of(order["order_id"])
            words = [[int(log.data[2 + 64 * at : 66 + 64 * at], 16) for at in range(5)] for log in logs]
            bought = order["side"] == "BUY"
            assert sum(word[3 if bought else 2] for word in words) == order["matched_shares"]
            assert sum(word[2 if bought else 3] for word in words) == order["matched_collateral"]
        spent = sum(row["matched_collateral"] * (1 if row["side"] == "BUY" else -1) for row in orders)
        fees = sum(fill["fee"] for fill in fills if fill["wallet"] == trader.wallet)
        assert (await floor.read("accounts"))[0]["collateral"] == 1_000_000_000 - spent - fees

    on_floor(story, manual=False)


def test_our_own_fills_are_in_the_data_api_as_anybodys():
    async def story(floor):
        trader, maker = await floor.trader(), await floor.trader(OTHER_KEY)
        token = floor.markets[STANDARD].tokens[0]
        await floor.set_book(token)
        await maker.place(token, "BUY", "0.3", "10")
        await floor.control("account", wallet=trader.wallet, shares={str(token): "10"})
        await trader.place(token, "SELL", "0.3", "10", "FAK")
        await asyncio.sleep(5)

        for wallet, side in ((trader.wallet, "SELL"), (maker.wallet, "BUY")):
            answer = await floor.venue.request("GET", f"/data/v2/trades?user={wallet}&taker_only=false")
            rows = json.loads(answer.body)["data"]
            assert [(row["side"], row["size"], row["price"]) for row in rows] == [(side, 10, 0.3)]

    on_floor(story)
