"""How long to wait before the venue or the store is asked again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from copytrade.ports.clock import Clock

RETRY_MIN_MS: Final = 500
RETRY_MAX_MS: Final = 60_000
PAGE_PAUSE_MS: Final = 50
"""The venue allows 300 market lists in 10 s."""

log = structlog.get_logger()


async def pause(clock: Clock, *, tries: int, what: str, error: Exception) -> None:
    """Wait longer after each failure, at random so that workers do not come back together."""
    ceiling_ms = min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** min(tries, 16))
    delay_ms = random.randint(RETRY_MIN_MS, ceiling_ms)
    log.warning("registry.unavailable", what=what, tries=tries, delay_ms=delay_ms, error=str(error)[:300])
    await clock.sleep_ms(delay_ms)
