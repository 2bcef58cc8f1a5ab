"""What people ask and tell from outside a worker: who they are, and what is limited now."""

from __future__ import annotations

import getpass
import os
import socket
from typing import TYPE_CHECKING

from copytrade.adapters.system import SystemClock
from copytrade.domain.attempts import ExecutionMode
from copytrade.domain.ids import COPY_STRATEGY_ID, LIVE_ACCOUNT_PREFIX, PAPER_ACCOUNT_ID
from copytrade.engine import risk_view
from copytrade.settings import ConfigurationError

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
    """Return every limit with its use now, on the account that a worker with these settings trades on.

    :raises ConfigurationError: which of several real accounts that is, only LIVE_WALLET can say.
    """
    return await risk_view.limits_in_force(
        ledger,
        settings.start_limits(),
        strategy_id=COPY_STRATEGY_ID,
        account_id=await _account_id(settings, ledger),
        reset_hour=settings.risk_day_reset_hour_utc,
        now_ms=SystemClock().now_ms(),
    )


async def _account_id(settings: Settings, ledger: Ledger) -> str:
    """Return the account in use; where the wallet is the key's own, it is known by what the ledger has of it."""
    if settings.execution_mode is not ExecutionMode.LIVE:
        return PAPER_ACCOUNT_ID
    if settings.live_wallet is not None:
        return f"{LIVE_ACCOUNT_PREFIX}{settings.live_wallet}"
    known = {one.account_id for one in await ledger.balances() if one.account_id.startswith(LIVE_ACCOUNT_PREFIX)}
    if len(known) > 1:
        raise ConfigurationError(
            f"LIVE_WALLET is not set; the database has several accounts: {', '.join(sorted(known))}"
        )
    return known.pop() if known else LIVE_ACCOUNT_PREFIX
