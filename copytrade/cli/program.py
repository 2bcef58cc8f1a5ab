"""The command line: verbs, exit codes, and one line for anything that went wrong.

Exit 0 is fine, 1 means the check found something or the worker had to stop, 2 is wrong use or configuration.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from copytrade import app
from copytrade.cli import (
    accounting,
    auditing,
    database,
    demonstration,
    doctor,
    explaining,
    following,
    halting,
    limits,
    live,
    reading,
    reconciling,
    replaying,
    service,
    signing,
    statistics,
)
from copytrade.cli.output import complain
from copytrade.ports.leader_fills import SourceUnusableError
from copytrade.ports.ledger import LedgerUnavailableError, SchemaOutdatedError, UnknownLeaderError
from copytrade.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

EXIT_FOUND = 1
EXIT_USAGE = 2
_CONFIGURATION_ERRORS = (ConfigurationError, SchemaOutdatedError, UnknownLeaderError)
_VARIABLE_OF = {"polygon": "POLYGON_HTTP_URL", "data_api": "DATA_API_HTTP_URL", "rtds": "RTDS_WS_URL"}


def build() -> typer.Typer:
    """Assemble the verbs."""
    verbs = typer.Typer(
        name="copytrade",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    verbs.callback()(_options)
    verbs.command("run")(service.run)
    verbs.command("demo")(demonstration.demo)
    verbs.command("sandbox")(service.sandbox)
    verbs.add_typer(
        following.verbs, name="leaders", help="Whom to follow, and how: add, set, list, rank, remove, verify."
    )
    verbs.command("signer")(signing.signer)
    verbs.command("status")(reading.status)
    verbs.command("attempts")(reading.attempts)
    verbs.command("pnl")(accounting.pnl)
    verbs.command("audit")(auditing.audit)
    verbs.command("reconcile")(reconciling.reconcile)
    verbs.command("doctor")(doctor.doctor)
    verbs.command("stats")(statistics.stats)
    verbs.command("explain")(explaining.explain)
    verbs.command("replay")(replaying.replay)
    verbs.command("halt")(halting.halt)
    verbs.command("resume")(halting.resume)
    verbs.add_typer(live.verbs, name="live", help="What stands between here and real orders: status.")
    verbs.add_typer(limits.verbs, name="limits", help="What is limited: list, set.")
    verbs.add_typer(database.verbs, name="db", help="The database's schema: upgrade, current.")
    return verbs


def _options(
    *, debug: Annotated[bool, typer.Option("--debug", help="Log more, with tracebacks of what failed.")] = False
) -> None:
    """Copy the trades of chosen Polymarket accounts, on paper."""
    app.configure_logging(level=logging.DEBUG if debug else logging.INFO)


def main() -> None:
    """Run one verb and end the process with its exit code; wrong use exits 2 by itself."""
    app.configure_logging()
    app.redact_tracebacks()
    try:
        build()()
    except BaseExceptionGroup as group:
        sys.exit(_explain(next(_leaves(group))))
    except Exception as error:
        sys.exit(_explain(error))


def _explain(error: BaseException) -> int:
    """Say in one line what went wrong; handled errors by their text, others with their type too."""
    if isinstance(error, BrokenPipeError):
        # Whoever read us has gone, as in `copytrade run | head`; what is still to be flushed goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FOUND
    if isinstance(error, SourceUnusableError):
        source, _, what = str(error).partition(": ")
        complain(f"{_VARIABLE_OF.get(source, source)}: {what}")
        return EXIT_USAGE
    if isinstance(error, _CONFIGURATION_ERRORS):
        complain(str(error))
        return EXIT_USAGE
    if isinstance(error, LedgerUnavailableError):
        complain(f"database: {error}")
        return EXIT_USAGE
    complain(f"stopped: {type(error).__name__}: {' '.join(str(error).split())}")
    app.log_traceback(error)
    return EXIT_FOUND


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
