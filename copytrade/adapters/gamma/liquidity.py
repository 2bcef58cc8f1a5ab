"""How liquid markets were when last listed: for choosing books to keep ready, never for a price."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

RANKED_MAX: Final = 2_000
"""Twice as many as may be asked for, since some of them close between two syncs."""


class Liquidity:
    """The most liquid markets by condition, in memory only; it holds at most twice RANKED_MAX."""

    def __init__(self) -> None:
        self._usdc: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many markets are ranked."""
        return len(self._usdc)

    def see(self, condition_id: str, usdc: int) -> None:
        """Take what a listing says now."""
        if usdc <= 0:
            self._usdc.pop(condition_id, None)
            return
        self._usdc[condition_id] = usdc
        if len(self._usdc) > 2 * RANKED_MAX:
            self._usdc = {kept: self._usdc[kept] for kept in self._ranked()}

    def ranked(self) -> Iterator[str]:
        """Return conditions, the most liquid first; equal ones by id."""
        return iter(self._ranked())

    def _ranked(self) -> list[str]:
        return heapq.nsmallest(RANKED_MAX, self._usdc, key=lambda one: (-self._usdc[one], one))
