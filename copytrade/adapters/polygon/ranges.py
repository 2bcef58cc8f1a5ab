"""How many blocks one `eth_getLogs` may span: each provider refuses in its own words, and caps silently."""

from __future__ import annotations

import re
from typing import Final

RANGE_FIRST: Final = 500
RANGE_MAX: Final = 5_000
CALM_CALLS: Final = 32
"""Successful calls after a refusal before a range as wide as the refused one is tried again."""
KNOWN_CAPS: Final = frozenset({1_000, 2_000, 5_000, 10_000, 20_000, 50_000})
"""An answer of exactly so many logs counts as cut off (seen: 10,000 at Infura and QuickNode)."""

_SUGGESTION: Final = re.compile(
    r"(?:try with this block range|this block range should work:?|retry with the range)"
    r"\s*:?\s*\[?\s*(0x[0-9a-f]+|\d+)\s*[,-]\s*(0x[0-9a-f]+|\d+)",
    re.IGNORECASE,
)
_CAP: Final = re.compile(
    r"(?:limited to 0 - |limited to an? |limited to |up to an? |maximum block range:? |exceeds? max block range "
    r"|maximum allowed number of requested blocks is |ranges over )([\d,.]*\d)",
    re.IGNORECASE,
)
_TOO_WIDE: Final = re.compile(
    r"block range|ranges? over|limited to .*(?:block|range)|range is too (?:wide|large)|range too (?:wide|large)"
    r"|query exceeds max results|query returned more than|response size|response too large|response is too big"
    r"|too many (?:logs|results|blocks)|log limit|result limit|exceeds? (?:the )?(?:max|limit)"
    r"|request timed out|query timeout|timed? ?out|deadline exceeded",
    re.IGNORECASE,
)
_NOT_ABOUT_WIDTH: Final = re.compile(
    r"rate limit|too many requests|throttl|requests per second|beyond current head|invalid block range"
    r"|archive|pruned|api key|unauthor|tenant",
    re.IGNORECASE,
)


def narrower(message: str, *, first: int, last: int) -> int | None:
    """Return how many blocks to ask for after this refusal of [first, last]; None if it is not about width.

    Halves, or goes below half where the node names a smaller cap or range. Larger numbers are not believed.
    """
    if _NOT_ABOUT_WIDTH.search(message) or not _TOO_WIDE.search(message):
        return None
    half = max(1, (last - first + 1) // 2)
    hint = _suggested(message, first) or _cap(message) or half
    return min(half, hint)


def _suggested(message: str, first: int) -> int | None:
    found = _SUGGESTION.search(message)
    if found is None:
        return None
    low, high = (int(text, 0) for text in found.groups())
    return high - low + 1 if low == first and high >= low else None


def _cap(message: str) -> int | None:
    found = _CAP.search(message)
    digits = re.sub(r"[,.]", "", found.group(1)) if found else ""
    return int(digits[:9]) or None if digits else None


class AdaptiveRange:
    """The width that works now: shrinks when refused, grows back slowly."""

    def __init__(self) -> None:
        self.blocks = RANGE_FIRST
        self._refused_at = RANGE_MAX + 1
        self._calm = 0

    def shrink(self, blocks: int) -> None:
        """Go down to `blocks` and remember what was refused."""
        self._refused_at = max(2, self.blocks)
        self.blocks = max(1, blocks)
        self._calm = 0

    def grow(self) -> None:
        """Note a success: a quarter wider, below what was refused until it has been calm for a while."""
        self._calm += 1
        if self._calm >= CALM_CALLS:
            self._refused_at = RANGE_MAX + 1
        wider = self.blocks + max(1, self.blocks // 4)
        self.blocks = max(self.blocks, min(wider, self._refused_at - 1, RANGE_MAX))
