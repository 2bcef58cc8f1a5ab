"""Whatever accounts send and whatever fails, no money and no share appears or vanishes."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from copytrade.sandbox import contracts
from copytrade.sandbox.trading.conditions import Fate
from copytrade.sandbox.trading.funds import Purse
from tests.unit.sandbox.trader import Floor, Trader, on_floor

MARKETS = ("lisbon-mayor-reelected", "fed-december-no-change", "lunar-cargo-lands")
KEYS = [f"0x{number:064x}" for number in (11, 12, 13)]
START_COLLATERAL = 200
START_SHARES = 60
CONTRACTS = (*contracts.EXCHANGES, contracts.CONDITIONAL_TOKENS, contracts.POSITION_MANAGER, contracts.FEE_RECEIVER)
EXAMPLES = int(os.environ.get("TRADING_EXAMPLES", "12"))


@dataclass(frozen=True)
class Step:
    """One thing that happens: an order, a cancel, or time that passes."""

    trader: int
    market: int
    outcome: int
    is_buy: bool
    cents: int
    shares: int
    kind: str
    pause_ms: int
    cancels: bool


STEPS = st.builds(
    Step,
    trader=st.integers(0, len(KEYS) - 1),
    market=st.integers(0, len(MARKETS) - 1),
    outcome=st.integers(0, 1),
    is_buy=st.booleans(),
    cents=st.integers(40, 60),
    shares=st.integers(500, 4_000),
    kind=st.sampled_from(("GTC", "GTC", "FAK", "FOK")),
    pause_ms=st.sampled_from((0, 0, 700, 4_000)),
    cancels=st.booleans(),
)


class Books:
    """What everybody holds at first, to compare with."""

    def __init__(self, floor: Floor, traders: list[Trader]) -> None:
        self._floor = floor
        self._funds = floor.venue._venue._floor.desk.funds
        for address in CONTRACTS:
            self._funds.put(address, Purse())
        self._everybody = [*(trader.wallet for trader in traders), *CONTRACTS]
        self._traders = traders
        self._tokens = [floor.markets[slug].tokens for slug in MARKETS]
        self._money = self._sum(None)

    def _sum(self, token: int | None) -> int:
        purses = [self._funds.purse(one) for one in self._everybody]
        return sum(purse.collateral if token is None else purse.shares[token] for purse in purses)

    def check(self) -> None:
        """Money is constant; each pair of shares beyond the first ones is backed by one of collateral."""
        assert self._sum(None) == self._money
        backed = 0
        for yes, no in self._tokens:
            minted = self._sum(yes) - len(KEYS) * START_SHARES * 1_000_000
            assert minted == self._sum(no) - len(KEYS) * START_SHARES * 1_000_000
            backed += minted
        vaults = (contracts.CONDITIONAL_TOKENS, contracts.POSITION_MANAGER)
        assert sum(self._funds.purse(one).collateral for one in vaults) == backed
        for exchange in contracts.EXCHANGES:
            assert self._funds.purse(exchange).collateral == 0
            assert not any(self._funds.purse(exchange).shares.values())
        for trader in self._traders:
            purse = self._funds.purse(trader.wallet)
            assert purse.collateral >= 0
            assert all(held >= 0 for held in purse.shares.values())

    async def check_orders(self) -> None:
        """Nobody matched more than he asked for, at a worse price, or beyond what he holds."""
        for row in await self._floor.read("orders"):
            assert row["matched_shares"] <= row["shares"] or row["order_type"] in ("FAK", "FOK")
            if row["side"] == "BUY":
                assert row["matched_collateral"] <= row["collateral"]
                assert row["matched_collateral"] * 1_000_000 <= row["matched_shares"] * row["limit"] + 2_000_000
            else:
                assert row["matched_shares"] <= row["shares"]
        for row in await self._floor.read("accounts"):
            if row["wallet"] in {trader.wallet for trader in self._traders}:
                assert row["reserved"] + row["matched"] <= row["collateral"]


async def _take(floor: Floor, trader: Trader, step: Step) -> None:
    token = floor.markets[MARKETS[step.market]].tokens[step.outcome]
    size, price = step.shares * 10_000, step.cents * 10_000
    if step.kind == "GTC" or not step.is_buy:
        amounts = (size * price // 1_000_000, size)
    else:
        budget = size * price // 1_000_000 // 10_000 * 10_000
        amounts = (budget, budget * 1_000_000 // price // 100 * 100)
    side = "BUY" if step.is_buy else "SELL"
    status, answer = await trader.post(
        trader.post_body(token, side, amounts if step.is_buy else amounts[::-1], step.kind)
    )
    assert status in (200, 400), answer
    if step.cancels:
        await trader.call("DELETE", "/cancel-all")
    floor.elapse(step.pause_ms)


@settings(max_examples=EXAMPLES)
@given(
    steps=st.lists(STEPS, min_size=10, max_size=30),
    fates=st.lists(st.sampled_from([Fate.OK, Fate.OK, Fate.RETRY, Fate.FAIL, Fate.NEVER]), max_size=12),
)
def test_no_money_and_no_share_appears_or_vanishes(steps, fates):
    async def story(floor):
        traders = []
        for key in KEYS:
            shares = {str(token): str(START_SHARES) for slug in MARKETS for token in floor.markets[slug].tokens}
            traders.append(await floor.trader(key, collateral=str(START_COLLATERAL), shares=shares))
        for slug in MARKETS:
            await floor.set_book(floor.markets[slug].tokens[0])
        await floor.control("settlement", next=[str(fate) for fate in fates], retries=1, retry_ms=300)
        books = Books(floor, traders)
        for step in steps:
            await _take(floor, traders[step.trader], step)
            books.check()
            await books.check_orders()
        await floor.control("reorg", depth=2, fate="delayed")
        books.check()
        floor.elapse(30_000)
        books.check()
        trades = await floor.read("trades")
        for trade in trades:
            logs = sum(
                log.tx_hash == trade["tx_hash"] for fill in trade["fills"] for log in floor.logs_of(fill["order_id"])
            )
            assert logs == (len(trade["fills"]) if trade["status"] == "CONFIRMED" else 0)

    on_floor(story)


def test_the_orders_drawn_do_match_each_other():
    """The property above is about nothing if nobody trades."""
    sides = [(trader, is_buy) for trader, is_buy in ((0, True), (1, False), (2, True), (0, False))]

    async def story(floor):
        traders = []
        for key in KEYS:
            shares = {str(token): str(START_SHARES) for slug in MARKETS for token in floor.markets[slug].tokens}
            traders.append(await floor.trader(key, collateral=str(START_COLLATERAL), shares=shares))
        for slug in MARKETS:
            await floor.set_book(floor.markets[slug].tokens[0])
        for market in range(len(MARKETS)):
            for outcome in (0, 1):
                for trader, is_buy in sides:
                    step = Step(trader, market, outcome, is_buy, 50, 1_000, "GTC", 0, cancels=False)
                    await _take(floor, traders[trader], step)
        kinds = {
            tuple(sorted((fill["side"], fill["token_id"]) for fill in trade["fills"]))
            for trade in await floor.read("trades")
        }

        assert len(kinds) >= 6

    on_floor(story)
