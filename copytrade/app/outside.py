"""How a worker reaches the world: the host's clock and network where nothing else is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx

from copytrade.adapters.system import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from copytrade.ports.clock import Clock
    from copytrade.ports.reconciliation import LedgerAudit

VENUE_TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
USER_AGENT: Final = "copytrade/0 (+python-httpx)"
"""The venue's front refuses clients that do not name themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a worker reaches the world by."""

    clock: Clock = field(default_factory=SystemClock)
    transport: httpx.AsyncBaseTransport | None = None
    connect: Callable[[str], Awaitable[Any]] | None = None
    audit: LedgerAudit | None = None
    """What audits the ledger, where that is not a database."""


def system_clock() -> Clock:
    """Return the host's clock."""
    return SystemClock()


def open_http(outside: Outside) -> httpx.AsyncClient:
    """Return the client that is shared by everything that asks the venue."""
    return httpx.AsyncClient(timeout=VENUE_TIMEOUT, headers={"User-Agent": USER_AGENT}, transport=outside.transport)
