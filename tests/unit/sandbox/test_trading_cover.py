"""Every order is covered by what its wallet has and may give, less what others need already."""

from __future__ import annotations

from tests.unit.sandbox.trader import NEG_RISK, on_floor, refuses

STANDARD_EXCHANGE = "0xE111180000d2663C0091e4f400237545B87B996B"


def test_an_order_refused_for_want_of_money_can_be_posted_again():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader(collateral="1")
        body = trader.order(token, "BUY", "0.4", "10")

        assert (await trader.post(body))[0] == 400
        await floor.control("account", wallet=trader.wallet, collateral="10")
        assert (await trader.post(body))[0] == 200

    on_floor(story)


def test_an_order_is_paid_with_its_fee():
    # 100 x 0.51, of which 100 x 0.04 x 0.51 x 0.49 are the fee.
    refuses(
        "not enough balance / allowance: the balance is not enough -> "
        "balance: 51000000, order amount (inc. fees): 51999600",
        lambda trader, token: trader.order(token, "BUY", "0.51", "100"),
        collateral="51",
    )


def test_open_orders_and_matched_ones_reserve_what_they_need():
    async def story(floor):
        token = await floor.quote()
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
        token = await floor.quote()
        trader = await floor.trader()
        await trader.post(trader.post_body(token, "BUY", (10_000_000, 20_000_000), "FAK"))
        status, answer = await trader.place(token, "SELL", "0.6", "20")
        assert (status, answer["error"]) == (
            400,
            "not enough balance / allowance: the balance is not enough -> balance: 0, order amount: 20000000",
        )
        floor.elapse(2_000)
        assert (await trader.place(token, "SELL", "0.6", "20"))[0] == 200

    on_floor(story)


def test_an_exchange_without_an_allowance_is_named():
    refuses(
        f"not enough balance / allowance: the allowance is not enough -> spender: {STANDARD_EXCHANGE}, "
        "allowance: 0, sum of matched orders: 0, order amount (inc. fees): 4096000",
        lambda trader, token: trader.order(token, "BUY", "0.4", "10"),
        approve="none",
    )


def test_a_neg_risk_buy_needs_the_old_adapters_allowance_too():
    async def story(floor):
        token = await floor.quote(NEG_RISK)
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
        token = await floor.quote()
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
        token = await floor.quote()
        trader = await floor.trader(collateral="50")
        await floor.control("phantom", wallet=trader.wallet, matched="48")
        status, answer = await trader.place(token, "BUY", "0.4", "10")
        assert (status, "sum of matched orders: 48000000" in answer["error"]) == (400, True)
        await floor.control("heal")
        assert (await trader.place(token, "BUY", "0.4", "10"))[0] == 200

    on_floor(story)
