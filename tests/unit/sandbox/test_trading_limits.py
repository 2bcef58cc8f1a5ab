"""Rate limits, the dead-man switch, and commands that make no sense."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.unit.sandbox.trader import OTHER_KEY, on_floor


def test_too_many_requests_say_how_long_to_wait():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await floor.control("trouble", kind="status", status=429, retry_after=7, body={"error": "Too Many Requests"})
        answer = await trader.respond("POST", "/order", trader.order(token, "BUY", "0.4", "10"))
        assert (answer.status, dict(answer.headers)["Retry-After"]) == (429, "7")

    on_floor(story)


def test_the_signers_bucket_warns_and_refuses_once_it_is_enforced():
    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader()
        await floor.control("limits", orders=[1, 2])

        async def post() -> tuple[int, dict[str, str]]:
            answer = await trader.respond("POST", "/order", trader.order(token, "BUY", "0.2", "5"))
            return answer.status, dict(answer.headers)

        seen = [await post() for _ in range(3)]
        assert [status for status, _ in seen] == [200] * 3
        assert [headers["Poly-RateLimit-Remaining"] for _, headers in seen] == ["1", "0", "0"]
        assert [headers.get("Poly-RateLimit-Warning") for _, headers in seen] == [None, None, "true"]
        assert int(seen[0][1]["Poly-RateLimit-Reset"]) == trader.now_s + 1
        await floor.control("limits", enforced=True)
        status, headers = await post()
        assert (status, headers["Retry-After"], headers["Poly-RateLimit-Tier"]) == (429, "1", "standard")
        await asyncio.sleep(1)
        assert (await post())[0] == 200
        bodies = [trader.order(token, "BUY", "0.2", "5") for _ in range(2)]
        await asyncio.sleep(1)
        assert (await trader.call("POST", "/orders", bodies))[0] == 429
        assert (await post())[0] == 200
        assert (await trader.call("DELETE", "/cancel-all"))[0] == 200

    on_floor(story)


def test_requests_beyond_the_window_wait_for_their_place_or_are_refused():
    async def story(floor):
        await floor.quote()
        trader = await floor.trader()
        await floor.control("limits", windows={"GET /data/orders": 2}, queue_ms=10_000)

        async def ask() -> tuple[int, int]:
            before = floor.venue._venue._now_ms()
            status, _ = await trader.call("GET", "/data/orders")
            return status, floor.venue._venue._now_ms() - before

        assert [await ask() for _ in range(3)] == [(200, 0), (200, 0), (200, 10_000)]
        await floor.control("limits", queue_ms=0)
        assert [(await ask())[0] for _ in range(3)] == [200, 429, 429]

    on_floor(story)


def test_a_missed_heartbeat_cancels_every_order_of_the_key():
    async def story(floor):
        token = await floor.quote()
        trader, other = await floor.trader(), await floor.trader(OTHER_KEY)
        for one in (trader, other):
            await one.place(token, "BUY", "0.2", "5")

        async def beat(heartbeat_id: str) -> tuple[int, dict]:
            return await trader.call("POST", "/v1/heartbeats", {"heartbeat_id": heartbeat_id})

        _, first = await beat("")
        await asyncio.sleep(8)
        status, second = await beat(first["heartbeat_id"])
        assert (status, second["heartbeat_id"] != first["heartbeat_id"]) == (200, True)
        assert await beat("wrong") == (
            400,
            {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": second["heartbeat_id"]},
        )
        await asyncio.sleep(9)
        assert len((await trader.call("GET", "/data/orders"))[1]["data"]) == 1
        await asyncio.sleep(6)
        assert (await trader.call("GET", "/data/orders"))[1]["data"] == []
        assert len((await other.call("GET", "/data/orders"))[1]["data"]) == 1
        await trader.place(token, "BUY", "0.2", "6")
        await asyncio.sleep(60)
        assert len((await trader.call("GET", "/data/orders"))[1]["data"]) == 1
        assert (await trader.call("POST", "/heartbeats"))[1] == {"status": "ok"}
        assert (await beat(""))[0] == 200

    on_floor(story)


@pytest.mark.parametrize(
    ("command", "body", "named"),
    [
        ("account", {}, "wallet"),
        ("account", {"wallet": "0x" + "1" * 40, "type": 4}, "type"),
        ("account", {"wallet": "0x" + "1" * 40, "collateral": "-1"}, "collateral"),
        ("account", {"wallet": "0x" + "1" * 40, "collateral": "0.0000001"}, "collateral"),
        ("account", {"wallet": "0x" + "1" * 40, "shares": {"x": "1"}}, "shares"),
        ("account", {"wallet": "0x" + "1" * 40, "shares": []}, "shares"),
        ("account", {"wallet": "0x" + "1" * 40, "approve": "some"}, "approve"),
        ("account", {"wallet": "0x" + "1" * 40, "owner": "me"}, "owner"),
        ("account", {"wallet": "0x" + "1" * 40, "session_signers": "me"}, "session_signers"),
        ("settlement", {"failure_rate": 2}, "failure_rate"),
        ("settlement", {"next": ["perhaps"]}, "next"),
        ("settlement", {"next": "fail"}, "next"),
        ("settlement", {"retries": -1}, "retries"),
        ("engine", {"mode": "broken"}, "mode"),
        ("engine", {"mode": "disabled", "key": "text"}, "key"),
        ("trouble", {"kind": "bad"}, "kind"),
        ("trouble", {"kind": "status", "rate": "often"}, "rate"),
        ("trouble", {"kind": "status", "target": 3}, "target"),
        ("credentials", {}, "revoke"),
        ("phantom", {"wallet": "0x" + "1" * 40}, "matched"),
        ("limits", {"orders": [1]}, "orders"),
        ("limits", {"windows": {"POST /order": "x"}}, "POST /order"),
        ("limits", {"windows": 1}, "windows"),
        ("delay", {"ms": "soon"}, "ms"),
    ],
)
def test_a_wrong_command_names_what_is_wrong(command, body, named):
    async def story(floor):
        answer = await floor.venue.request("POST", f"/control/{command}", json.dumps(body).encode())

        assert answer.status == 400
        assert json.loads(answer.body)["error"].startswith(f"{named}: ")

    on_floor(story)
