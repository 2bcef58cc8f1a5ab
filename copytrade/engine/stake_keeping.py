"""Keeps what was at stake a day ago, position by position, so that a start counts a day and not the whole history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.domain.exposure import Exposure
from copytrade.domain.risk import COOLDOWN_MAX_MS
from copytrade.domain.scopes import Scope
from copytrade.engine.at_stake import AtStake
from copytrade.ports.stake_memory import KeptStakes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copytrade.domain.leaders import Leader
    from copytrade.domain.units import Millis
    from copytrade.engine.portfolio import Portfolio
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.stake_memory import NumberedMove

KEEP_EVERY_MS: Final[Millis] = 600_000
MOVES_AT_ONCE: Final = 500
"""So many moves are counted without letting others run."""
MOVES_MIN: Final = 20
"""Fewer are not worth a write: a start counts them in no time."""


class StakeKeeping:
    """Moves what is kept of each open position on, as its history grows older than a start looks back."""

    def __init__(self, ledger: Ledger, *, portfolio: Portfolio, clock: Clock, moves_min: int = MOVES_MIN) -> None:
        self._ledger = ledger
        self._portfolio = portfolio
        self._owner = Scope(portfolio.strategy_id, portfolio.account_id)
        self._clock = clock
        self._moves_min = moves_min
        self._leaders: Sequence[Leader] = ()

    async def run(self) -> None:
        """Keep again and again until cancelled; the worker needs none of it itself."""
        while True:
            await self._clock.sleep_ms(KEEP_EVERY_MS)
            await self.keep()

    async def keep(self) -> None:
        """Bring what is kept of every open position up to a day ago."""
        before_ms = self._clock.now_ms() - COOLDOWN_MAX_MS
        strategy_id, account_id, _ = self._owner
        stored = await self._ledger.kept_stakes(strategy_id, account_id, since_ms=before_ms)
        kept = {one.token_id: one for one in stored}
        self._leaders = await self._ledger.leaders()
        for position in self._portfolio.held():
            await self._bring_up(position.token_id, kept.get(position.token_id), before_ms)

    async def _bring_up(self, token_id: str, kept: KeptStakes | None, before_ms: Millis) -> None:
        strategy_id, account_id, _ = self._owner
        while True:
            moves = await self._ledger.moves_to_keep(
                strategy_id,
                account_id,
                token_id,
                after=-1 if kept is None else kept.ordinal,
                before_ms=before_ms,
                limit=MOVES_AT_ONCE,
            )
            if len(moves) < self._moves_min:
                return
            kept = self._counted(token_id, kept, moves, before_ms)
            await self._ledger.keep_stakes(kept)

    def _counted(
        self, token_id: str, kept: KeptStakes | None, moves: Sequence[NumberedMove], before_ms: Millis
    ) -> KeptStakes:
        """Return what a position was after more of its moves."""
        strategy_id, account_id, _ = self._owner
        exposure = Exposure()
        at_stake = AtStake(strategy_id=strategy_id, account_id=account_id, exposure=exposure)
        at_stake.know(self._leaders)
        position = at_stake.empty(token_id) if kept is None else at_stake.restore(kept)
        for one in moves:
            position = at_stake.count(one.move, position)
        return KeptStakes(
            strategy_id=strategy_id,
            account_id=account_id,
            token_id=token_id,
            ordinal=moves[-1].ordinal,
            before_ms=before_ms,
            shares=position.shares,
            cost_usdc=position.cost_usdc,
            at_stake_usdc=exposure.cost_on(self._owner, token_id),
            parts=exposure.stakes_on(self._owner, token_id),
        )
