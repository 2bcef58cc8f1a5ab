"""A canary: the venue begins to open markets of another protocol version than it used to."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis

NEW_MARKETS_KEPT: Final = 100
NEW_MARKETS_MIN: Final = 20
"""Fewer prove nothing."""
JUMP_PERCENT: Final = 20
DAY_MS: Final = 86_400_000


class VersionMix:
    """The share of Protocol V2 among new markets against what it was; a jump is one note a day."""

    def __init__(self, *, note: Callable[[str, Mapping[str, object]], None]) -> None:
        self._note = note
        self._usual_percent: int | None = None
        self._recent: deque[bool] = deque(maxlen=NEW_MARKETS_KEPT)
        self._noted_at: Millis | None = None

    def settle(self, known: Iterable[Market]) -> None:
        """Take what is known after the first full sync as usual; before it nothing is new."""
        if self._usual_percent is None:
            self._usual_percent = _percent([market.version == "v2" for market in known])

    def see(self, opened: Iterable[Market], *, monotonic_ms: Millis) -> None:
        """Take markets that were not known before."""
        if self._usual_percent is None:
            return
        self._recent.extend(market.version == "v2" for market in opened)
        now_percent = _percent(self._recent)
        is_jump = abs(now_percent - self._usual_percent) >= JUMP_PERCENT and len(self._recent) >= NEW_MARKETS_MIN
        if is_jump and (self._noted_at is None or monotonic_ms - self._noted_at >= DAY_MS):
            detail = {"v2_percent": now_percent, "v2_percent_before": self._usual_percent, "of": len(self._recent)}
            self._note("GAMMA_VERSION_MIX", detail)
            self._usual_percent, self._noted_at = now_percent, monotonic_ms


def _percent(flags: Iterable[bool]) -> int:
    counted = list(flags)
    return 100 * sum(counted) // len(counted) if counted else 0
