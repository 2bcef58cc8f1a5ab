"""Every complaint of the venue about an order, in its own words."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.trader import ADDRESS, OTHER_KEY, STANDARD, ZERO, Trader, on_floor, refuses

STANDARD_EXCHANGE = "0xE111180000d2663C0091e4f400237545B87B996B"


@pytest.mark.parametrize(
    "change",
    [
        {"salt": "1"},
        {"salt": 2**53},
        {"salt": 1.5},
        {"salt": True},
        {"maker": "0x12"},
        {"tokenId": 12},
        {"tokenId": str(2**256)},
        {"makerAmount": "0"},
        {"takerAmount": "-1"},
        {"side": "HOLD"},
        {"signatureType": 4},
        {"timestamp": ""},
        {"metadata": "0x"},
        {"signature": "0x123"},
        {"expiration": 0},
        {"owner": None},
        {"orderType": "IOC"},
        {"postOnly": "yes"},
    ],
)
def test_a_malformed_order_is_no_order(change):
    def make(trader, token):
        body = trader.order(token, "BUY", "0.4", "10")
        for name, value in change.items():
            (body["order"] if name in body["order"] else body)[name] = value
        return body

    refuses("Invalid order payload", make)


@pytest.mark.parametrize("body", [[], {}, {"order": 1}, "order", None])
def test_a_body_without_an_order_is_no_order(body):
    refuses("Invalid order payload", lambda trader, token: body)


def test_an_order_of_the_first_version_is_told_to_update():
    def make(trader, token):
        body = trader.order(token, "BUY", "0.4", "10")
        del body["order"]["timestamp"]
        body["order"] |= {"taker": ADDRESS, "nonce": "0", "feeRateBps": "0"}
        return body

    refuses("invalid order version, please use the latest clob-client", make)


def test_only_post_only_orders_that_can_rest_are_possible():
    refuses(
        "Invalid order payload",
        lambda trader, token: trader.order(token, "SELL", "0.4", "10", "FAK", postOnly=True),
    )


def test_the_owner_is_the_api_key():
    refuses(
        "the order owner has to be the owner of the API KEY",
        lambda trader, token: trader.order(token, "BUY", "0.4", "10", owner=trader.address),
    )


def test_the_signer_is_the_address_of_the_api_key():
    refuses(
        "the order signer address has to be the address of the API KEY",
        lambda trader, token: trader.order(token, "BUY", "0.4", "10", signer="0x" + "12" * 20),
    )


def test_a_deposit_wallet_belongs_to_the_address_of_the_api_key():
    async def story(floor):
        token = await floor.quote()
        owner, stranger = await floor.trader(OTHER_KEY, kind=3), await floor.trader(kind=3)
        stranger.wallet = owner.wallet

        assert await stranger.place(token, "BUY", "0.4", "10") == (
            400,
            {"error": "the order signer address has to be the address of the API KEY"},
        )

    on_floor(story)


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_a_deposit_only_account_trades_from_its_deposit_wallet(kind):
    refuses(
        "maker address not allowed, please use the deposit wallet flow",
        lambda trader, token: trader.order(token, "BUY", "0.4", "10"),
        kind=kind,
        deposit_only=True,
    )


def test_a_banned_address_cannot_trade():
    refuses("'WALLET' address banned", lambda trader, token: trader.order(token, "BUY", "0.4", "10"), banned=True)


def test_an_address_in_closed_only_mode_cannot_buy_but_sell():
    def make(trader, token):
        return trader.order(token, "BUY", "0.4", "10")

    refuses("'WALLET' address in closed only mode", make, closed_only=True)

    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader(closed_only=True, shares={str(token): "20"})
        assert (await trader.place(token, "SELL", "0.6", "10"))[0] == 200
        assert await trader.call("GET", "/auth/ban-status/closed-only") == (200, {"closed_only": True})

    on_floor(story)


def test_a_signature_of_somebody_else_is_invalid():
    def make(trader, token):
        other = Trader(trader.floor, OTHER_KEY)
        body = trader.order(token, "BUY", "0.4", "10")
        body["order"]["signature"] = other.sign(body["order"], exchange=STANDARD_EXCHANGE, version="2")
        return body

    refuses("invalid signature", make)


def test_a_wallet_that_is_not_the_signers_is_invalid():
    refuses(
        "invalid signature",
        lambda trader, token: trader.order(token, "BUY", "0.4", "10", maker="0x" + "12" * 20),
    )


def test_the_owner_of_a_wallet_does_not_sign_under_another_name():
    def make(trader, token):
        other = Trader(trader.floor, OTHER_KEY, kind=2)
        body = trader.order(token, "BUY", "0.4", "10", maker=other.wallet, signatureType=2)
        body["order"]["signature"] = other.sign(body["order"], exchange=STANDARD_EXCHANGE, version="2")
        return body

    refuses("invalid signature", make)


@pytest.mark.parametrize("version", ["1", "3"])
def test_a_signature_for_another_version_of_the_exchange_is_a_mismatch(version):
    refuses(
        "order_version_mismatch",
        lambda trader, token: trader.order(token, "BUY", "0.4", "10", version=version),
    )


def test_after_a_version_bump_every_order_is_a_mismatch():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await floor.control("venue", version=3)

        assert (await floor.venue.request("GET", "/clob/version")).body == b'{"version":3}'
        assert await trader.place(token, "BUY", "0.4", "10") == (400, {"error": "order_version_mismatch"})

    on_floor(story)


def test_a_token_without_a_market_has_no_book():
    refuses("the orderbook 12345 does not exist", lambda trader, token: trader.order(12345, "BUY", "0.4", "10"))


def test_a_closed_market_takes_no_orders():
    def make(trader, token):
        return trader.order(trader.floor.markets["harbour-bridge-open"].tokens[0], "BUY", "0.4", "10")

    refuses("the market is not yet ready to process new orders", make)


@pytest.mark.parametrize("kind", ["GTC", "FAK"])
def test_the_same_order_is_not_taken_twice_whatever_became_of_it(kind):
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        body = trader.order(token, "BUY", "0.4" if kind == "GTC" else "0.3", "10", kind)
        await trader.post(body)
        status, answer = await trader.post(body)
        posts = await floor.read("posts")

        assert (status, answer) == (400, {"error": f"order {posts[0]['order_id']} is invalid. Duplicated."})
        assert posts[0]["order_id"] == posts[1]["order_id"]

    on_floor(story)


@pytest.mark.parametrize(
    ("side", "amounts", "kind", "text"),
    [
        ("BUY", (4_000_010, 10_000_000), "GTC", "buy orders maker amount supports a max accuracy of 4 decimals, taker"),
        ("BUY", (4_000_000, 10_001_000), "GTC", "buy orders maker amount supports a max accuracy of 4 decimals, taker"),
        ("SELL", (10_001_000, 4_000_000), "GTC", "sell orders maker amount supports a max accuracy of 2 decimals"),
        ("SELL", (10_000_000, 4_000_010), "FAK", "sell orders maker amount supports a max accuracy of 2 decimals"),
        ("BUY", (4_001_000, 8_002_000), "FAK", "market buy orders maker amount supports a max accuracy of 2 decimals"),
        ("BUY", (4_000_000, 7_843_137), "FOK", "market buy orders maker amount supports a max accuracy of 2 decimals"),
    ],
)
def test_amounts_have_only_so_many_decimals(side, amounts, kind, text):
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader(shares={str(token): "20"})

        status, answer = await trader.post(trader.post_body(token, side, amounts, kind))

        assert (status, answer["error"].startswith(f"invalid amounts, the {text}")) == (400, True)

    on_floor(story)


@pytest.mark.parametrize(
    ("side", "amounts", "kind", "price"),
    [
        ("BUY", (10_000_000, 10_200_000), "GTC", "0.9803921568627451"),
        ("BUY", (4_050_000, 10_000_000), "GTC", "0.405"),
        ("BUY", (10_000_000, 10_000_000), "GTC", "1.0"),
        ("SELL", (10_000_000, 4_050_000), "FAK", "0.405"),
        ("BUY", (1_000_000, 1_020_000), "FAK", "0.9803921568627451"),
    ],
)
def test_a_price_is_on_the_grid(side, amounts, kind, price):
    refuses(
        f"order ORDER is invalid. Price ({price}) breaks minimum tick size rule: 0.01",
        lambda trader, token: trader.post_body(token, side, amounts, kind),
    )


@pytest.mark.parametrize("amounts", [(10_000_000, 19_230_700), (10_000_000, 19_230_800), (9_980_000, 19_192_300)])
def test_the_price_of_an_order_for_an_amount_may_be_off_by_its_rounding(amounts):
    async def story(floor):
        token = floor.markets[STANDARD].tokens[0]
        await floor.set_book(token, asks=[["0.5", "100"]])
        trader = await floor.trader()

        assert (await trader.post(trader.post_body(token, "BUY", amounts, "FAK")))[0] == 200

    on_floor(story)


def test_a_resting_order_has_a_minimum_size():
    refuses(
        "order ORDER is invalid. Size (4.99) lower than the minimum: 5",
        lambda trader, token: trader.order(token, "BUY", "0.4", "4.99"),
    )


@pytest.mark.parametrize("kind", ["FAK", "FOK"])
def test_a_marketable_buy_is_worth_a_dollar(kind):
    refuses(
        "invalid amount for a marketable BUY order ($0.98), min size: $1",
        lambda trader, token: trader.post_body(token, "BUY", (980_000, 1_921_500), kind),
    )


@pytest.mark.parametrize(("kind", "ahead_s"), [("GTD", 179), ("GTD", -5), ("GTC", 300), ("FAK", 300), ("FOK", 300)])
def test_only_orders_till_a_date_have_one_and_not_too_soon(kind, ahead_s):
    refuses(
        "invalid expiration",
        lambda trader, token: trader.order(token, "BUY", "0.4", "10", kind, expiration=str(trader.now_s + ahead_s)),
    )


def test_a_post_only_order_does_not_cross():
    refuses(
        "invalid post-only order: order crosses book",
        lambda trader, token: trader.order(token, "BUY", "0.5", "10", postOnly=True),
    )


def test_fill_or_kill_is_all_or_nothing():
    refuses(
        "order couldn't be fully filled. FOK orders are fully filled or killed.",
        lambda trader, token: trader.order(token, "BUY", "0.5", "102", "FOK"),
        named=True,
    )


def test_fill_and_kill_needs_something_to_fill():
    refuses(
        "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found.",
        lambda trader, token: trader.order(token, "BUY", "0.49", "100", "FAK"),
        named=True,
    )


@pytest.mark.parametrize(("side", "metadata"), [("BUY", ZERO), ("BUY", "0x" + "ab" * 32)], ids=["plain", "tagged"])
def test_refusals_can_come_with_status_200(side, metadata):
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader(collateral="1")
        await floor.control("answers", refusals_in_body=True)
        status, answer = await trader.place(token, side, "0.4", "10", metadata=metadata)

        assert status == 200
        assert (answer["success"], answer["orderID"], answer["status"]) == (False, "", "")
        assert answer["errorMsg"].startswith("not enough balance / allowance")

    on_floor(story)


def test_a_batch_answers_for_each_order_in_order_and_is_not_too_large():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        good, small = trader.order(token, "BUY", "0.4", "10"), trader.order(token, "BUY", "0.4", "4")
        status, answers = await trader.call("POST", "/orders", [good, small, good])

        assert status == 200
        assert [answer["status"] for answer in answers] == ["live", "", ""]
        assert "lower than the minimum" in answers[1]["errorMsg"]
        assert "Duplicated" in answers[2]["errorMsg"]
        assert await trader.call("POST", "/orders", [good] * 16) == (
            400,
            {"error": "Too many orders in payload: 16, max allowed: 15"},
        )
        assert await trader.call("POST", "/orders", []) == (400, {"error": "Invalid order payload"})

    on_floor(story)
