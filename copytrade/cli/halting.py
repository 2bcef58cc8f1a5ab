"""`copytrade halt` and `resume`: the kill-switch."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from copytrade import app
from copytrade.cli.output import complain, print_line
from copytrade.domain.halts import BY_OPERATOR, HaltLevel, new_halt
from copytrade.ports.ledger import LedgerUnavailableError, NoLedgerYetError
from copytrade.settings import Settings


def halt(
    why: Annotated[str, typer.Argument(help="The reason, for those who find it halted.")],
    level: Annotated[
        HaltLevel, typer.Option(help="entries: exits go on, resting buys are cancelled; all: nothing is sent.")
    ] = HaltLevel.ENTRIES,
) -> None:
    """Stop entries, or everything, of every worker on this database until `resume`; also over restarts."""
    if not why.strip():
        raise typer.BadParameter("say why", param_hint="WHY")
    settings = app.load_settings()
    try:
        asyncio.run(_halt(settings, why, level))
    except NoLedgerYetError as error:
        asyncio.run(_halt(settings, why, level, creates=True))
        complain(f"{error}; it was made, and the halt holds for who will run on it. Is this the folder of the worker?")
    except LedgerUnavailableError as error:
        _halt_by_file(settings, why, level, error)


def resume() -> None:
    """End every halt, and take the switch file away."""
    asyncio.run(_resume(app.load_settings()))


async def _halt(settings: Settings, why: str, level: HaltLevel, *, creates: bool = False) -> None:
    given = new_halt(BY_OPERATOR, level=level, why=why, by=app.operator(), now_ms=app.system_clock().now_ms())
    async with app.open_ledger(settings, creates=creates) as ledger:
        if await ledger.halt(given):
            print_line(f"halted {level}: {given.why} (a running worker notices within a second)")
        else:
            print_line(f"halted {level} already, for the same reason")


def _halt_by_file(settings: Settings, why: str, level: HaltLevel, error: LedgerUnavailableError) -> None:
    """Throw the switch that needs no database.

    :raises LedgerUnavailableError: that cannot be done either.
    """
    complain(f"database: {error}")
    try:
        settings.halt_file.write_text(f"all: {why}\n" if level is HaltLevel.ALL else f"{why}\n", encoding="utf-8")
    except OSError as refused:
        raise LedgerUnavailableError(f"and {settings.halt_file} cannot be written: {refused.strerror}") from error
    print_line(f"halted {level} by the file {settings.halt_file}: {why}; `copytrade resume` takes it away")


async def _resume(settings: Settings) -> None:
    had_file = settings.halt_file.is_file()
    settings.halt_file.unlink(missing_ok=True)
    if had_file:
        print_line(f"took away {settings.halt_file}")
    try:
        async with app.open_ledger(settings) as ledger:
            ended = await ledger.resume(None, by=app.operator(), at_ms=app.system_clock().now_ms())
    except NoLedgerYetError:
        if not had_file:
            raise
        ended = ()
    for one in ended:
        print_line(f"resumed {one.level}: {one.why} ({one.cause}, by {one.started_by})")
    if not ended and not had_file:
        print_line("nothing was halted")
    elif ended:
        print_line("what lasts halts again: a gate that stays closed, a loss at its limit (`copytrade status`)")
