"""With real orders nobody is entered after but who is on the list and still allowed; what is held can be left."""

from __future__ import annotations

from dataclasses import replace

import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.fills import Side
from copytrade.engine.live_start import LiveEntrants
from tests.flow.stage import START_MS, Stage, live
from tests.flow.test_gates import Fills
from tests.makers import LEADER, OTHER, a_book, a_leader
from tests.virtual_time import run_virtual

LISTED = frozenset({LEADER})


class Roll:
    """Whom one follows now."""

    def __init__(self, *, is_allowed: bool) -> None:
        self.is_allowed = is_allowed

    def leaders(self):
        return {LEADER: replace(a_leader(), live_allowed=self.is_allowed)}


@pytest.mark.parametrize(
    ("is_allowed", "listed", "codes"),
    [
        (True, LISTED, []),
        (False, LISTED, ["GATE_LEADERS"]),
        (True, frozenset({OTHER}), ["GATE_LEADERS"]),
    ],
)
def test_an_entry_needs_both_the_list_and_the_leave(is_allowed: bool, listed: frozenset[str], codes: list[str]) -> None:
    async def script(stage: Stage) -> None:
        stage.guard.risk._entrants = LiveEntrants(Roll(is_allowed=is_allowed), listed)

        assert await Fills(stage).codes() == codes

    play(script)


def test_who_is_taken_off_is_not_entered_after_and_his_exit_is_followed() -> None:
    async def script(stage: Stage) -> None:
        roll = Roll(is_allowed=True)
        stage.guard.risk._entrants = LiveEntrants(roll, LISTED)
        fills = Fills(stage)
        assert await fills.codes() == []

        roll.is_allowed = False

        assert await fills.codes() == ["GATE_LEADERS"]
        assert "GATE_LEADERS" not in await fills.codes(Side.SELL)

    play(script)


def play(script) -> None:
    async def main() -> None:
        stage = Stage(ledger=MemoryLedger())
        await stage.ledger.add_leader(a_leader())
        await stage.books.show(a_book())
        await live(stage, script)

    run_virtual(main, epoch_ms=START_MS)
