"""The loops that keep the money: what is over is settled, what is left is valued."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from copytrade.engine.equity import Equity
    from copytrade.engine.marks import Marks
    from copytrade.engine.settle import Settle


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """The account's marks, valuation and settlement, by their names."""

    marks: Marks
    equity: Equity
    settle: Settle

    async def run(self) -> None:
        """Fund the account, then settle and value until cancelled."""
        await self.equity.open()
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self.settle.run(), name="settle")
            loops.create_task(self.equity.run(), name="equity")
