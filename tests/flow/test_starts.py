"""A start counts a whole history: the garbage collector is left out of it, and is back whatever comes of it."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.engine.risk import Risk
from copytrade.ports.ledger import LedgerUnavailableError
from tests.flow.stage import START_MS, Stage, live
from tests.virtual_time import run_virtual


def one_life() -> list[bool]:
    """Return whether the collector was on while the worker ran."""
    seen: list[bool] = []

    async def script(_: Stage) -> None:
        seen.append(gc.isenabled())

    async def main() -> None:
        await live(Stage(ledger=MemoryLedger()), script)

    run_virtual(main, epoch_ms=START_MS)
    return seen


def test_nothing_is_collected_while_a_history_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    counting: list[bool] = []
    load = Risk.load

    async def watched(risk: Risk) -> None:
        counting.append(gc.isenabled())
        await load(risk)

    monkeypatch.setattr(Risk, "load", watched)

    one_life()

    assert counting == [False]
    assert gc.isenabled()


def test_a_start_that_fails_leaves_the_collector_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(_: Any) -> None:
        raise LedgerUnavailableError("gone")

    monkeypatch.setattr(Risk, "load", fails)

    with pytest.raises(LedgerUnavailableError):
        one_life()

    assert gc.isenabled()
