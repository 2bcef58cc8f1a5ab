"""The chain has the last word, where a node is known: on fees, lost orders and trades that are said to have failed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from copytrade.adapters.polygon.order_logs import OVERLAP_BLOCKS, open_order_logs
from copytrade.domain.attempts import AttemptStatus, ExecutionAttempt, Settlement
from copytrade.domain.scopes import Scope
from copytrade.ports.order_logs import OrderLog, OrderLogs, OrderLogsUnavailableError
from copytrade.sandbox import contracts
from tests.makers import NOW_MS, micro
from tests.unit.live.life import Floor, Life, Wire, live, on_floor, quiet
from tests.virtual_time import VirtualClock, run_virtual

EXCHANGES = (contracts.EXCHANGE_STANDARD, contracts.EXCHANGE_NEG_RISK, contracts.EXCHANGE_V3)


class FakeLogs(OrderLogs):
    """Says what it is told to, or is not there."""

    def __init__(self, *, fee: str | None = None, is_there: bool = True) -> None:
        self.fee = fee
        self.is_there = is_there
        self.trade: Any = None
        self.asked = 0
        self.of_wallet: list[OrderLog] = []
        self.hangs = False

    async def logs_of(self, order_hash: str) -> tuple[OrderLog, ...]:
        self.asked += 1
        if not self.is_there:
            raise OrderLogsUnavailableError("nobody")
        if self.fee is None:
            return ()
        tx_hash = self.trade() if self.trade else ""
        return (a_log(order_hash, tx_hash=tx_hash, fee=self.fee),)

    async def logs_of_wallet(self, wallet: str) -> tuple[OrderLog, ...]:
        if not self.is_there:
            raise OrderLogsUnavailableError("polygon: nobody")
        if self.hangs:
            await asyncio.Event().wait()
        return tuple(self.of_wallet)


def a_log(order_hash: str, *, tx_hash: str = "", shares: str = "20", fee: str = "0") -> OrderLog:
    return OrderLog(
        order_hash=order_hash, tx_hash=tx_hash, shares=micro(shares), usdc=micro(shares) // 2, fee=micro(fee)
    )


def test_the_logs_of_an_order_are_found_by_its_hash() -> None:
    async def story(floor: Floor) -> None:
        life = Life(floor)
        await life.fund()
        await floor.show()
        await life.start()
        await asyncio.sleep(1)
        attempt = await life.trade()
        await quiet(20)
        order_hash = (await life.now(attempt.id)).order_hash or ""
        async with open_order_logs(
            ("http://venue/rpc",), exchanges=EXCHANGES, clock=VirtualClock(), transport=Wire(floor.venue)
        ) as logs:
            (log,) = await logs.logs_of(order_hash)
            assert await logs.logs_of("0x" + "00" * 32) == ()
            assert await logs.logs_of_wallet(life.wallet) == (log,)
            assert await logs.logs_of_wallet("0x" + "66" * 20) == ()
            later = await life.trade("later", limit_price=micro("0.5"))
            await quiet(20)
            of_later = await logs.logs_of((await life.now(later.id)).order_hash or "")
            assert of_later
            assert await logs.logs_of_wallet(life.wallet) == (log, *of_later)
        await life.stop()
        fill = life.ledger.executions[0]
        assert (log.shares, log.fee) == (fill.shares, fill.fee_usdc)
        assert log.usdc == micro("10")

    run_virtual(lambda: on_floor(story), epoch_ms=NOW_MS)


def test_a_node_that_does_not_answer_proves_nothing() -> None:
    async def story(floor: Floor) -> None:
        wire = Wire(floor.venue)
        wire.cut()
        async with open_order_logs(
            ("http://venue/rpc",), exchanges=EXCHANGES, clock=VirtualClock(), transport=wire
        ) as logs:
            with pytest.raises(OrderLogsUnavailableError):
                await logs.logs_of("0x" + "00" * 32)
            with pytest.raises(OrderLogsUnavailableError):
                await logs.logs_of_wallet("0x" + "66" * 20)

    run_virtual(lambda: on_floor(story), epoch_ms=NOW_MS)


@pytest.mark.parametrize(("logs", "fee"), [(FakeLogs(fee="0.123"), "0.123"), (FakeLogs(is_there=False), "0.25")])
def test_the_fee_is_the_one_on_the_chain_where_that_can_be_asked(logs: FakeLogs, fee: str) -> None:
    async def story(life: Life) -> None:
        await life.trade()
        trades = await life.floor.read("trades")
        logs.trade = lambda: trades[0]["tx_hash"]
        await quiet(30)
        (fill,) = life.ledger.executions
        assert (fill.settlement, fill.fee_usdc) == (Settlement.CONFIRMED, micro(fee))
        exposure = life.portfolio.at_stake.exposure
        assert exposure.spent_today(Scope("copy", life.executor.account_id)) == micro("10.25"), "counted once"

    live(story, logs=logs)


def test_a_trade_said_to_have_failed_that_is_on_the_chain_is_not_made_void() -> None:
    logs = FakeLogs(fee="0.25")

    async def story(life: Life) -> None:
        await life.floor.control("settlement", next=["fail"], retries=0)
        await life.trade()
        trades = await life.floor.read("trades")
        logs.trade = lambda: trades[0]["tx_hash"]
        await quiet(35)
        assert (await life.ledger.positions())[0].shares == micro("20")
        assert "SETTLEMENT_CONTRADICTED" in life.noted()
        assert "TRADE_FAILED" not in life.noted()

    live(story, logs=logs)


@pytest.mark.parametrize(
    ("logs", "status"),
    [
        (FakeLogs(), AttemptStatus.FAILED),
        (FakeLogs(fee="0"), AttemptStatus.SUBMITTED),
        (FakeLogs(is_there=False), AttemptStatus.SUBMITTED),
    ],
    ids=["nothing on the chain", "on the chain", "nobody knows"],
)
def test_an_order_is_given_up_for_lost_only_if_the_chain_has_nothing_of_it(
    logs: FakeLogs, status: AttemptStatus
) -> None:
    async def story(life: Life) -> None:
        await life.floor.control("trouble", kind="lost_request", count=9)
        attempt = await life.trade()
        await quiet(615)
        assert logs.asked
        assert (await life.now(attempt.id)).status is status

    live(story, logs=logs)


def test_a_fill_of_the_wallet_on_the_chain_that_the_venue_is_silent_about_stops_everything() -> None:
    logs = FakeLogs()

    async def story(life: Life) -> None:
        await life.floor.control("trouble", kind="status", target="GET /data/trades", status=500, count=9_999)
        logs.of_wallet = [a_log("0x" + "f0" * 32)]
        await quiet(31)
        assert {"NOT_COMPARED", "ACCOUNT_DIFFERS"} <= set(life.noted())
        assert life.halted is not None
        assert "FOREIGN_FILL" in dict(life.halted.numbers)["why"]

    live(story, logs=logs)


def test_more_on_the_chain_than_is_booked_stops_everything_once_no_report_of_it_can_be_on_its_way() -> None:
    logs = FakeLogs()

    async def story(life: Life) -> None:
        attempt = await life.trade()
        await quiet(15)
        order_hash = (await life.now(attempt.id)).order_hash or ""
        logs.of_wallet = [a_log(order_hash, tx_hash="0x1"), a_log(order_hash, tx_hash="0x2", shares="0.01")]
        await quiet(60)
        assert "ACCOUNT_DIFFERS" not in life.noted(), "dust is none"
        logs.of_wallet.append(a_log(order_hash, tx_hash="0x3", shares="0.01"))
        await quiet(31)
        assert "ACCOUNT_DIFFERS" not in life.noted()
        await quiet(30)
        assert "ACCOUNT_DIFFERS" in life.noted()

    live(story, logs=logs)


def test_what_the_chain_has_is_not_missed_while_the_venue_cannot_tell_of_it() -> None:
    logs = FakeLogs()

    async def story(life: Life) -> None:
        attempt = await life.trade()
        await quiet(15)
        logs.of_wallet = [a_log((await life.now(attempt.id)).order_hash or "", shares="30")]
        await life.floor.control("trouble", kind="status", target="GET /data", status=500, count=9_999)
        await quiet(120)
        assert "ACCOUNT_DIFFERS" not in life.noted()
        await life.floor.control("heal")
        await quiet(91)
        assert "ACCOUNT_DIFFERS" in life.noted()

    live(story, logs=logs)


def test_a_node_that_hangs_keeps_nobody_from_what_the_venue_shows() -> None:
    logs = FakeLogs()
    logs.hangs = True

    async def story(life: Life) -> None:
        other = Life(life.floor)
        await other.start()
        await asyncio.sleep(1)
        await other.trade("foreign", limit_price=micro("0.40"), ttl_ms=60_000)
        comparison = asyncio.create_task(life.comparison.compare())
        await quiet(2)
        assert not comparison.done(), "the node is being asked"
        assert life.halted is not None
        assert "FOREIGN_ORDER" in dict(life.halted.numbers)["why"]
        await quiet(20)
        assert [one.code for one in comparison.result()] == ["FOREIGN_ORDER"]
        assert "NOT_COMPARED" in life.noted()
        await other.stop()

    live(story, logs=logs)


def test_what_is_booked_a_little_after_the_chain_has_it_is_not_missed_however_often_it_is() -> None:
    logs = FakeLogs()

    async def story(life: Life) -> None:
        attempt = await life.trade()
        await quiet(15)
        now = await life.now(attempt.id)
        for booked in range(1, 5):
            behind = replace(now, filled_shares=micro(str(booked)))
            logs.of_wallet = [a_log(now.order_hash or "", tx_hash=f"0x{booked}", shares=str(booked + 1))]
            with mock.patch.object(life.ledger, "attempts_of_orders", _always(behind)):
                assert await life.comparison.compare() == ()
        with mock.patch.object(life.ledger, "attempts_of_orders", _always(behind)):
            (missed,) = await life.comparison.compare()
        assert missed.code == "MISSED_FILL"

    live(story, logs=logs)


def _always(attempt: ExecutionAttempt) -> Any:
    async def attempts_of_orders(hashes: object) -> tuple[ExecutionAttempt, ...]:
        del hashes
        return (attempt,)

    return attempts_of_orders


def test_without_a_node_the_venue_is_compared_all_the_same() -> None:
    async def story(life: Life) -> None:
        await life.trade()
        await asyncio.sleep(1)
        life.ledger.executions.clear()
        await quiet(61)
        assert {"NOT_COMPARED", "ACCOUNT_DIFFERS"} <= set(life.noted())

    live(story, logs=FakeLogs(is_there=False))


def test_the_logs_of_a_wallet_are_read_on_from_the_last_time_and_a_little_of_it_again() -> None:
    async def story(floor: Floor) -> None:
        asked: list[tuple[int, int]] = []
        async with open_order_logs(
            ("http://venue/rpc",), exchanges=EXCHANGES, clock=VirtualClock(), transport=Wire(floor.venue)
        ) as logs:
            with mock.patch.object(logs, "_read", _noting(asked)):
                for _ in range(3):
                    await logs.logs_of_wallet("0x" + "66" * 20)
                    await quiet(1_000)
        heads = [last for _, last in asked]
        assert [first + OVERLAP_BLOCKS for first, _ in asked] == [heads[0], heads[0], heads[1]]
        assert heads[0] < heads[1] < heads[2]

    run_virtual(lambda: on_floor(story), epoch_ms=NOW_MS)


def _noting(asked: list[tuple[int, int]]) -> Any:
    async def read(first: int, last: int, topics: object) -> list[Any]:
        del topics
        asked.append((first, last))
        return []

    return read
