"""Windows, lost answers and blocked places, switched on from outside; and the record that remembers it all."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.unit.sandbox.trader import on_floor


def test_after_a_restart_come_two_minutes_of_post_only_orders():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await floor.control("engine", mode="restarting", for_ms=90_000, post_only_ms=120_000, key="error_msg")
        cancel = ("DELETE", "/cancel-all")

        restarting = {"error_msg": "matching engine is restarting", "retry_after_seconds": 90}
        assert await trader.place(token, "BUY", "0.4", "10") == (425, restarting)
        assert await trader.call(*cancel) == (425, restarting)
        await asyncio.sleep(90)
        status, answer = await trader.place(token, "BUY", "0.4", "10")
        assert (status, answer) == (
            503,
            {
                "error_msg": "post-only mode: only post-only orders and cancels are allowed",
                "retry_after_seconds": 120,
            },
        )
        assert (await trader.place(token, "BUY", "0.4", "10", postOnly=True))[0] == 200
        assert (await trader.call(*cancel))[0] == 200
        await asyncio.sleep(120)
        assert (await trader.place(token, "BUY", "0.4", "10"))[0] == 200
        outcomes = [one["outcome"] for one in await floor.read("posts")]
        assert outcomes[:2] == ["matching engine is restarting", answer["error_msg"]]

    on_floor(story)


def test_in_a_batch_post_only_mode_answers_for_each_order():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await floor.control("engine", mode="post_only", for_ms=60_000)
        bodies = [trader.order(token, "BUY", "0.4", "10"), trader.order(token, "BUY", "0.4", "10", postOnly=True)]

        status, answers = await trader.call("POST", "/orders", bodies)
        single = await trader.post(bodies[0])

        assert (status, [answer["status"] for answer in answers]) == (200, ["", "live"])
        assert answers[0]["errorMsg"].startswith("post-only mode")
        assert single == (
            503,
            {
                "error": "post-only mode: only post-only orders and cancels are allowed",
                "code": "post_only_mode",
                "retry_after_seconds": 60,
            },
        )
        await floor.control("engine", mode="restarting", for_ms=1_000)
        assert (await trader.call("POST", "/orders", bodies))[0] == 425

    on_floor(story)


@pytest.mark.parametrize(
    ("mode", "text", "cancels"),
    [
        ("cancel_only", "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.", 200),
        ("disabled", "Trading is currently disabled. Check polymarket.com for updates", 503),
    ],
)
def test_trading_can_be_closed_until_it_is_opened_again(mode, text, cancels):
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await floor.control("engine", mode=mode)

        assert await trader.place(token, "BUY", "0.4", "10") == (503, {"error": text})
        assert (await trader.call("DELETE", "/cancel-all"))[0] == cancels
        assert (await trader.call("GET", "/data/orders"))[0] == 200
        await floor.control("engine", mode="normal")
        assert (await trader.place(token, "BUY", "0.4", "10"))[0] == 200

    on_floor(story)


def test_a_lost_request_was_sent_and_did_nothing():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await floor.control("trouble", kind="lost_request", target="POST /order")
        body = trader.order(token, "BUY", "0.4", "10")

        with pytest.raises(ConnectionResetError):
            await trader.post(body)
        assert (await trader.call("GET", "/data/orders"))[1]["data"] == []
        assert (await trader.post(body))[1]["status"] == "live"
        posts = await floor.read("posts")
        assert [one["outcome"] for one in posts] == ["lost on the way", "live"]
        assert posts[0]["order_id"] == posts[1]["order_id"]

    on_floor(story)


def test_a_lost_answer_was_an_order():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await floor.control("trouble", kind="lost_response", target="POST /order")
        body = trader.order(token, "BUY", "0.4", "10")

        with pytest.raises(ConnectionResetError):
            await trader.post(body)
        assert len((await trader.call("GET", "/data/orders"))[1]["data"]) == 1
        status, answer = await trader.post(body)
        assert (status, "is invalid. Duplicated." in answer["error"]) == (400, True)

    on_floor(story)


def test_a_late_answer_is_the_right_one():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await floor.control("trouble", kind="late_response", target="POST /order", ms=60_000)
        before = floor.world.now_ms

        assert (await trader.place(token, "BUY", "0.4", "10"))[1]["status"] == "live"
        assert floor.venue._venue._now_ms() - before == 60_000

    on_floor(story)


def test_a_request_delivered_twice_is_one_order_and_its_poster_hears_of_the_second():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await floor.control("trouble", kind="duplicate", target="POST /order")

        status, answer = await trader.place(token, "BUY", "0.4", "10")

        assert (status, "is invalid. Duplicated." in answer["error"]) == (400, True)
        assert len((await trader.call("GET", "/data/orders"))[1]["data"]) == 1
        posts = await floor.read("posts")
        assert len(posts) == 2
        assert len({one["order_id"] for one in posts}) == 1

    on_floor(story)


def test_a_page_of_the_proxy_comes_instead_of_an_answer():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        page = "<html><title>Attention Required! | Cloudflare</title></html>"
        await floor.control("trouble", kind="status", status=403, body=page, target="POST /order")

        answer = await trader.respond("POST", "/order", trader.order(token, "BUY", "0.4", "10"))

        assert (answer.status, answer.content_type.split(";")[0], answer.body.decode()) == (403, "text/html", page)
        assert (await trader.call("GET", "/data/orders"))[1]["data"] == []

    on_floor(story)


@pytest.mark.parametrize("applied", [True, False])
def test_a_server_error_may_hide_an_order(applied):
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await floor.control("trouble", kind="status", status=500, applied=applied, body={"error": "order timed out"})

        assert await trader.place(token, "BUY", "0.4", "10") == (500, {"error": "order timed out"})
        assert len((await trader.call("GET", "/data/orders"))[1]["data"]) == applied

    on_floor(story)


def test_trouble_can_be_rare_and_comes_at_the_same_places_for_the_same_seed():
    seen = []

    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await floor.control("trouble", kind="status", status=500, rate=0.3, count=1_000)
        seen.append([(await trader.place(token, "BUY", "0.2", "5"))[0] for _ in range(40)])

    for seed in (1, 1, 2):
        on_floor(story, seed=seed)

    assert seen[0] == seen[1] != seen[2]
    assert 4 < seen[0].count(500) < 24


def test_from_a_blocked_place_everything_but_trading_works():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()

        async def where() -> dict:
            return json.loads((await floor.venue.request("GET", "/site/api/geoblock")).body)

        assert await where() == {"blocked": False, "ip": "127.0.0.1", "country": "AR", "region": ""}
        await floor.control("venue", blocked=True, country="US")
        assert (await where())["blocked"] is True
        assert (await trader.place(token, "BUY", "0.2", "5"))[0] == 403
        assert (await trader.call("GET", "/data/orders"))[0] == 200

    on_floor(story)


def test_healing_ends_every_trouble_and_leaves_accounts_and_orders():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await trader.place(token, "BUY", "0.2", "5")
        await floor.control("engine", mode="disabled")
        await floor.control("trouble", kind="lost_request", count=100)
        await floor.control("settlement", failure_rate=1)
        await floor.control("venue", version=7, blocked=True)
        await floor.control("limits", orders=[1, 0], enforced=True)
        await floor.control("heal")

        assert (await trader.place(token, "BUY", "0.5", "10", "FAK"))[1]["status"] == "matched"
        floor.elapse(2_000)
        assert [one["status"] for one in await floor.read("trades")] == ["MINED"]
        assert [one["status"] for one in await floor.read("orders")] == ["LIVE", "MATCHED"]

    on_floor(story)


def test_every_post_is_in_the_record_however_it_was_answered():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        body = trader.order(token, "BUY", "0.4", "10")
        await floor.control("venue", blocked=True)
        await trader.post(body)
        await floor.control("heal")
        await floor.control("credentials", revoke=True)
        await trader.post(body)
        await floor.control("trouble", kind="status", status=403, body="<html>")
        await trader.respond("POST", "/order", body)
        posts = await floor.read("posts")

        assert [one["outcome"] for one in posts] == ["answered 403", "answered 401", "lost on the way"]
        assert len({one["order_id"] for one in posts}) == 1

    on_floor(story)


def test_a_window_says_in_a_header_too_how_long_it_lasts():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await floor.control("engine", mode="post_only", for_ms=42_000)
        answer = await trader.respond("POST", "/order", trader.order(token, "BUY", "0.4", "10"))

        assert dict(answer.headers)["Retry-After"] == "42"

    on_floor(story)


def test_the_user_socket_can_say_everything_twice():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        ear = trader.listen()
        await floor.control("answers", pushes=2)
        await trader.place(token, "BUY", "0.4", "10")

        assert ear.said() == ["order LIVE", "order LIVE"]

    on_floor(story)


def test_the_record_never_shows_a_signature_or_a_secret():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        body = trader.order(token, "BUY", "0.5", "10", "FAK")
        await trader.post(body)
        shown = json.dumps([await floor.read(name) for name in ("posts", "orders", "trades", "accounts", "state")])

        assert body["order"]["signature"][2:] not in shown
        assert trader.api["secret"] not in shown
        assert trader.api["passphrase"] not in shown

    on_floor(story)
