"""`copytrade live`: what stands between here and real orders."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import typer

from copytrade import app
from copytrade.cli.following import AsJson
from copytrade.cli.output import print_json, print_line, print_table
from copytrade.cli.redeeming import print_redeemable, redeemable, redeemable_document
from copytrade.domain.live_gates import LIVE_GATES, refusals
from copytrade.settings import configuration_lines

if TYPE_CHECKING:
    from copytrade.domain.live_gates import LiveFacts
    from copytrade.settings import Settings

verbs = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
EXIT_FOUND: Final = 1


@verbs.callback()
def _group() -> None:
    """Keep `status` a verb of its own while it is the only one."""


@verbs.command("status")
def status(as_json: AsJson = False) -> None:
    """Show what is configured, its hash, and every gate of live mode; exit 1 while one is shut.

    Nothing is sent but questions. The key is opened to ask the venue, once it and the caps are set.
    """
    settings = app.load_settings()
    facts, waiting = asyncio.run(_look(settings))
    shut = {refused.gate.value: refused.why for refused in refusals(facts)}
    rows = [
        {
            "gate": gate.name.value,
            "state": "shut" if gate.name in shut else "not asked" if gate.asks and facts.asked is None else "open",
            "why": shut.get(gate.name, ""),
        }
        for gate in LIVE_GATES
    ]
    if as_json:
        print_json(
            {
                "ready": not shut and facts.asked is not None,
                "configuration_hash": facts.configuration_hash,
                "configuration": configuration_lines(settings),
                "gates": rows,
                **redeemable_document(waiting),
            }
        )
    else:
        _print(settings, facts, rows)
        print_redeemable(waiting)
    if shut or facts.asked is None:
        raise typer.Exit(EXIT_FOUND)


def _print(settings: Settings, facts: LiveFacts, rows: list[dict[str, str]]) -> None:
    for line in configuration_lines(settings, changed_only=True):
        print_line(line)
    print_line(f"(all else as by default; --json has everything)\nconfiguration hash: {facts.configuration_hash}\n")
    print_table("gates of live mode", ["gate", "state", "why"], ([*row.values()] for row in rows))


async def _look(settings: Settings) -> tuple[LiveFacts, app.Redeemable]:
    async with app.open_ledger(settings) as ledger:
        facts = await app.look_at_live_gates(settings, ledger)
    return facts, await redeemable(settings)
