"""The body of `copytrade sandbox`: serve until told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path

import structlog

from copytrade.sandbox.server import SandboxConfig, announcement, serve


def run(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 0,
    manual: bool = False,
    recorded: Path | None = None,
    speed: float = 1.0,
    block_ms: int = 1_500,
    for_seconds: float | None = None,
) -> None:
    """Print one JSON line with URLs and leaders once it listens, then serve.

    Returns after SIGINT, SIGTERM or `for_seconds`. `block_ms` 0 mines on request only.
    """
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
    config = SandboxConfig(
        host=host,
        port=port,
        seed=seed,
        manual=manual,
        recorded=recorded,
        speed=speed,
        block_ms=block_ms,
    )
    asyncio.run(_serve_until_stopped(config, for_seconds=for_seconds))


async def _serve_until_stopped(config: SandboxConfig, *, for_seconds: float | None) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with serve(config) as sandbox:
        sys.stdout.write(announcement(sandbox) + "\n")
        sys.stdout.flush()
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait({stopping, sandbox.driver}, timeout=for_seconds, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if sandbox.driver.done():
            sandbox.driver.result()
