"""What a real account starts from: its wallet, while nothing is under way; else what it started from last."""

from __future__ import annotations

from copytrade.adapters.memory import MemoryLedger
from copytrade.engine.equity import Equity
from tests.flow.stage import START_MS, Stage
from tests.makers import micro
from tests.virtual_time import run_virtual


async def opened(ledger: MemoryLedger, *, start_cash: int | None, wallet: int | None) -> tuple[int, int]:
    """Open an account in a new life; return its start cash as stored, and what it is worth."""
    stage = Stage(ledger=ledger)
    await stage.worker.portfolio.load(ledger)
    equity = Equity(
        ledger=ledger,
        portfolio=stage.worker.portfolio,
        marks=stage.worker.money.marks,
        notes=stage.worker.notes,
        clock=stage.clock,
        start_cash=start_cash,
        interval_ms=60_000,
        wallet=wallet,
    )
    await equity.open()
    (balance,) = await ledger.balances()
    return balance.start_cash_usdc, equity.current().cash_usdc


def test_a_real_account_starts_from_its_wallet_and_follows_what_is_paid_in() -> None:
    async def main() -> None:
        ledger = MemoryLedger()

        assert await opened(ledger, start_cash=None, wallet=micro("25")) == (micro("25"), micro("25"))
        assert await opened(ledger, start_cash=None, wallet=micro("40")) == (micro("40"), micro("40"))

    run_virtual(main, epoch_ms=START_MS)


def test_while_something_is_under_way_it_goes_on_from_where_it_started() -> None:
    async def main() -> None:
        ledger = MemoryLedger()
        await opened(ledger, start_cash=None, wallet=micro("25"))

        assert await opened(ledger, start_cash=None, wallet=None) == (micro("25"), micro("25"))

    run_virtual(main, epoch_ms=START_MS)


def test_on_paper_it_starts_from_what_is_set() -> None:
    async def main() -> None:
        ledger = MemoryLedger()

        assert await opened(ledger, start_cash=micro("7"), wallet=None) == (micro("7"), micro("7"))
        assert await opened(ledger, start_cash=micro("9"), wallet=None) == (micro("9"), micro("9"))

    run_virtual(main, epoch_ms=START_MS)
