"""A leader's sale is copied by the fraction of his position, whatever his position came from."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import Decision, ExecutionAttempt
from copytrade.domain.fills import LeaderFill, Side, Source
from copytrade.domain.happenings import Noted
from copytrade.domain.leader_events import LeaderEvent, LeaderEventKind, LeaderHolding
from copytrade.domain.sizing import ExitMode
from copytrade.ports.leader_events import ActivityTruncatedError, ActivityUnavailableError
from copytrade.strategies.copy import CopyFacts
from tests.flow.stage import Stage, live
from tests.makers import LEADER, NOW_MS, YES, a_book, a_fill, a_leader, a_place, micro
from tests.unit.test_leader_events import an_event
from tests.virtual_time import run_virtual

BOOK = a_book(bids="0.59:5000", asks="0.61:5000")


def a_trade(stage: Stage, size: str, side: Side, *, log: int, place: bool = True) -> LeaderFill:
    """Return a fill of this very second, from the chain or, without a place, from the API."""
    changes: dict[str, Any] = {"fill_ts_ms": stage.clock.now_ms(), "detected_at_ms": stage.clock.now_ms()}
    changes |= {"tx_hash": f"0x{log:064x}", "side": side, "token_id": YES}
    if not place:
        return a_fill(size=size, price="0.60", place=None, source=Source.DATA_API, **changes)
    block = a_place(block_number=log, log_index=log, block_hash=f"0x{log:064x}", order_hash=f"0x{log:064x}")
    return a_fill(size=size, price="0.60", place=block, **changes)


def played(script: Any, *, ledger: MemoryLedger | None = None, **rules: Any) -> Stage:
    """Run a life that begins as the leader is followed, with fractions switched on."""

    async def main() -> Stage:
        stage = Stage(ledger=ledger, **{"exit_mode": ExitMode.FRACTION, **rules})
        await stage.ledger.add_leader(a_leader(followed_since_ms=NOW_MS, created_at_ms=NOW_MS))
        await live(stage, script)
        return stage

    return run_virtual(main, epoch_ms=NOW_MS)


async def trade(stage: Stage, size: str, side: Side, *, log: int, place: bool = True) -> None:
    await stage.books.show(BOOK)
    await stage.sees(a_trade(stage, size, side, log=log, place=place))
    await asyncio.sleep(8)


def sales(stage: Stage) -> list[ExecutionAttempt]:
    attempts = run_virtual(stage.attempts, epoch_ms=NOW_MS)
    return [attempt for attempt in attempts if attempt.side is Side.SELL and attempt.decision is Decision.TRADE]


def why(attempt: ExecutionAttempt) -> tuple[str, dict[str, str]]:
    found = next(one for one in attempt.reasons if one.code.startswith("EXIT_BY"))
    return found.code, dict(found.numbers)


def codes(stage: Stage) -> list[str]:
    return [noted.code for noted in stage.notifier.of(Noted) if isinstance(noted, Noted)]


def test_the_fraction_counts_what_he_held_before_we_followed_him() -> None:
    async def script(stage: Stage) -> None:
        stage.activity.held = {YES: micro("150")}
        await asyncio.sleep(60)
        await trade(stage, "50", Side.BUY, log=1)
        await trade(stage, "100", Side.SELL, log=2)

    stage = played(script)

    code, numbers = why(sales(stage)[0])
    assert sales(stage)[0].size_shares_target == micro("25")
    assert (code, numbers["leader_held"], numbers["held"]) == ("EXIT_BY_FRACTION", "200.00", "50.00")


def test_until_his_wallet_was_listed_the_ratio_is_used_and_the_attempt_says_so() -> None:
    async def script(stage: Stage) -> None:
        await trade(stage, "50", Side.BUY, log=1)
        await trade(stage, "20", Side.SELL, log=2)

    stage = played(script)

    assert sales(stage)[0].size_shares_target == micro("20")
    code, numbers = why(sales(stage)[0])
    assert (code, numbers["why"]) == ("EXIT_BY_RATIO", "no snapshot")


def test_a_position_unsettled_by_the_listing_is_listed_again_when_it_is_missed() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(19)
        stage.activity.held = {YES: micro("100")}
        await trade(stage, "100", Side.BUY, log=1)
        await asyncio.sleep(60)
        await trade(stage, "10", Side.SELL, log=2)
        stage.activity.held = {YES: micro("90")}
        await asyncio.sleep(60)
        await trade(stage, "45", Side.SELL, log=3)

    stage = played(script)

    assert why(sales(stage)[0])[1]["why"] == "traded around the snapshot"
    assert why(sales(stage)[1])[0] == "EXIT_BY_FRACTION"
    assert sales(stage)[1].size_shares_target == micro("45")


def test_a_merge_is_told_once_and_changes_what_the_next_sale_is_a_fraction_of() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(60)
        await trade(stage, "100", Side.BUY, log=1)
        stage.activity.happened = [an_event(LeaderEventKind.MERGE, "60", at_ms=stage.clock.now_ms())]
        await asyncio.sleep(100)
        await trade(stage, "20", Side.SELL, log=2)

    stage = played(script)

    assert codes(stage).count("LEADER_MERGED") == 1
    assert why(sales(stage)[0])[1]["leader_held"] == "40.00"
    assert sales(stage)[0].size_shares_target == micro("50")


def test_a_sale_of_more_than_he_was_known_to_hold_sells_all_of_ours() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(60)
        await trade(stage, "100", Side.BUY, log=1)
        await trade(stage, "130", Side.SELL, log=2)

    assert sales(played(script))[0].size_shares_target == micro("100")


def test_sales_that_come_from_the_api_in_any_order_sell_what_they_add_up_to() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(60)
        await trade(stage, "100", Side.BUY, log=1)
        late = a_trade(stage, "20", Side.SELL, log=2, place=False)
        await asyncio.sleep(2)
        await stage.books.show(BOOK)
        await stage.sees(a_trade(stage, "40", Side.SELL, log=3))
        await stage.sees(late, source=stage.api)
        await asyncio.sleep(8)

    # 40 of the 80 that were left, then 20 of the 100 he had before that: 60 of 100, as if decided in order.
    assert [sale.size_shares_target for sale in sales(played(script))] == [micro("50"), micro("10")]


def test_the_ratio_stays_in_use_where_that_is_the_mode() -> None:
    async def script(stage: Stage) -> None:
        stage.activity.held = {YES: micro("150")}
        await asyncio.sleep(60)
        await trade(stage, "50", Side.BUY, log=1)
        await trade(stage, "20", Side.SELL, log=2)

    stage = played(script, exit_mode=ExitMode.RATIO)

    assert sales(stage)[0].size_shares_target == micro("20")
    assert not [one for one in sales(stage)[0].reasons if one.code.startswith("EXIT_BY")]


def test_events_are_asked_for_with_an_overlap_and_only_since_he_is_followed() -> None:
    async def script(stage: Stage) -> None:
        stage.activity.happened = [an_event(LeaderEventKind.MERGE, "1", at_ms=NOW_MS - 60_000)]
        await asyncio.sleep(1_300)

    stage = played(script)

    asked = [since_ms - NOW_MS for _, since_ms in stage.activity.asked]
    assert len(asked) in range(40, 50)
    assert min(asked) == -300_000
    assert max(asked) >= 900_000
    assert "LEADER_MERGED" not in codes(stage)


def test_an_outage_is_told_once_and_what_happened_meanwhile_is_read_after_it() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(60)
        stage.activity.failure = ActivityUnavailableError("HTTP 503")
        await asyncio.sleep(400)
        stage.activity.happened = [an_event(LeaderEventKind.REDEEM, at_ms=NOW_MS + 120_000)]
        stage.activity.failure = None
        await asyncio.sleep(600)

    told = [code for code in codes(played(script)) if code != "STARTED"]

    assert told == ["UNREACHABLE", "LEADER_REDEEMED", "RECONNECTED"]


def test_a_position_is_unknown_while_events_cannot_be_read() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(60)
        await trade(stage, "100", Side.BUY, log=1)
        stage.activity.failure = ActivityUnavailableError("HTTP 503")
        await asyncio.sleep(400)
        await trade(stage, "30", Side.SELL, log=2)

    assert why(sales(played(script))[0]) == (
        "EXIT_BY_RATIO",
        {"why": "events not read lately", "leader_sold": "30.00", "ratio": "1.00"},
    )


def test_more_than_is_ever_read_is_a_new_beginning() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(60)
        stage.activity.failure = ActivityTruncatedError("too many")
        await asyncio.sleep(30)
        stage.activity.failure = None
        await asyncio.sleep(120)

    stage = played(script)

    assert codes(stage).count("TRUNCATED") == 1
    assert stage.activity.listed == 2


def test_a_restart_goes_on_from_what_was_stored_and_tells_nothing_twice() -> None:
    ledger = MemoryLedger()

    async def first(stage: Stage) -> None:
        stage.activity.happened = [an_event(LeaderEventKind.SPLIT, at_ms=NOW_MS + 45_000)]
        await asyncio.sleep(120)

    async def second(stage: Stage) -> None:
        stage.activity.happened = [an_event(LeaderEventKind.SPLIT, at_ms=NOW_MS + 45_000)]
        await trade(stage, "100", Side.BUY, log=1)
        await trade(stage, "55", Side.SELL, log=2)

    played(first, ledger=ledger)

    async def again() -> Stage:
        stage = Stage(ledger=ledger, exit_mode=ExitMode.FRACTION)
        await live(stage, second)
        return stage

    stage = run_virtual(again, epoch_ms=NOW_MS + 200_000)

    assert "LEADER_SPLIT" not in codes(stage)
    assert stage.activity.listed == 0
    assert why(sales(stage)[0])[1]["leader_held"] == "110.00"
    assert sales(stage)[0].size_shares_target == micro("50")


def test_followed_anew_he_is_listed_anew() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(60)
        await stage.ledger.remove_leader(LEADER)
        await asyncio.sleep(60)
        now_ms = stage.clock.now_ms()
        await stage.ledger.add_leader(a_leader(followed_since_ms=now_ms, created_at_ms=now_ms))
        await asyncio.sleep(60)

    stage = played(script)

    assert stage.activity.listed == 2
    whole = [event for event in run_virtual(_events(stage), epoch_ms=NOW_MS) if event.is_listing]
    assert len(whole) == 2


def _events(stage: Stage) -> Any:
    async def read() -> tuple[LeaderEvent, ...]:
        return await stage.ledger.leader_events_of(LEADER)

    return read


@pytest.mark.parametrize("mode", ExitMode)
@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_session_that_is_recorded_keeps_what_he_held_of_what_we_hold_nothing_of(
    mode: ExitMode, *, is_recorded: bool
) -> None:
    known: list[CopyFacts] = []

    async def script(stage: Stage) -> None:
        if is_recorded:
            stage.worker.decide.on_facts = lambda _, facts: known.append(facts)
        stage.activity.held = {YES: micro("150")}
        await asyncio.sleep(60)
        await trade(stage, "100", Side.SELL, log=1)
        [attempt] = await stage.attempts()
        assert [one.code for one in attempt.reasons] == ["NOTHING_HELD"]

    played(script, exit_mode=mode)

    assert [facts.leader_held for facts in known] == ([LeaderHolding(shares=micro("150"))] if is_recorded else [])
