"""How accounts compare, and whether we could follow them: the venue's record of each against our own cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from copytrade.domain.ranking import copyability, median_depth_share, record_of, warnings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from copytrade.domain.ranking import Estimate, Flow, FollowCost, Record
    from copytrade.domain.units import Millis, Ratio, Usdc
    from copytrade.ports.clock import Clock
    from copytrade.ports.histories import AccountHistories, AccountHistory, Depths, FollowCosts

DEPTH_TOKENS_MAX: Final = 40
"""Tokens he traded last whose books are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """One account's figures; `warnings` is what speaks against following it.

    `depth_share` is his median trade against what stands in the books of his latest tokens within our slippage now
    (None if none has a book any more), `our_depth_share` the same for our largest trade. `is_cut` if he did more in
    the time than is ever read.
    """

    address: str
    name: str
    record: Record
    cost: FollowCost | None
    worth: Estimate | None
    depth_share: Ratio | None
    our_depth_share: Ratio | None
    is_cut: bool
    warnings: tuple[str, ...]


class Rank:
    """Reads accounts one by one, best by the venue's own table first."""

    def __init__(
        self,
        *,
        histories: AccountHistories,
        depths: Depths,
        costs: FollowCosts,
        clock: Clock,
        our_trade: Usdc,
        slippage_bps: int,
    ) -> None:
        self._histories = histories
        self._depths = depths
        self._costs = costs
        self._clock = clock
        self._our_trade = our_trade
        self._slippage_bps = slippage_bps

    async def best(
        self, *, period: str, category: str, limit: int, since_ms: Millis, tell: Callable[[int, int], None]
    ) -> list[Ranking]:
        """Return the venue's best accounts, those most worth following first; `tell` hears how many are done of all.

        :raises HistoryUnavailableError: the venue does not tell.
        """
        ranked = await self._histories.leaderboard(period=period, category=category, limit=limit)
        found = []
        for done, one in enumerate(ranked):
            tell(done, len(ranked))
            found.append(await self.judge(one.address, name=one.name, since_ms=since_ms))
        tell(len(ranked), len(ranked))
        return sorted(found, key=_worth_first)

    async def judge(self, address: str, *, name: str, since_ms: Millis) -> Ranking:
        """Return one account's figures.

        :raises HistoryUnavailableError: the venue does not tell.
        """
        history = await self._histories.history(address, since_ms=since_ms)
        record = record_of(
            history.flows, history.holdings, maker_usdc=history.maker_usdc, trade_usdc=history.trade_usdc
        )
        cost = await self._costs.follow_cost(address, maker_share=record.maker_share)
        worth = copyability(record.edge, cost)
        depth_share, our_depth_share = await self._depth_shares(history)
        return Ranking(
            address=address,
            name=name,
            record=record,
            cost=cost,
            worth=worth,
            depth_share=depth_share,
            our_depth_share=our_depth_share,
            is_cut=history.is_cut,
            warnings=warnings_of(record, worth, now_ms=self._clock.now_ms()),
        )

    async def _depth_shares(self, history: AccountHistory) -> tuple[Ratio | None, Ratio | None]:
        trades = _latest_trades(history.flows)
        if not trades:
            return None, None
        depths = await self._depths.depths(tuple(trades), within_bps=self._slippage_bps)
        ours = {token_id: [self._our_trade] for token_id in trades}
        return median_depth_share(trades, depths), median_depth_share(ours, depths)


def _latest_trades(flows: Sequence[Flow]) -> dict[str, list[Usdc]]:
    """Return what he paid or got in each trade of the tokens he traded last."""
    trades: dict[str, list[Usdc]] = {}
    for flow in reversed(flows):
        if flow.is_trade and (flow.token_id in trades or len(trades) < DEPTH_TOKENS_MAX):
            trades.setdefault(flow.token_id, []).append(abs(flow.cash))
    return trades


def _worth_first(ranking: Ranking) -> tuple[bool, int]:
    """Order by the cautious end of what following is worth, else of the edge; who has neither comes last."""
    best = ranking.worth or ranking.record.edge
    return best is None, 0 if best is None else -best.low
