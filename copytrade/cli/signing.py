"""`copytrade signer`: the process that holds the key."""

from __future__ import annotations

import asyncio

from copytrade import app
from copytrade.cli.output import print_line
from copytrade.cli.running import until_stopped
from copytrade.settings import Settings


def signer() -> None:
    """Hold the key, and sign for a worker what the policy of this process allows, until stopped.

    The key, LIVE_SIGNER_SOCKET, LIVE_WALLET, the two LIVE_MAX caps, LIVE_SIGNER_SIDES and PRICE_MIN and
    MAX, and the exchanges are read from this process's own settings: run it as another user than the worker.
    """
    asyncio.run(_serve(app.load_settings()))


async def _serve(settings: Settings) -> None:
    async with app.open_signer_process(settings) as what:
        print_line(what)
        await until_stopped(app.serve_until_cancelled(), seconds=None)
