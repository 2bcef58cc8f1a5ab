"""Every complaint of the venue about an order, in its own words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.sandbox.trader import ADDRESS, OTHER_KEY, ZERO, Floor, Trader, on_floor

STANDARD, NEG_RISK = "lisbon-mayor-reelected", "fed-december-no-change"
STANDARD_EXCHANGE = "0xE111180000d2663C0091e4f400237545B87B996B"


async def _ready(floor: Floor, slug: str = STANDARD) -> int:
    token = floor.markets[slug].tokens[0]
    await floor.set_book(token, bids=[["0.4", "100"]], asks=[["0.5", "100"], ["0.51", "100"]])
    return token


def _refuses(text: str, make, *, named: bool = False, **account: Any) -> None:
    """Post what `make` returns for a trader and a token; the answer is 400 with the text."""

    async def story(floor):
        token = await _ready(floor)
        trader = await floor.trader(**account)
        body = make(trader, token)
        status, answer = await trader.post(body)
        posted = (await floor.read("posts"))[-1:]

        order_id = posted[0]["order_id"] if posted else ""
        expected = text.replace("ORDER", order_id).replace("WALLET", trader.wallet).replace("TOKEN", str(token))
        assert (status, answer) == (400, {"error": expected} | ({"orderID": order_id} if named else {}))
        assert all(one["outcome"] == expected for one in posted)
        assert (await floor.read("accounts"))[0]["reserved"] == 0

    on_floor(story)


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

    _refuses("Invalid order payload", make)


@pytest.mark.parametrize("body", [[], {}, {"order": 1}, "order", None])
def test_a_body_without_an_order_is_no_order(body):
    _refuses("Invalid order payload", lambda trader, token: body)


def test_an_order_of_the_first_version_is_told_to_update():
    def make(trader, token):
        body = trader.order(token, "BUY", "0.4", "10")
        del body["order"]["timestamp"]
        body["order"] |= {"taker": ADDRESS, "nonce": "0", "feeRateBps": "0"}
        return body

    _refuses("invalid order version, please use the latest clob-client", make)


def test_only_post_only_orders_that_can_rest_are_possible():
    _refuses(
        "Invalid order payload",
        lambda trader, token: trader.order(token, "SELL", "0.4", "10", "FAK", postOnly=True),
    )


def test_the_owner_is_the_api_key():
    _refuses(
        "the order owner has to be the owner of the API KEY",
        lambda trader, token: trader.order(token, "BUY", "0.4", "10", owner=trader.address),
    )


def test_the_signer_is_the_address_of_the_api_key():
    _refuses(
        "the order signer address has to be the address of the API KEY",
        lambda trader, token: trader.order(token, "BUY", "0.4", "10", signer="0x" + "12" * 20),
    )


def test_a_deposit_wallet_belongs_to_the_address_of_the_api_key():
    async def story(floor):
        token = await _ready(floor)
        owner, stranger = await floor.trader(OTHER_KEY, kind=3), await floor.trader(kind=3)
        stranger.wallet = owner.wallet

        assert await stranger.place(token, "BUY", "0.4", "10") == (
            400,
            {"error": "the order signer address has to be the address of the API KEY"},
        )

    on_floor(story)


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_a_deposit_only_account_trades_from_its_deposit_wallet(kind):
    _refuses(
        "maker address not allowed, please use the deposit wallet flow",
        lambda trader, token: trader.order(token, "BUY", "0.4", "10"),
        kind=kind,
        deposit_only=True,
    )


def test_a_banned_address_cannot_trade():
    _refuses("'WALLET' address banned", lambda trader, token: trader.order(token, "BUY", "0.4", "10"), banned=True)


def test_an_address_in_closed_only_mode_cannot_buy_but_sell():
    def make(trader, token):
        return trader.order(token, "BUY", "0.4", "10")

    _refuses("'WALLET' address in closed only mode", make, closed_only=True)

    async def story(floor):
        token = await _ready(floor)
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

    _refuses("invalid signature", make)


def test_a_wallet_that_is_not_the_signers_is_invalid():
    _refuses(
        "invalid signature",
        lambda trader, token: trader.order(token, "BUY", "0.4", "10", maker="0x" + "12" * 20),
    )


@pytest.mark.parametrize("version", ["1", "3"])
def test_a_signature_for_another_version_of_the_exchange_is_a_mismatch(version):
    _refuses(
        "order_version_mismatch",
        lambda trader, token: trader.order(token, "BUY", "0.4", "10", version=version),
    )


def test_after_a_version_bump_every_order_is_a_mismatch():
    async def story(floor):
        token = await _ready(floor)
        trader = await floor.trader()
        await floor.control("venue", version=3)

        assert (await floor.venue.request("GET", "/clob/version")).body == b'{"version":3}'
        assert await trader.place(token, "BUY", "0.4", "10") == (400, {"error": "order_version_mismatch"})

    on_floor(story)


def test_a_token_without_a_market_has_no_book():
    _refuses("the orderbook 12345 does not exist", lambda trader, token: trader.order(12345, "BUY", "0.4", "10"))


def test_a_closed_market_takes_no_orders():
    def make(trader, token):
        return trader.order(trader.floor.markets["harbour-bridge-open"].tokens[0], "BUY", "0.4", "10")

    _refuses("the market is not yet ready to process new orders", make)


@pytest.mark.parametrize("kind", ["GTC", "FAK"])
def test_the_same_order_is_not_taken_twice_whatever_became_of_it(kind):
    async def story(floor):
        token = await _ready(floor)
        trader = await floor.trader()
        body = trader.order(token, "BUY", "0.4" if kind == "GTC" else "0.3", "10", kind)
        await trader.post(body)
        status, answer = await trader.post(body)
        posts = await floor.read("posts")

        assert (status, answer) == (400, {"error": f"order {posts[0]['order_id']} is invalid. Duplicated."})
        assert posts[0]["order_id"] == posts[1]["order_id"]

    on_floor(story)


def test_an_order_refused_for_want_of_money_can_be_posted_again():
    async def story(floor):
        token = await _ready(floor)
        trader = await floor.trader(collateral="1")
        body = trader.order(token, "BUY", "0.4", "10")

        assert (await trader.post(body))[0] == 400
        await floor.control("account", wallet=trader.wallet, collateral="10")
        assert (await trader.post(body))[0] == 200

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
        token = await _ready(floor)
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
    _refuses(
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
    _refuses(
        "order ORDER is invalid. Size (4.99) lower than the minimum: 5",
        lambda trader, token: trader.order(token, "BUY", "0.4", "4.99"),
    )


@pytest.mark.parametrize("kind", ["FAK", "FOK"])
def test_a_marketable_buy_is_worth_a_dollar(kind):
    _refuses(
        "invalid amount for a marketable BUY order ($0.98), min size: $1",
        lambda trader, token: trader.post_body(token, "BUY", (980_000, 1_921_500), kind),
    )


@pytest.mark.parametrize(("kind", "ahead_s"), [("GTD", 179), ("GTD", -5), ("GTC", 300), ("FAK", 300), ("FOK", 300)])
def test_only_orders_till_a_date_have_one_and_not_too_soon(kind, ahead_s):
    _refuses(
        "invalid expiration",
        lambda trader, token: trader.order(token, "BUY", "0.4", "10", kind, expiration=str(trader.now_s + ahead_s)),
    )


def test_a_post_only_order_does_not_cross():
    _refuses(
        "invalid post-only order: order crosses book",
        lambda trader, token: trader.order(token, "BUY", "0.5", "10", postOnly=True),
    )


def test_fill_or_kill_is_all_or_nothing():
    _refuses(
        "order couldn't be fully filled. FOK orders are fully filled or killed.",
        lambda trader, token: trader.order(token, "BUY", "0.5", "102", "FOK"),
        named=True,
    )


def test_fill_and_kill_needs_something_to_fill():
    _refuses(
        "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found.",
        lambda trader, token: trader.order(token, "BUY", "0.49", "100", "FAK"),
        named=True,
    )


def test_an_order_is_paid_with_its_fee():
    # 100 x 0.51, of which 100 x 0.04 x 0.51 x 0.49 are the fee.
    _refuses(
        "not enough balance / allowance: the balance is not enough -> "
        "balance: 51000000, order amount (inc. fees): 51999600",
        lambda trader, token: trader.order(token, "BUY", "0.51", "100"),
        collateral="51",
    )


def test_open_orders_and_matched_ones_reserve_what_they_need():
    async def story(floor):
        token = await _ready(floor)
        trader = await floor.trader(collateral="60")
        await trader.place(token, "BUY", "0.4", "50")
        await trader.post(trader.post_body(token, "BUY", (10_000_000, 20_000_000), "FAK"))
        status, answer = await trader.place(token, "BUY", "0.3", "100")

        assert status == 400
        assert answer["error"] == (
            "not enough balance / allowance: the balance is not enough -> balance: 60000000, "
            "sum of active orders: 20000000, sum of matched orders: 10200000, order amount (inc. fees): 30840000"
        )

    on_floor(story)


def test_shares_that_are_bought_but_not_settled_cannot_be_sold():
    async def story(floor):
        token = await _ready(floor)
        trader = await floor.trader()
        await trader.post(trader.post_body(token, "BUY", (10_000_000, 20_000_000), "FAK"))
        status, answer = await trader.place(token, "SELL", "0.6", "20")
        assert (status, answer["error"]) == (
            400,
            "not enough balance / allowance: the balance is not enough -> balance: 0, order amount: 20000000",
        )
        floor.world.advance(floor.world.now_ms + 2_000)
        assert (await trader.place(token, "SELL", "0.6", "20"))[0] == 200

    on_floor(story)


def test_an_exchange_without_an_allowance_is_named():
    _refuses(
        f"not enough balance / allowance: the allowance is not enough -> spender: {STANDARD_EXCHANGE}, "
        "allowance: 0, sum of matched orders: 0, order amount (inc. fees): 4096000",
        lambda trader, token: trader.order(token, "BUY", "0.4", "10"),
        approve="none",
    )


def test_a_neg_risk_buy_needs_the_old_adapters_allowance_too():
    async def story(floor):
        token = await _ready(floor, NEG_RISK)
        exchange = "0xe2222d279d744050d28e00520010520000310f59"
        trader = await floor.trader(approve={exchange: "1000"})
        status, answer = await trader.place(token, "BUY", "0.4", "10")

        assert (status, "spender: 0xd91E80cF2E7be2e162c6513ceD06f1dD0dA35296" in answer["error"]) == (400, True)
        adapter = "0xd91e80cf2e7be2e162c6513ced06f1dd0da35296"
        await floor.control("account", wallet=trader.wallet, approve={exchange: "1000", adapter: "1000"})
        assert (await trader.place(token, "BUY", "0.4", "10"))[0] == 200

    on_floor(story)


def test_a_seller_has_to_approve_the_exchange():
    def make(trader, token):
        return trader.order(token, "SELL", "0.6", "10")

    async def story(floor):
        token = await _ready(floor)
        trader = await floor.trader(shares={str(token): "10"}, approve="none")
        status, answer = await trader.post(make(trader, token))
        assert (status, answer["error"]) == (
            400,
            (
                f"not enough balance / allowance: the allowance is not enough -> spender: {STANDARD_EXCHANGE}, "
                "allowance: 0, sum of matched orders: 0, order amount: 10000000"
            ),
        )

    on_floor(story)


def test_a_phantom_of_matched_orders_locks_money():
    async def story(floor):
        token = await _ready(floor)
        trader = await floor.trader(collateral="50")
        await floor.control("phantom", wallet=trader.wallet, matched="48")
        status, answer = await trader.place(token, "BUY", "0.4", "10")
        assert (status, "sum of matched orders: 48000000" in answer["error"]) == (400, True)
        await floor.control("heal")
        assert (await trader.place(token, "BUY", "0.4", "10"))[0] == 200

    on_floor(story)


@pytest.mark.parametrize(("side", "metadata"), [("BUY", ZERO), ("BUY", "0x" + "ab" * 32)], ids=["plain", "tagged"])
def test_refusals_can_come_with_status_200(side, metadata):
    async def story(floor):
        token = await _ready(floor)
        trader = await floor.trader(collateral="1")
        await floor.control("answers", refusals_in_body=True)
        status, answer = await trader.place(token, side, "0.4", "10", metadata=metadata)

        assert status == 200
        assert (answer["success"], answer["orderID"], answer["status"]) == (False, "", "")
        assert answer["errorMsg"].startswith("not enough balance / allowance")

    on_floor(story)


def test_a_batch_answers_for_each_order_in_order_and_is_not_too_large():
    async def story(floor):
        token = await _ready(floor)
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
