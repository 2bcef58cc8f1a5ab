"""Everything that may refuse an entry refuses it on the real decision path, by its own name, and nothing else does."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from copytrade.app import drill_all
from copytrade.cli.program import build
from copytrade.domain.attempts import AttemptStatus, Decision, ExecutionAttempt
from copytrade.domain.fills import Side
from copytrade.domain.live_gates import LiveGateName
from copytrade.domain.risk import LimitName, Ruling
from copytrade.engine.drills import SETTINGS_OF_OTHERS, DrillDesk, drills, guards
from copytrade.strategies.copy import GUARDS
from copytrade.strategies.copy.guards import Applies
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


def test_every_drill_fires_in_its_made_up_world() -> None:
    nothing, *drilled = drill_all()

    assert nothing.has_fired
    assert [one.drill.guard for one in drilled] == list(guards())
    assert [one.drill.guard for one in drilled if not one.has_fired] == []


@pytest.mark.parametrize("name", ["spread", "book"])
def test_a_guard_that_lets_everything_pass_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    [broken] = [guard for guard in GUARDS if guard.name == name]
    blunt = tuple(replace(guard, check=lambda _case: []) if guard is broken else guard for guard in GUARDS)
    monkeypatch.setattr("copytrade.strategies.copy.guards.GUARDS", blunt)

    failed = {one.drill.code for one in drill_all() if not one.has_fired}

    assert failed == set(broken.codes)


def test_a_guard_that_holds_up_exits_it_must_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    strict = tuple(replace(guard, applies=Applies.BOTH) if guard.name == "depth" else guard for guard in GUARDS)
    monkeypatch.setattr("copytrade.strategies.copy.guards.GUARDS", strict)

    assert [one.drill.code for one in drill_all() if not one.has_fired] == ["DEPTH_TOO_THIN"]


def test_limits_that_refuse_nothing_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copytrade.engine.risk.judge", lambda entry, *_: Ruling(shares=entry.shares, reasons=()))

    failed = [one.drill.guard for one in drill_all() if not one.has_fired]

    assert failed == [
        f"limit {name}" for name in LimitName if name not in {*SETTINGS_OF_OTHERS, LimitName.DAILY_DRAWDOWN_USDC}
    ]


def test_the_command_tells_what_fired_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    ended = CliRunner().invoke(build(), ["doctor", "--drill"])
    told = json.loads(CliRunner().invoke(build(), ["doctor", "--drill", "--json"]).output)

    assert ended.exit_code == 0
    assert ended.output.splitlines()[0] == "with nothing tripped: an entry and an exit are made"
    assert f"{len(guards())} of {len(guards())} fired" in ended.output.splitlines()
    assert ended.output.splitlines()[-1] == f"{len(LiveGateName)} of {len(LiveGateName)} live gates fired"
    assert told["ok"]
    assert {one["verdict"] for one in [*told["drills"], *told["live_gates"]]} == {"FIRED"}
    assert list(tmp_path.iterdir()) == []


def test_the_command_fails_when_a_drill_does_not_fire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copytrade.engine.halt.Halts.refusals", lambda _self, _side: ())

    ended = CliRunner().invoke(build(), ["doctor", "--drill"])

    assert ended.exit_code == 1
    assert "NOT FIRED  switch file" in ended.output


def test_without_a_drill_an_entry_and_an_exit_are_made() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        assert (await trade(stage, Side.BUY, log=1)).status is AttemptStatus.FILLED
        assert (await trade(stage, Side.SELL, log=2)).status is AttemptStatus.FILLED

    play(script)


@pytest.mark.parametrize("guard", [guard for guard in guards() if not guard.startswith("guard ")])
def test_a_tripped_guard_refuses_the_entry_and_lets_the_exit_pass_unless_it_stops_everything(guard: str) -> None:
    drill = drills()[guard]

    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        assert (await trade(stage, Side.BUY, log=1)).decision is Decision.TRADE

        await drill.trip(
            DrillDesk(risk=stage.worker.risk, throw_file=stage.guard.switch.throw, unfollow=stage.worker.roll.refresh)
        )

        refused = await trade(stage, Side.BUY, log=2)
        assert refused.status is AttemptStatus.SKIPPED
        assert [one.code for one in refused.reasons] == [drill.code]
        assert (refused.size_shares_target, refused.limit_price, refused.ttl_ms) == (0, 0, 0)
        exit_ = await trade(stage, Side.SELL, log=3)
        assert (exit_.decision is Decision.SKIP) == drill.stops_exits
        [event] = [event for event in stage.ledger.risk_events if event.detail.get("attempt") == str(refused.id)]
        assert [one["code"] for one in event.detail["reasons"]] == [drill.code]

    play(script)
