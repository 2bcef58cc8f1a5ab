"""What people ask and tell from outside a worker: who they are, and what is limited now."""

from __future__ import annotations

import getpass
import os
import socket
from typing import TYPE_CHECKING

from copytrade.adapters.system import SystemClock
from copytrade.domain.ids import COPY_STRATEGY_ID, PAPER_ACCOUNT_ID
from copytrade.engine import risk_view

if TYPE_CHECKING:
    from copytrade.ports.ledger import Ledger
    from copytrade.settings import Settings


def operator() -> str:
    """Return who runs this process: user@host, with the user's number where he has no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


async def limits_in_force(settings: Settings, ledger: Ledger) -> list[risk_view.Row]:
    """Return every limit with its use now."""
    return await risk_view.limits_in_force(
        ledger,
        settings.start_limits(),
        strategy_id=COPY_STRATEGY_ID,
        account_id=PAPER_ACCOUNT_ID,
        reset_hour=settings.risk_day_reset_hour_utc,
        now_ms=SystemClock().now_ms(),
    )
