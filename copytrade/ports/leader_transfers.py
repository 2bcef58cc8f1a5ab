"""Shares that leaders gave and got without a trade, as the chain has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from copytrade.domain.leader_events import LeaderEvent
    from copytrade.ports.leader_fills import Cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesMoved:
    """Deposits and withdrawals of leaders in final blocks, with the cursor that moves once they are stored."""

    events: tuple[LeaderEvent, ...]
    cursor: Cursor


class LeaderTransfers(Protocol):
    """A feed of transfers: at least once, in the order of blocks."""

    def moves(self) -> AsyncIterator[SharesMoved]:
        """Yield what is read until cancelled, from the committed cursor on.

        The consumer stores each before it takes the next one.
        """
