"""Every limit, gate and switch refuses a fill on the real decision path, by its own name, and nothing else does."""

from __future__ import annotations

import asyncio

import pytest

from copytrade.domain.attempts import AttemptStatus, Decision, ExecutionAttempt
from copytrade.domain.fills import Side
from copytrade.engine.drills import DrillDesk, drills, guards
from tests.flow.stage import Stage, play
from tests.makers import a_book, a_fill, a_place


async def trade(stage: Stage, side: Side, *, log: int) -> ExecutionAttempt:
    """Let the leader trade; return what we made of it."""
    before = len(await stage.attempts())
    price = "0.51" if side is Side.BUY else "0.49"
    await stage.sees(a_fill(size="20", price=price, side=side, tx_hash=f"0x{log:064x}", place=a_place(log_index=log)))
    await asyncio.sleep(0.4)
    return (await stage.attempts())[before]


def test_every_guard_has_a_drill() -> None:
    assert set(guards()) == set(drills())


def test_without_a_drill_an_entry_and_an_exit_are_made() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        assert (await trade(stage, Side.BUY, log=1)).status is AttemptStatus.FILLED
        assert (await trade(stage, Side.SELL, log=2)).status is AttemptStatus.FILLED

    play(script)


@pytest.mark.parametrize("guard", guards())
def test_a_tripped_guard_refuses_the_entry_and_lets_the_exit_pass_unless_it_stops_everything(guard: str) -> None:
    drill = drills()[guard]

    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        assert (await trade(stage, Side.BUY, log=1)).decision is Decision.TRADE

        await drill.trip(DrillDesk(risk=stage.worker.risk, throw_file=stage.guard.switch.throw))

        refused = await trade(stage, Side.BUY, log=2)
        assert refused.status is AttemptStatus.SKIPPED
        assert [one.code for one in refused.reasons] == [drill.code]
        assert (refused.size_shares_target, refused.limit_price, refused.ttl_ms) == (0, 0, 0)
        exit_ = await trade(stage, Side.SELL, log=3)
        assert (exit_.decision is Decision.SKIP) == drill.stops_exits
        [event] = [event for event in stage.ledger.risk_events if event.detail.get("attempt") == str(refused.id)]
        assert [one["code"] for one in event.detail["reasons"]] == [drill.code]

    play(script)
