"""The command line: verbs, exit codes, and one line for anything that went wrong.

Exit 0 is fine, 1 means the check found something or the worker had to stop, 2 is wrong use or configuration.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib.metadata import version
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
from copytrade.cli.output import complain, print_line
from copytrade.ports.leader_fills import SourceUnusableError
from copytrade.ports.ledger import LedgerUnavailableError, NoLedgerYetError, SchemaOutdatedError, UnknownLeaderError
from copytrade.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

EXIT_FOUND = 1
EXIT_USAGE = 2
_CONFIGURATION_ERRORS = (ConfigurationError, NoLedgerYetError, SchemaOutdatedError, UnknownLeaderError)
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
    verbs.command("run", short_help="Follow the leaders until stopped (Ctrl-C).")(service.run)
    verbs.command("demo", short_help="The whole worker against a local Polymarket, on one screen.")(demonstration.demo)
    verbs.command("sandbox", short_help="That local Polymarket alone.")(service.sandbox)
    verbs.add_typer(
        following.verbs, name="leaders", help="Whom to follow, and how: add, set, list, rank, remove, verify."
    )
    verbs.command("signer", short_help="Hold the key of live mode in a process of its own.")(signing.signer)
    verbs.command("status", short_help="Counts, halts, gates, sources, cursors, last events.")(reading.status)
    verbs.command("attempts", short_help="What was decided, and what became of it.")(reading.attempts)
    verbs.command("pnl", short_help="Cash, positions, PnL by leader, market, category and day.")(accounting.pnl)
    verbs.command("audit", short_help="Check every invariant over the whole database.")(auditing.audit)
    verbs.command("reconcile", short_help="Compare the chain, the Data API and our tables.")(reconciling.reconcile)
    verbs.command("doctor", short_help="Ask everything it depends on; --drill trips every guard.")(doctor.doctor)
    verbs.command("stats", short_help="Latencies, fill rates, slippage, where money is lost.")(statistics.stats)
    verbs.command("explain", short_help="One fill's whole story, by an id of attempts.")(explaining.explain)
    verbs.command("replay", short_help="Play a recorded session again, also with other settings.")(replaying.replay)
    verbs.command("halt", short_help="Stop entries, or everything, until resumed.")(halting.halt)
    verbs.command("resume", short_help="End every halt.")(halting.resume)
    verbs.add_typer(live.verbs, name="live", help="Real orders: status, promote, demote.")
    verbs.add_typer(limits.verbs, name="limits", help="What is limited: list, set.")
    verbs.add_typer(database.verbs, name="db", help="The database's schema: upgrade, current.")
    return verbs


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print_line(f"copytrade {version('copytrade')}")
        raise typer.Exit


def _options(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Log more, with tracebacks of what failed.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Copy the trades of chosen Polymarket accounts: on paper, or with real orders once every gate is open."""
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
