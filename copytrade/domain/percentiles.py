"""How values are spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def percentile(values: Iterable[int], percent: int) -> int:
    """Return the smallest value that `percent` of them do not exceed (nearest rank).

    :raises IndexError: there are none.
    """
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
