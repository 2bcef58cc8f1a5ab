"""`copytrade run` and `copytrade sandbox`: what stays up."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from copytrade import app
from copytrade.cli.output import complain, print_line
from copytrade.cli.running import until_stopped
from copytrade.settings import Settings, misspelt, require_chain

ForSeconds = Annotated[float | None, typer.Option("--for", min=0.1, help="Stop after that many seconds.")]
DEMO_BLOCK_MS = 1_500


def run(
    seconds: ForSeconds = None,
    record: Annotated[Path | None, typer.Option(help="Record the session here for `replay`; .gz compresses.")] = None,
) -> None:
    """Follow the leaders until stopped, one line for each thing that happens."""
    settings = app.load_settings()
    require_chain(settings)
    for name, meant in misspelt():
        complain(f"{name} is set but is none of our variables; did you mean {meant}?")
    asyncio.run(_run(settings, seconds, record))


async def _run(settings: Settings, seconds: float | None, record: Path | None) -> None:
    score = app.tally()
    async with (
        app.sole_worker(settings),
        app.open_observatory(settings, warn=complain) as observatory,
        app.open_ledger(
            settings, creates=True, committed=None if observatory is None else observatory.metrics.committed
        ) as ledger,
        app.open_recording(record, settings, app.system_clock(), warn=complain) as recording,
        app.build_worker(settings, ledger, recording=recording) as built,
    ):
        worker = built if observatory is None else observatory.watch(built)
        if observatory is not None:
            print_line(f"metrics at {observatory.url}/metrics")
        worker.listeners.add(score, app.line_notifier(print_line))
        score.mark = worker.money.marks.price
        await until_stopped(worker.run(), seconds=seconds, at_stop=score.keep_marks)
        for line in score.summary_lines():
            print_line(line)


def sandbox(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port for everything; 0 takes a free one.")] = 8137,
    seed: Annotated[int, typer.Option(help="The same seed gives the same world.")] = 0,
    manual: Annotated[bool, typer.Option("--manual", help="No invented trades; drive it by /control.")] = False,
    recorded: Annotated[Path | None, typer.Option(help="Replay recorded data from this folder.")] = None,
    speed: Annotated[float, typer.Option(min=0.1, max=1_000, help="How much faster to replay.")] = 1.0,
    block_ms: Annotated[
        int, typer.Option(min=0, max=600_000, help="Time between blocks (ms); 0: on request.")
    ] = DEMO_BLOCK_MS,
    seconds: ForSeconds = None,
    tied: Annotated[bool, typer.Option("--tied", hidden=True, help="End when standard input does.")] = False,
) -> None:
    """Run a local Polymarket on loopback and print its URLs and leaders as one JSON line."""
    if recorded is not None and not recorded.is_dir():
        raise typer.BadParameter(f"{recorded} is no folder", param_hint="--recorded")
    if tied:
        threading.Thread(target=_stop_when_input_ends, daemon=True).start()
    from copytrade.sandbox import command

    try:
        command.run(
            host=host,
            port=port,
            seed=seed,
            manual=manual,
            recorded=recorded,
            speed=speed,
            block_ms=block_ms,
            for_seconds=seconds,
        )
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES}:
            raise
        raise typer.BadParameter(f"{host}:{port}: {error.strerror}", param_hint="--port") from None


def _stop_when_input_ends() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
