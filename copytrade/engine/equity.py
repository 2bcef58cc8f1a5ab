"""What an account is worth, now and over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.domain.money import EquityPoint, valuation
from copytrade.domain.units import format_micro

if TYPE_CHECKING:
    from copytrade.domain.money import Valuation
    from copytrade.domain.units import Millis, Usdc
    from copytrade.engine.marks import Marks
    from copytrade.engine.notes import Notes
    from copytrade.engine.portfolio import Portfolio
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger

FIRST_AFTER_MS: Final = 10_000


class Equity:
    """Values one portfolio at the marks and stores a point every interval.

    Cash on paper may go below zero: an order is never refused for it, so that what is measured is the leader
    and not our purse. It is noted when it does.

    `start_cash` is what the account is given, None for what it was given last. `wallet` goes before it: what a real
    account held before the first order of this life. What was paid in or out since the last life is noted then.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        portfolio: Portfolio,
        marks: Marks,
        notes: Notes,
        clock: Clock,
        start_cash: Usdc | None,
        interval_ms: Millis,
        wallet: Usdc | None = None,
    ) -> None:
        self._ledger = ledger
        self._portfolio = portfolio
        self._marks = marks
        self._notes = notes
        self._clock = clock
        self._given_cash = start_cash
        self._start_cash: Usdc = start_cash or 0
        self._interval_ms = interval_ms
        self._wallet = wallet
        self._is_overdrawn = False

    async def open(self) -> None:
        """Fund the account; another start cash than before moves its cash by the difference, and is noted."""
        # Before anything waits: nothing of this life has moved the account yet.
        given = self._given_cash if self._wallet is None else self._wallet - self._moved()
        owner = (self._portfolio.strategy_id, self._portfolio.account_id)
        before = [one for one in await self._ledger.balances() if (one.strategy_id, one.account_id) == owner]
        self._start_cash = given if given is not None else sum(one.start_cash_usdc for one in before)
        await self._ledger.fund_account(*owner, start_cash=self._start_cash, now_ms=self._clock.now_ms())
        for cash in (one.start_cash_usdc for one in before if one.start_cash_usdc != self._start_cash):
            detail = {"account_id": owner[1], "before": format_micro(cash), "after": format_micro(self._start_cash)}
            self._notes.take("ACCOUNT_FUNDED", {"strategy_id": owner[0], **detail})

    def current(self) -> Valuation:
        """Return what the account is worth now; the cash is what its positions leave of the start cash."""
        return valuation(self._start_cash + self._moved(), self._portfolio.positions(), self._marks.price)

    def _moved(self) -> Usdc:
        positions = self._portfolio.positions()
        return sum(one.realized_pnl_usdc - one.fees_usdc - one.cost_usdc for one in positions)

    async def run(self) -> None:
        """Store a point once there may be books, then every interval, until cancelled."""
        await self._clock.sleep_ms(min(FIRST_AFTER_MS, self._interval_ms))
        while True:
            await self.store()
            await self._clock.sleep_ms(self._interval_ms)

    async def store(self) -> None:
        """Store what the account is worth now."""
        valued = self.current()
        point = EquityPoint(account_id=self._portfolio.account_id, at_ms=self._clock.now_ms(), valuation=valued)
        held = (position.token_id for position in self._portfolio.positions() if position.shares)
        await self._ledger.add_equity_point(point, {token_id: self._marks.price(token_id) for token_id in held})
        if valued.cash_usdc < 0 and not self._is_overdrawn:
            self._notes.take("CASH_BELOW_ZERO", {"cash_usdc": format_micro(valued.cash_usdc)})
        self._is_overdrawn = valued.cash_usdc < 0
