"""What goes wrong between us and the venue: no order twice, none lost, none late, none believed too early."""

from __future__ import annotations

import asyncio

import pytest

from copytrade.domain.attempts import AttemptStatus
from copytrade.domain.orders import OrderType
from tests.makers import NOW_MS, micro
from tests.unit.live.life import Floor, Life, live, on_floor, quiet
from tests.virtual_time import run_virtual

PAGE = "<html>Cloudflare</html>"


async def posts(life: Life) -> list[dict]:
    return await life.floor.read("posts")


async def hashes(life: Life) -> set[str]:
    return {post["order_id"] for post in await posts(life)}


@pytest.mark.parametrize(
    ("trouble", "sent"),
    [
        ({"kind": "lost_response"}, 1),
        ({"kind": "lost_request"}, 2),
        ({"kind": "late_response", "ms": 60_000}, 1),
        ({"kind": "duplicate"}, 2),
        ({"kind": "status", "status": 500}, 2),
        ({"kind": "status", "status": 500, "applied": True}, 1),
        ({"kind": "status", "status": 502, "body": PAGE, "applied": True}, 1),
        ({"kind": "status", "status": 200, "body": PAGE, "applied": True}, 1),
        ({"kind": "status", "status": 400, "body": {"error": "something new"}, "applied": True}, 1),
        ({"kind": "status", "status": 200, "body": {"success": True}, "applied": True}, 1),
    ],
    ids=str,
)
def test_an_order_whose_answer_is_lost_is_looked_up_and_filled_once(trouble, sent) -> None:
    async def story(life: Life) -> None:
        await life.floor.control("trouble", **trouble)
        attempt = await life.trade()
        await asyncio.sleep(15)
        done = await life.now(attempt.id)
        assert (done.status, done.filled_shares) == (AttemptStatus.FILLED, micro("20"))
        assert len(await posts(life)) == sent
        assert await hashes(life) == {done.order_hash}
        await quiet(60)
        assert (await life.ledger.positions())[0].shares == micro("20")
        assert "ACCOUNT_DIFFERS" not in life.noted()

    live(story)


def test_an_order_that_never_arrives_stays_in_doubt_and_ends_only_by_proof() -> None:
    async def story(life: Life) -> None:
        await life.floor.control("trouble", kind="lost_request", count=9)
        attempt = await life.trade()
        await quiet(120)
        assert (await life.now(attempt.id)).status is AttemptStatus.SUBMITTED
        await quiet(600)
        done = await life.now(attempt.id)
        assert (done.status, done.reasons[-1].code) == (AttemptStatus.FAILED, "NO_ANSWER")
        assert len(await hashes(life)) == 1

    live(story)


@pytest.mark.parametrize("mode", ["restarting", "post_only", "cancel_only", "disabled"])
def test_nothing_is_sent_while_the_venue_takes_no_orders_nor_afterwards_for_then(mode: str) -> None:
    async def story(life: Life) -> None:
        await life.floor.control("engine", mode=mode, for_ms=20_000)
        first = await life.trade("first", ttl_ms=60_000)
        await asyncio.sleep(1)
        second = await life.trade("second", ttl_ms=60_000)
        await quiet(60)
        assert (await life.now(first.id)).status is AttemptStatus.FAILED
        assert dict((await life.now(second.id)).reasons[-1].numbers)["why"].startswith(
            (await life.now(first.id)).reasons[-1].code
        )
        assert len(await posts(life)) == 1
        third = await life.trade("third")
        await asyncio.sleep(2)
        assert (await life.now(third.id)).status is AttemptStatus.FILLED

    live(story)


@pytest.mark.parametrize("body", ["", PAGE])
@pytest.mark.parametrize("status", [425, 429, 503])
def test_a_window_is_obeyed_that_says_nothing_but_its_number(status: int, body: str) -> None:
    async def story(life: Life) -> None:
        await life.floor.control("trouble", kind="status", status=status, body=body, retry_after=20)
        await life.trade("first", ttl_ms=60_000)
        second = await life.trade("second", ttl_ms=60_000)
        await asyncio.sleep(15)
        assert dict((await life.now(second.id)).reasons[-1].numbers)["why"].startswith("UNREADABLE_ANSWER")
        assert len(await posts(life)) == 1
        await asyncio.sleep(6)
        third = await life.trade("third")
        await asyncio.sleep(2)
        assert (await life.now(third.id)).status is AttemptStatus.FILLED

    live(story)


def test_a_window_that_took_the_order_nevertheless_is_found_out() -> None:
    async def story(life: Life) -> None:
        body = {"error": "matching engine is restarting", "retry_after_seconds": 30}
        await life.floor.control("trouble", kind="status", status=425, body=body, applied=True)
        attempt = await life.trade()
        await asyncio.sleep(5)
        assert (await life.now(attempt.id)).status is AttemptStatus.FILLED

    live(story)


def test_what_may_only_rest_is_sent_in_post_only_mode() -> None:
    async def story(life: Life) -> None:
        await life.floor.control("engine", mode="post_only", for_ms=20_000)
        attempt = await life.trade(limit_price=micro("0.45"))
        await asyncio.sleep(2)
        assert (await life.now(attempt.id)).status is AttemptStatus.SUBMITTED
        assert [post["outcome"] for post in await posts(life)] == ["live"]

    live(story, order_type=OrderType.POST_ONLY)


def test_a_rate_limit_is_obeyed_for_as_long_as_it_says() -> None:
    async def story(life: Life) -> None:
        body = {"error": "Too Many Requests"}
        await life.floor.control("trouble", kind="status", status=429, body=body, retry_after=7)
        await life.trade("first")
        early = await life.trade("early")
        await asyncio.sleep(8)
        late = await life.trade("late")
        await asyncio.sleep(2)
        assert dict((await life.now(early.id)).reasons[-1].numbers)["why"].startswith("RATE_LIMITED")
        assert (await life.now(late.id)).status is AttemptStatus.FILLED

    live(story)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_rate_limit_of_looking_or_cancelling_is_obeyed_too(method: str) -> None:
    async def story(life: Life) -> None:
        attempt = await life.trade(limit_price=micro("0.45"), ttl_ms=2_000)
        await asyncio.sleep(1)
        target = {"GET": "GET /data", "DELETE": "DELETE /order"}[method]
        await life.floor.control("trouble", kind="status", target=target, status=429, body="", retry_after=7)
        before = asked(life, method)
        await asyncio.sleep(6)
        assert asked(life, method) == before + 1
        await asyncio.sleep(15)
        assert asked(life, method) > before + 1
        assert (await life.now(attempt.id)).status is AttemptStatus.CANCELED

    live(story)


def asked(life: Life, method: str) -> int:
    return sum(one.startswith(method) for one in life.wire.requests)


def test_our_own_limit_is_below_the_venues_and_nothing_waits_for_it() -> None:
    async def story(life: Life) -> None:
        await life.floor.control("limits", enforced=True, orders=[40, 60])
        sent = [
            await life.trade(f"order {n}", size_shares_target=micro("5"), limit_price=micro("0.3")) for n in range(35)
        ]
        reasons = [(await life.now(one.id)).reasons[-1] for one in sent]
        assert [dict(one.numbers).get("why", "")[:12] for one in reasons].count("RATE_LIMITED") == 5
        assert "429" not in {post["outcome"] for post in await posts(life)}

    live(story, way_ms=0)


def test_slow_answers_stop_new_orders_for_a_while() -> None:
    async def story(life: Life) -> None:
        for n in range(6):
            await life.trade(f"usual {n}", size_shares_target=micro("5"))
            await asyncio.sleep(1)
        await life.floor.control("trouble", kind="late_response", ms=3_000, count=3)
        for n in range(3):
            await life.trade(f"slow {n}", size_shares_target=micro("5"), ttl_ms=20_000)
        refused = await life.trade("refused", size_shares_target=micro("5"))
        assert dict((await life.now(refused.id)).reasons[-1].numbers)["why"].startswith("VENUE_SLOW")
        await asyncio.sleep(11)
        again = await life.trade("again", size_shares_target=micro("5"), limit_price=micro("0.51"))
        await asyncio.sleep(1)
        assert (await life.now(again.id)).order_hash in await hashes(life)

    live(story)


def test_answers_that_never_come_are_the_slowest_of_all() -> None:
    async def story(life: Life) -> None:
        await life.floor.control("trouble", kind="late_response", ms=60_000, count=3)
        for n in range(3):
            await life.trade(f"slow {n}", size_shares_target=micro("5"), ttl_ms=20_000)
        refused = await life.trade("refused", size_shares_target=micro("5"))
        assert dict((await life.now(refused.id)).reasons[-1].numbers)["why"].startswith("VENUE_SLOW")
        await asyncio.sleep(1)
        assert "VENUE_SLOW" in life.noted()

    live(story)


def test_a_dead_api_key_is_derived_again_once_and_the_order_is_the_same() -> None:
    async def story(life: Life) -> None:
        await life.floor.control("credentials", revoke=True)
        attempt = await life.trade()
        await asyncio.sleep(3)
        assert (await life.now(attempt.id)).status is AttemptStatus.FILLED
        assert sum("derive-api-key" in one for one in life.wire.requests) == 1

    live(story)


def test_a_dead_user_stream_is_noticed_and_what_it_kept_is_read() -> None:
    async def story(life: Life) -> None:
        await life.floor.control("freeze", kind="user")
        attempt = await life.trade()
        await asyncio.sleep(2)
        assert (await life.now(attempt.id)).status is AttemptStatus.FILLED
        await quiet(60)
        assert "USER_STREAM_SILENT" in life.noted()
        assert life.ledger.executions[0].is_settled

    live(story)


def test_a_lost_user_stream_is_healed_before_it_is_believed() -> None:
    async def story(life: Life) -> None:
        attempt = await life.trade(size_shares_target=micro("30"), limit_price=micro("0.45"), ttl_ms=60_000)
        await asyncio.sleep(1)
        await life.floor.control("drop", kind="user")
        await life.floor.control("book", token="111", bids=[], asks=[])
        await life.floor.control(
            "post", wallet="0x" + "77" * 20, token="111", side="SELL", size="30", price="0.45", match="book"
        )
        await asyncio.sleep(3)
        assert (await life.now(attempt.id)).status is AttemptStatus.FILLED
        assert "USER_STREAM_LOST" in life.noted()

    live(story)


def test_a_cancel_whose_answer_is_lost_is_asked_again() -> None:
    async def story(life: Life) -> None:
        await life.floor.control("trouble", kind="lost_request", target="DELETE /order", count=2)
        attempt = await life.trade(limit_price=micro("0.45"))
        await asyncio.sleep(12)
        assert (await life.now(attempt.id)).status is AttemptStatus.CANCELED

    live(story)


def test_an_order_that_is_not_ours_stops_everything() -> None:
    async def story(life: Life) -> None:
        other = Life(life.floor)
        await other.start()
        await asyncio.sleep(1)
        await other.trade("foreign", limit_price=micro("0.40"), ttl_ms=60_000)
        await quiet(31)
        assert life.noted().count("ACCOUNT_DIFFERS") == 1
        refused = await life.trade("later")
        assert (await life.now(refused.id)).reasons[-1].code == "HALTED"
        assert "FOREIGN_ORDER" in dict((await life.now(refused.id)).reasons[-1].numbers)["why"]
        await other.stop()

    live(story)


def test_the_ledger_stops_everything_when_it_lacks_a_fill_for_longer_than_a_report_takes() -> None:
    async def story(life: Life) -> None:
        await life.trade()
        await asyncio.sleep(1)
        life.ledger.executions.clear()
        await quiet(29)
        assert "ACCOUNT_DIFFERS" not in life.noted()
        await quiet(31)
        assert "ACCOUNT_DIFFERS" in life.noted()

    live(story)


@pytest.mark.parametrize("leaves", [False, True])
def test_a_stop_cancels_what_rests_unless_it_is_to_be_left(leaves: bool) -> None:
    async def on(floor: Floor) -> None:
        life = Life(floor, cancels_on_stop=not leaves)
        await life.fund()
        await floor.show()
        await life.start()
        await asyncio.sleep(1)
        attempt = await life.trade(limit_price=micro("0.45"), ttl_ms=3_600_000)
        await asyncio.sleep(1)
        await life.stop()
        assert [order["is_open"] for order in await floor.read("orders")] == [leaves]
        again = Life(floor, ledger=life.ledger)
        await again.start()
        await asyncio.sleep(3)
        status = (await again.now(attempt.id)).status
        assert status is (AttemptStatus.SUBMITTED if leaves else AttemptStatus.CANCELED)
        await again.stop()

    run_virtual(lambda: on_floor(on), epoch_ms=NOW_MS)


def test_no_order_is_sent_after_a_start_before_the_account_was_read() -> None:
    async def on(floor: Floor) -> None:
        life = Life(floor)
        await life.fund()
        await floor.show()
        await floor.control("trouble", kind="status", target="GET /data/trades", status=500, count=99)
        await life.start()
        early = await life.trade("early")
        assert dict((await life.now(early.id)).reasons[-1].numbers)["why"].startswith("NOT_RECONCILED")
        await floor.control("heal")
        await asyncio.sleep(3)
        late = await life.trade("late")
        await asyncio.sleep(1)
        assert (await life.now(late.id)).status is AttemptStatus.FILLED
        await life.stop()

    run_virtual(lambda: on_floor(on), epoch_ms=NOW_MS)
