"""`copytrade demo`: a local Polymarket and the worker on one screen, nothing to configure."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.live import Live

from copytrade import app
from copytrade.cli.output import console, print_line
from copytrade.cli.running import until_stopped
from copytrade.cli.service import ForSeconds
from copytrade.settings import ConfigurationError, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from copytrade.adapters.notify.tally import Tally
    from copytrade.engine.worker import Worker

SANDBOX_START_S: Final = 30
REDRAW_S: Final = 0.25


def demo(
    seconds: ForSeconds = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same world.")] = 7,
    recorded: Annotated[Path | None, typer.Option(help="Replay recorded data from this folder instead.")] = None,
    speed: Annotated[float, typer.Option(min=0.1, max=1_000, help="How much faster to replay.")] = 1.0,
    database: Annotated[str, typer.Option(help="Keep the ledger here (sqlite:///PATH); else it is thrown away.")] = "",
) -> None:
    """Show the whole worker at work against a local Polymarket."""
    if recorded is not None and not recorded.is_dir():
        raise typer.BadParameter(f"{recorded} is no folder", param_hint="--recorded")
    app.configure_logging(level=logging.ERROR)
    extra = ["--recorded", str(recorded), "--speed", str(speed)] if recorded else []
    with tempfile.TemporaryDirectory(prefix="copytrade-demo-") as folder:
        url = database or f"sqlite:///{Path(folder) / 'demo.db'}"
        asyncio.run(_demo(url, ["--seed", str(seed), *extra], seconds))


async def _demo(database_url: str, sandbox_options: list[str], seconds: float | None) -> None:
    async with _sandbox(sandbox_options) as world:
        settings = demo_settings(world["urls"], database_url)
        async with (
            app.sole_worker(settings),
            app.open_ledger(settings, creates=True) as ledger,
            app.build_worker(settings, ledger) as worker,
        ):
            now_ms = app.system_clock().now_ms()
            for one in world["leaders"]:
                leader = app.new_leader(one["address"].lower(), label=one["label"], since_ms=now_ms, now_ms=now_ms)
                await ledger.add_leader(leader)
            score = app.tally()
            score.mark = worker.money.marks.price
            worker.listeners.add(score)
            await _watch(worker, score, seconds)
            print_line(f"\n{len(world['leaders'])} leaders followed on paper")
            for line in score.summary_lines():
                print_line(line)


def demo_settings(urls: dict[str, str], database_url: str) -> Settings:
    """Return the settings of a worker that follows a sandbox: both sources, books by socket and snapshots."""
    known: dict[str, object] = {
        name.lower(): url for name, url in urls.items() if name.lower() in Settings.model_fields
    }
    for chain in ("polygon_ws_url", "polygon_http_url"):
        known[chain] = (known[chain],)
    modes = {"trigger_mode": "both", "bookstore_mode": "ws+snapshot", "execution_mode": "paper"}
    own = {"database_url": database_url, "leaders": (), "http_bind": None}
    return Settings.model_validate(known | modes | own)


async def _watch(worker: Worker, score: Tally, seconds: float | None) -> None:
    """Run the worker; on a terminal as a live table, else one line for each thing that happens."""
    screen = console()
    if not screen.is_terminal:
        worker.listeners.add(app.line_notifier(print_line))
        await until_stopped(worker.run(), seconds=seconds, at_stop=score.keep_marks)
        return
    table = app.table_notifier(score, title="copytrade demo: paper copies on a local Polymarket (Ctrl-C stops)")
    worker.listeners.add(table)
    with Live(console=screen, auto_refresh=False, screen=False, transient=False) as live:

        async def redraw() -> None:
            while True:
                live.update(table.draw(screen.height, width=screen.width), refresh=True)
                await asyncio.sleep(REDRAW_S)

        async def both() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(redraw(), name="redraw")
                tasks.create_task(worker.run(), name="worker")

        await until_stopped(both(), seconds=seconds, at_stop=score.keep_marks)
        live.update(table.draw(screen.height, width=screen.width), refresh=True)


@asynccontextmanager
async def _sandbox(options: list[str]) -> AsyncIterator[dict[str, Any]]:
    """Start the sandbox as a process of its own; it ends with us, whatever happens to us.

    Yields its announcement: {"urls": {NAME: URL}, "leaders": [{"address", "label"}]}.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "copytrade", "sandbox", "--port", "0", "--tied"),
        *options,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    if process.stdin is None or process.stdout is None:
        raise ConfigurationError("the sandbox could not be started")
    try:
        async with asyncio.timeout(SANDBOX_START_S):
            line = await process.stdout.readline()
        if not line:
            raise ConfigurationError("the sandbox ended at once; try `copytrade sandbox` to see why")
        yield json.loads(line)
    finally:
        process.stdin.close()
        await process.wait()
