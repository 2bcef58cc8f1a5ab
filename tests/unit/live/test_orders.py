"""One order at a time: what the venue says of it, and what becomes of the attempt."""

from __future__ import annotations

import asyncio

import pytest

from copytrade.domain.attempts import AttemptStatus, Settlement
from copytrade.domain.fills import Side
from copytrade.domain.orders import OrderType
from copytrade.domain.venue_orders import SignatureType
from tests.makers import NOW_MS, YES, micro
from tests.unit.live.life import Floor, Life, live, on_floor, quiet
from tests.virtual_time import run_virtual


async def posts(life: Life) -> list[str]:
    return [post["outcome"] for post in await life.floor.read("posts")]


@pytest.mark.parametrize("kind", SignatureType)
def test_an_order_is_matched_and_settled_for_every_kind_of_wallet(kind: SignatureType) -> None:
    async def story(life: Life) -> None:
        attempt = await life.trade()
        await asyncio.sleep(1)
        done = await life.now(attempt.id)
        assert (done.status, done.filled_shares) == (AttemptStatus.FILLED, micro("20"))
        await quiet(30)
        (fill,) = life.ledger.executions
        assert fill.settlement is Settlement.CONFIRMED
        assert fill.fee_usdc > 0
        assert life.portfolio.sellable(YES) == micro("20")
        assert "ACCOUNT_DIFFERS" not in life.noted()

    live(story, kind=kind)


def test_a_fill_is_dated_to_the_instant_it_was_known_where_the_venue_tells_whole_seconds() -> None:
    async def story(life: Life) -> None:
        await asyncio.sleep(0.3)
        attempt = await life.trade()
        await asyncio.sleep(2)
        done = await life.now(attempt.id)
        assert done.first_fill_at_ms is not None
        assert 40 <= done.first_fill_at_ms - attempt.decided_at_ms <= 500

    live(story, way_ms=40)


def test_a_fill_that_is_read_long_after_is_dated_within_its_second() -> None:
    async def on(floor: Floor) -> None:
        life = Life(floor)
        await life.fund()
        await floor.show()
        await life.start()
        await asyncio.sleep(1.3)
        await floor.control("trouble", kind="lost_response", ms=1)
        attempt = await life.decide("one")
        sending = asyncio.create_task(life.send(attempt))
        await asyncio.sleep(0.01)
        sending.cancel()
        await life.kill()
        await asyncio.sleep(60)
        again = Life(floor, ledger=life.ledger)
        await again.start()
        await asyncio.sleep(3)
        done = await again.now(attempt.id)
        assert done.first_fill_at_ms is not None
        assert 0 <= done.first_fill_at_ms - attempt.decided_at_ms < 1_000
        await again.stop()

    run_virtual(lambda: on_floor(on), epoch_ms=NOW_MS)


def test_what_is_not_settled_cannot_be_sold() -> None:
    async def story(life: Life) -> None:
        await life.floor.control("settlement", next=["never"])
        await life.trade()
        await asyncio.sleep(2)
        assert (await life.ledger.positions())[0].shares == micro("20")
        assert life.portfolio.sellable(YES) == 0
        await quiet(700)
        assert life.noted().count("SETTLEMENT_LATE") == 1

    live(story)


def test_a_trade_that_fails_is_void_paged_and_not_bought_again() -> None:
    async def story(life: Life) -> None:
        await life.floor.control("settlement", next=["fail"], retry_ms=100, retries=1)
        attempt = await life.trade()
        await quiet(40)
        assert (await life.now(attempt.id)).status is AttemptStatus.FILLED
        assert (await life.ledger.positions())[0].shares == 0
        assert life.noted().count("TRADE_FAILED") == 1
        assert len(await posts(life)) == 1

    live(story)


def test_a_trade_at_a_price_that_none_can_have_is_set_aside_and_not_booked() -> None:
    async def story(life: Life) -> None:
        attempt = await life.trade(size_shares_target=micro("60"))
        await asyncio.sleep(1)
        told = {
            "event_type": "trade",
            "id": "odd",
            "taker_order_id": (await life.now(attempt.id)).order_hash,
            "maker_address": life.wallet,
            "asset_id": YES,
            "side": "BUY",
            "size": "5",
            "price": "5",
            "status": "MATCHED",
            "match_time": "1790000000",
        }
        await life.following.hear(told)
        await asyncio.sleep(0)
        assert life.noted().count("QUARANTINED") == 1
        assert (await life.now(attempt.id)).filled_shares == micro("40")

    live(story)


def test_what_rests_is_cancelled_at_the_end_of_its_time_and_keeps_its_fills() -> None:
    async def story(life: Life) -> None:
        attempt = await life.trade(size_shares_target=micro("60"))
        await asyncio.sleep(9)
        done = await life.now(attempt.id)
        assert (done.status, done.filled_shares) == (AttemptStatus.CANCELED, micro("40"))
        assert done.reasons[-1].code == "TTL_EXPIRED"
        assert (done.done_at_ms or 0) - attempt.decided_at_ms < 7_000

    live(story)


def test_what_is_met_while_it_rests_is_filled_as_maker_without_a_fee() -> None:
    async def story(life: Life) -> None:
        await life.floor.show(bids="", asks="0.60:100")
        attempt = await life.trade(ttl_ms=30_000)
        await asyncio.sleep(2)
        await life.floor.control(
            "post", wallet="0x" + "77" * 20, token=YES, side="SELL", size="20", price="0.5", match="book"
        )
        await asyncio.sleep(2)
        done = await life.now(attempt.id)
        assert (done.status, done.filled_shares) == (AttemptStatus.FILLED, micro("20"))
        assert [(fill.fee_usdc, fill.liquidity.value) for fill in life.ledger.executions] == [(0, "maker")]

    live(story)


@pytest.mark.parametrize(
    ("order_type", "size", "status", "filled", "code"),
    [
        (OrderType.FAK, "60", AttemptStatus.CANCELED, "40", "FAK_REST_KILLED"),
        (OrderType.FAK, "30", AttemptStatus.FILLED, "30", "OK"),
        (OrderType.FOK, "60", AttemptStatus.CANCELED, "0", "FOK_NOT_FILLED"),
        (OrderType.FOK, "33.33", AttemptStatus.FILLED, "33.32", "OK"),
        (OrderType.POST_ONLY, "20", AttemptStatus.FAILED, "0", "POST_ONLY_CROSSES"),
    ],
)
def test_each_type_of_order_ends_as_the_venue_has_it(order_type, size, status, filled, code) -> None:
    async def story(life: Life) -> None:
        attempt = await life.trade(size_shares_target=micro(size))
        await asyncio.sleep(2)
        done = await life.now(attempt.id)
        assert (done.status, done.reasons[-1].code) == (status, code)
        assert done.filled_shares == micro(filled)

    live(story, order_type=order_type)


def test_an_order_with_an_end_of_its_own_expires_at_the_venue() -> None:
    async def story(life: Life) -> None:
        attempt = await life.trade(limit_price=micro("0.45"), ttl_ms=120_000)
        await quiet(100)
        assert (await life.now(attempt.id)).status is AttemptStatus.SUBMITTED
        await quiet(40)
        done = await life.now(attempt.id)
        assert (done.status, done.reasons[-1].code) == (AttemptStatus.CANCELED, "EXPIRED")
        assert not any("DELETE" in one for one in life.wire.requests)

    live(story, order_type=OrderType.GTD, way_ms=900)


def test_money_buys_more_below_the_limit_of_an_order_that_never_rests() -> None:
    async def story(life: Life) -> None:
        await life.floor.show(asks="0.40:100")
        attempt = await life.trade()
        await asyncio.sleep(2)
        done = await life.now(attempt.id)
        assert (done.status, done.filled_shares) == (AttemptStatus.FILLED, micro("25"))

    live(story, order_type=OrderType.FAK)


def test_a_sell_takes_what_is_held() -> None:
    async def story(life: Life) -> None:
        await life.trade()
        await quiet(40)
        sold = await life.trade("exit", side=Side.SELL, limit_price=micro("0.49"))
        await quiet(40)
        assert (await life.now(sold.id)).status is AttemptStatus.FILLED
        assert (await life.ledger.positions())[0].shares == 0
        assert "ACCOUNT_DIFFERS" not in life.noted()

    live(story)


@pytest.mark.parametrize("word", ["delayed", "unmatched", "live", "something new"])
def test_no_word_of_the_answer_is_taken_for_an_end(word: str) -> None:
    async def story(life: Life) -> None:
        await life.floor.control("delay", ms=2_000, word=word)
        attempt = await life.trade(ttl_ms=20_000)
        await asyncio.sleep(1)
        assert (await life.now(attempt.id)).status is AttemptStatus.SUBMITTED
        await asyncio.sleep(8)
        assert (await life.now(attempt.id)).status is AttemptStatus.FILLED
        assert len(await posts(life)) == 1

    live(story)


@pytest.mark.parametrize("variant", ["hashes_inline", "integer_amounts", "null_errors", "forgets_closed"])
def test_no_variant_of_an_answer_matters(variant: str) -> None:
    async def story(life: Life) -> None:
        await life.floor.control("answers", **{variant: True}, pushes=2)
        whole = await life.trade()
        part = await life.trade("part", size_shares_target=micro("30"))
        await quiet(60)
        assert (await life.now(whole.id)).status is AttemptStatus.FILLED
        rest = await life.now(part.id)
        assert (rest.status, rest.filled_shares) == (AttemptStatus.CANCELED, micro("20"))
        assert len(life.ledger.executions) == 2

    live(story)


def test_a_refusal_ends_the_attempt_with_the_words_of_the_venue() -> None:
    async def story(life: Life) -> None:
        attempt = await life.trade()
        await asyncio.sleep(1)
        done = await life.now(attempt.id)
        assert done.status is AttemptStatus.FAILED
        assert done.reasons[-1].code == "NOT_ENOUGH_BALANCE"
        assert "balance" in dict(done.reasons[-1].numbers)["venue"]

    live(story, account={"collateral": "1"})


@pytest.mark.parametrize(
    ("cap", "code"), [("per_order", "LIVE_MAX_USDC_PER_ORDER"), ("per_day", "LIVE_MAX_USDC_PER_DAY")]
)
def test_a_cap_is_the_last_word(cap: str, code: str) -> None:
    async def story(life: Life) -> None:
        first = await life.trade("small", size_shares_target=micro("16"))
        attempt = await life.trade("large")
        await asyncio.sleep(1)
        assert (await life.now(first.id)).status is AttemptStatus.FILLED
        done = await life.now(attempt.id)
        assert (done.status, done.reasons[-1].code) == (AttemptStatus.FAILED, "NOT_SENT")
        assert dict(done.reasons[-1].numbers)["why"].startswith(code)
        assert len(await posts(life)) == 1

    live(story, **{cap: "9"})
