"""An account sees its own orders, trades and balances, in requests and on the user socket, and no others."""

from __future__ import annotations

import json

import pytest

from copytrade.sandbox.trading import service
from tests.unit.sandbox.trader import NEG_RISK, OTHER_KEY, STANDARD, V3, on_floor


def test_orders_and_trades_come_in_pages_and_can_be_asked_for_by_what_they_are(monkeypatch):
    monkeypatch.setattr(service, "PAGE", 2)

    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        for price in ("0.41", "0.42", "0.43"):
            await trader.place(token, "BUY", price, "10")
        for _ in range(3):
            await trader.place(token, "BUY", "0.5", "10", "FAK")
            floor.elapse(2_000)

        for path in ("/data/orders", "/data/trades"):
            _, first = await trader.call("GET", path)
            _, second = await trader.call("GET", path, query=f"?next_cursor={first['next_cursor']}")
            assert [len(first["data"]), len(second["data"])] == [2, 1]
            assert (first["next_cursor"], second["next_cursor"]) == ("Mg==", "LTE=")
            assert (await trader.call("GET", path, query="?next_cursor=MA=="))[1] == first
            assert (await trader.call("GET", path, query="?next_cursor=LTE="))[1]["data"] == []
            assert (await trader.call("GET", path, query="?next_cursor=no"))[0] == 400
            chosen = second["data"][0]["id"]
            assert len((await trader.call("GET", path, query=f"?id={chosen}"))[1]["data"]) == 1
            assert (await trader.call("GET", path, query="?asset_id=12"))[1]["data"] == []
        _, all_trades = await trader.call("GET", "/data/trades")
        newest = int(all_trades["data"][0]["match_time"])
        assert len((await trader.call("GET", "/data/trades", query=f"?after={newest - 1}"))[1]["data"]) == 1
        assert len((await trader.call("GET", "/data/trades", query=f"?before={newest}"))[1]["data"]) == 2
        by_wallet = f"?maker_address={trader.wallet}"
        assert len((await trader.call("GET", "/data/trades", query=by_wallet))[1]["data"]) == 2
        assert (await trader.call("GET", "/data/trades", query="?after=x"))[0] == 400

    on_floor(story)


def test_orders_and_trades_of_others_are_not_shown():
    async def story(floor):
        token = await floor.quote()
        trader, stranger = await floor.trader(), await floor.trader(OTHER_KEY)
        ear = stranger.listen()
        _, resting = await trader.place(token, "BUY", "0.45", "10")
        await trader.place(token, "BUY", "0.5", "10", "FAK")

        assert await stranger.call("GET", f"/data/order/{resting['orderID']}") == (200, None)
        assert (await stranger.call("GET", "/data/orders"))[1]["data"] == []
        assert (await stranger.call("GET", "/data/trades"))[1]["data"] == []
        assert ear.said() == []

    on_floor(story)


def test_answers_have_the_variants_that_documents_show():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        _, usual = await trader.place(token, "BUY", "0.5", "10", "FAK")
        await floor.control("answers", hashes_inline=True, integer_amounts=True, null_errors=True, forgets_closed=True)
        _, other = await trader.place(token, "BUY", "0.5", "10", "FAK")

        assert (usual["transactionsHashes"], usual["makingAmount"], usual["errorMsg"]) == ([], "5", "")
        assert (len(other["transactionsHashes"]), other["makingAmount"], other["errorMsg"]) == (1, "5000000", None)
        assert len(usual["tradeIDs"]) == 1
        assert await trader.call("GET", f"/data/order/{other['orderID']}") == (200, None)

    on_floor(story)


def test_balances_are_of_the_wallet_that_the_kind_of_signature_means():
    async def story(floor):
        market, newer = floor.markets[STANDARD], floor.markets[V3]
        shares = {str(market.tokens[0]): "12.5", str(newer.tokens[0]): "3"}
        trader = await floor.trader(kind=3, collateral="77.5", shares=shares, approve="none")

        async def balance(query: str) -> tuple[str, set[str]]:
            status, answer = await trader.call("GET", "/balance-allowance", query=f"?{query}")
            assert status == 200
            return answer["balance"], set(answer["allowances"].values())

        assert await balance("asset_type=COLLATERAL&signature_type=3") == ("77500000", {"0"})
        assert await balance("asset_type=COLLATERAL&signature_type=0") == ("0", {"0"})
        assert await balance("asset_type=COLLATERAL&signature_type=1") == ("0", {"0"})
        conditional = f"token_id={market.tokens[0]}&signature_type=3"
        position = f"token_id={newer.tokens[0]}&signature_type=3"
        assert (await balance(f"asset_type=CONDITIONAL&{conditional}"))[0] == "12500000"
        assert (await balance(f"asset_type=CONDITIONAL-V2&{conditional}"))[0] == "0"
        assert (await balance(f"asset_type=CONDITIONAL-V2&{position}"))[0] == "3000000"
        await floor.control("account", wallet=trader.wallet, approve="all")
        unlimited = str(2**256 - 1)
        assert await balance("asset_type=COLLATERAL&signature_type=3") == ("77500000", {unlimited})
        assert (await balance(f"asset_type=CONDITIONAL&{conditional}"))[1] == {unlimited}
        for query in ("asset_type=OTHER", "asset_type=COLLATERAL&signature_type=9"):
            assert (await trader.call("GET", "/balance-allowance", query=f"?{query}"))[0] == 400

    on_floor(story)


def test_the_user_socket_tells_of_chosen_markets_only_and_answers_pings():
    async def story(floor):
        first, second = floor.markets[STANDARD], floor.markets[NEG_RISK]
        trader = await floor.trader()
        ear = trader.listen(first.condition)

        ear.socket.send_to_venue("PING")
        assert await ear.socket.receive() == "PONG"
        await trader.place(first.tokens[0], "BUY", "0.2", "5")
        await trader.place(second.tokens[0], "BUY", "0.2", "5")
        assert [one["market"] for one in ear.heard()] == [first.condition]
        ear.socket.send_to_venue(json.dumps({"operation": "subscribe", "markets": [second.condition]}))
        await trader.place(second.tokens[0], "BUY", "0.2", "6")
        ear.socket.send_to_venue(json.dumps({"operation": "unsubscribe", "markets": [first.condition]}))
        await trader.place(first.tokens[0], "BUY", "0.2", "6")
        assert [one["market"] for one in ear.heard()] == [second.condition]

    on_floor(story)


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "user"},
        {"type": "market", "auth": {}},
        {"type": "user", "auth": {"apiKey": "x", "secret": "y", "passphrase": "z"}},
    ],
)
def test_a_user_socket_without_good_credentials_is_cut(frame):
    async def story(floor):
        socket = floor.venue.connect("/ws/user")
        socket.send_to_venue(json.dumps(frame))
        with pytest.raises(EOFError):
            await socket.receive()

    on_floor(story)


def test_a_frozen_user_socket_answers_pings_and_says_nothing():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        ear = trader.listen()
        await floor.control("freeze", kind="user")
        await trader.place(token, "BUY", "0.2", "5")
        ear.socket.send_to_venue("PING")
        assert await ear.socket.receive() == "PONG"
        assert ear.heard() == []
        await floor.control("heal")
        await trader.place(token, "BUY", "0.2", "6")
        assert len(ear.heard()) == 1

    on_floor(story)
