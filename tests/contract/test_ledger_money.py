"""Whatever order executions, settlements, merges and endings come in: position = fold, and no micro-unit is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import AttemptStatus, ExecutionAttempt, ExecutionFill, Settlement
from copytrade.domain.fills import Side, Source
from copytrade.domain.positions import OversoldError, Position, cash_flow, fold
from copytrade.domain.settlement import PositionSettlement, Resolution, ResolutionSource
from copytrade.domain.units import MICRO
from copytrade.ports.leader_fills import FillsSeen
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import an_attempt, an_execution
from tests.ledgers import sql_ledger
from tests.makers import LEADER, NO, NOW_MS, OTHER, YES, a_fill, a_leader, a_market, a_sighting

CONDITION = a_market().condition_id
START_CASH = 1_000 * MICRO
TOKENS = (YES, NO)


@dataclass(frozen=True)
class Step:
    """What is done next, and the numbers it is done with."""

    what: str
    leader: str
    token: str
    shares: int
    price: int
    fee: int


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(["buy", "buy", "sell", "fail", "end", "settle", "contradict", "merge", "rename", "fund"]),
        st.sampled_from([LEADER, OTHER]),
        st.sampled_from(TOKENS),
        st.integers(1, 10**9),
        st.integers(1, MICRO),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=14,
)
payouts = st.one_of(
    st.sampled_from([(MICRO, 0), (0, MICRO), (MICRO // 2, MICRO // 2), (0, 0)]),
    st.integers(0, MICRO).map(lambda first: (first, MICRO - first)),
)


@dataclass(kw_only=True)
class Life:
    """What was done to a ledger so far, and what must be left of it."""

    ledger: Ledger
    payouts: tuple[int, ...]
    start_cash: int = START_CASH
    orders: list[ExecutionAttempt] = field(default_factory=list)
    entries: dict[str, list[ExecutionFill | PositionSettlement]] = field(default_factory=dict)

    async def begin(self) -> None:
        await self.ledger.add_leader(a_leader(address=LEADER))
        await self.ledger.add_leader(a_leader(address=OTHER))
        await self.ledger.save_markets([a_market()])
        await self.ledger.fund_account("copy", "paper", start_cash=START_CASH, now_ms=NOW_MS)

    async def step(self, step: Step) -> None:
        shares = step.shares
        match step.what:
            case "buy" | "sell" | "fail":
                await self._trade(step)
            case "end" if self.orders:
                order = self.orders.pop(shares % len(self.orders))
                await self.ledger.close_attempt(
                    order.id, status=AttemptStatus.CANCELED, reason=None, at_ms=NOW_MS + 9_000
                )
            case "settle" | "contradict":
                told = self.payouts if step.what == "settle" else tuple(MICRO - one for one in self.payouts)
                settled = await self.ledger.settle(
                    Resolution(
                        condition_id=CONDITION, payouts=told, source=ResolutionSource.CHAIN, at_ms=NOW_MS + shares
                    )
                )
                self._take(closing.settlement for closing in settled.closings)
                (recorded,) = await self.ledger.resolutions()
                assert (settled.closings == ()) or recorded.payouts == told
            case "merge":
                merged = await self.ledger.merge_sets(
                    CONDITION, strategy_id="copy", account_id="paper", at_ms=NOW_MS + shares
                )
                self._take(closing.settlement for closing in merged)
            case "rename":
                moved = await self.ledger.rename_token(
                    step.token, "333", condition_id=CONDITION, source="registry", at_ms=NOW_MS + shares
                )
                self._take(closing.settlement for closing in moved.closings)
            case "fund":
                self.start_cash = shares
                await self.ledger.fund_account("copy", "paper", start_cash=shares, now_ms=NOW_MS)

    async def _trade(self, step: Step) -> None:
        number = sum(map(len, self.entries.values())) + len(self.orders) + 1
        side = Side.SELL if step.what == "sell" else Side.BUY
        shares = step.shares
        if side is Side.SELL:
            shares = shares % (self.held(step.token) * 11 // 10 + 2) + 1
        order = await self._order(f"{number}|{step}", step, side, shares)
        if order is None:
            return
        settlement = Settlement.FAILED if step.what == "fail" else Settlement.CONFIRMED
        trade = an_execution(order, trade=order.order_hash or "", settlement=settlement)
        part = max(1, shares // 2) if step.fee % 2 else shares
        trade = replace(trade, shares=part, price=step.price, fee_usdc=step.fee)
        try:
            await self.ledger.book_execution(trade)
        except OversoldError:
            assert side is Side.SELL
            assert part > self.held(step.token)
            return
        self.entries.setdefault(step.token, []).append(trade)

    def held(self, token: str) -> int:
        empty = Position(strategy_id="copy", account_id="paper", token_id=token)
        return fold(empty, self.entries.get(token, [])).shares

    async def _order(self, key: str, step: Step, side: Side, shares: int) -> ExecutionAttempt | None:
        fill = a_fill(leader=step.leader, token_id=step.token, side=side, tx_hash=f"0x{key}", place=None, fee=None)
        seen = FillsSeen(source=Source.POLYGON, sightings=(a_sighting(fill, source_key=key),))
        new = (await self.ledger.ingest(seen, now_ms=NOW_MS)).new
        if not new:
            return None
        order = replace(an_attempt(new[0]), size_shares_target=shares)
        await self.ledger.record_attempt(order)
        await self.ledger.submit_attempt(order.id, order_hash=key, placed_at_ms=NOW_MS)
        self.orders.append(order)
        return replace(order, order_hash=key)

    def _take(self, settled: Any) -> None:
        for settlement in settled:
            self.entries.setdefault(settlement.token_id, []).append(settlement)

    async def check(self) -> None:
        flows = earned = 0
        for position in await self.ledger.positions():
            entries = self.entries.get(position.token_id, [])
            empty = Position(strategy_id="copy", account_id="paper", token_id=position.token_id)
            assert position == fold(empty, entries)
            flows += sum(cash_flow(one) if isinstance(one, ExecutionFill) else one.proceeds_usdc for one in entries)
            earned += position.realized_pnl_usdc - position.fees_usdc - position.cost_usdc
        (balance,) = await self.ledger.balances()
        assert balance.start_cash_usdc == self.start_cash
        assert balance.cash_usdc == self.start_cash + flows == self.start_cash + earned
        for token, entries in self.entries.items():
            kept = await self.ledger.settlements(strategy_id="copy", account_id="paper", token_id=token)
            assert list(kept) == [one for one in entries if isinstance(one, PositionSettlement)]
            for one in kept:
                assert sum(part.shares for part in one.parts) == one.shares
                assert sum(part.proceeds_usdc for part in one.parts) == one.proceeds_usdc
                assert sum(part.cost_usdc for part in one.parts) == one.cost_usdc


def live(opened: AbstractAsyncContextManager[Ledger], paid: tuple[int, ...], done: list[Any]) -> None:
    async def main() -> None:
        async with opened as ledger:
            life = Life(ledger=ledger, payouts=paid)
            await life.begin()
            for step in done:
                await life.step(step)
                await life.check()

    asyncio.run(main())


@asynccontextmanager
async def in_memory() -> AsyncIterator[Ledger]:
    yield MemoryLedger()


@given(done=steps, paid=payouts)
@settings(max_examples=300)
def test_in_memory_no_micro_unit_is_lost(done: list[Any], paid: tuple[int, ...]) -> None:
    live(in_memory(), paid, done)


@given(done=steps, paid=payouts)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_a_database_no_micro_unit_is_lost(migrated_url: str, done: list[Any], paid: tuple[int, ...]) -> None:
    live(sql_ledger(migrated_url), paid, done)
