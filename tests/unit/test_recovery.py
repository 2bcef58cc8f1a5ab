"""What an earlier life left open is settled in batches; a death between two of them loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import AttemptStatus, ExecutionAttempt
from copytrade.domain.happenings import Happening, OrderEnded
from copytrade.engine import execute
from copytrade.engine.execute import Execute
from copytrade.engine.portfolio import Portfolio
from copytrade.ports.execution import OrderDone
from copytrade.ports.ledger import LedgerUnavailableError
from copytrade.ports.notifier import Notifier
from tests.ledger_facts import a_submitted
from tests.makers import NOW_MS
from tests.unit.paper.worlds import FakeBookStore, an_executor
from tests.virtual_time import VirtualClock, run_virtual

OPEN = 7


class Heard(Notifier):
    """Keeps what was told."""

    def __init__(self) -> None:
        self.told: list[Happening] = []

    def tell(self, happening: Happening) -> None:
        self.told.append(happening)


class Dying(MemoryLedger):
    """Takes so many batches and then none."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.most_batches = 1_000

    async def close_attempts(self, endings: Sequence[OrderDone]) -> tuple[ExecutionAttempt, ...]:
        if len(self.batches) >= self.most_batches:
            raise LedgerUnavailableError("gone")
        self.batches.append(len(endings))
        return await super().close_attempts(endings)


async def a_life(ledger: MemoryLedger) -> tuple[Portfolio, Heard]:
    """Start over what is stored, as far as it comes."""
    portfolio = Portfolio(strategy_id="copy", account_id="paper")
    await portfolio.load(ledger)
    heard = Heard()
    stage = Execute(
        ledger=ledger,
        executor=an_executor(FakeBookStore()),
        portfolio=portfolio,
        orders=asyncio.Queue(),
        notifier=heard,
        clock=VirtualClock(),
        stopped_by=lambda attempt: None,
    )
    await stage.recover(portfolio.open_attempts())
    return portfolio, heard


async def a_ledger_with_open_orders() -> Dying:
    ledger = Dying()
    for number in range(OPEN):
        await a_submitted(ledger, tx=f"{number:02}", created_at_ms=NOW_MS + number)
    return ledger


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "RECOVERED_AT_ONCE", 3)


def test_all_that_was_open_ends_in_few_transactions_and_each_ending_is_told() -> None:
    async def main() -> None:
        ledger = await a_ledger_with_open_orders()
        opened = await ledger.open_attempts()

        portfolio, heard = await a_life(ledger)

        assert ledger.batches == [3, 3, 1]
        assert await ledger.open_attempts() == portfolio.open_attempts() == ()
        told = [one for one in heard.told if isinstance(one, OrderEnded)]
        assert [one.attempt.id for one in told] == [attempt.id for attempt in opened]
        assert {(one.status, one.reason.code) for one in told if one.reason} == {
            (AttemptStatus.CANCELED, "INTERRUPTED")
        }

    run_virtual(main, epoch_ms=NOW_MS)


def test_a_death_between_two_batches_leaves_the_rest_to_the_next_start_and_nothing_ends_twice() -> None:
    async def main() -> None:
        ledger = await a_ledger_with_open_orders()
        opened = await ledger.open_attempts()
        ledger.most_batches = 1
        with pytest.raises(LedgerUnavailableError):
            await a_life(ledger)
        left = await ledger.open_attempts()
        ledger.most_batches = 1_000

        await a_life(ledger)

        assert left == opened[3:]
        assert await ledger.open_attempts() == ()
        ended = [await ledger.attempt(attempt.id) for attempt in opened]
        codes = [[one.code for one in attempt.reasons] for attempt in ended if attempt is not None]
        assert [said.count("INTERRUPTED") for said in codes] == [1] * OPEN

    run_virtual(main, epoch_ms=NOW_MS)
