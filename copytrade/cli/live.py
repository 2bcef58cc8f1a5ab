"""`copytrade live`: what stands between here and real orders, and how far they may go."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copytrade import app
from copytrade.cli.following import AsJson
from copytrade.cli.output import complain, print_json, print_line, print_pairs, print_table
from copytrade.cli.redeeming import print_redeemable, redeemable, redeemable_document
from copytrade.cli.since import utc
from copytrade.cli.tables import Shape
from copytrade.domain.ladder import Rung, lacking
from copytrade.domain.live_gates import LIVE_GATES, refusals
from copytrade.engine import ladder
from copytrade.settings import configuration_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from copytrade.domain.ladder import Standing
    from copytrade.domain.live_gates import LiveFacts
    from copytrade.ports.ledger import Ledger
    from copytrade.settings import Settings

verbs = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
EXIT_FOUND: Final = 1


@verbs.command("status")
def status(as_json: AsJson = False) -> None:
    """Show what is configured, its hash, every gate of live mode and the rung; exit 1 while a gate is shut.

    Nothing is sent but questions. The key is opened to ask the venue, once it and the caps are set.
    """
    settings = app.load_settings()
    facts, found, waiting = asyncio.run(_look(settings))
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
                "ladder": found,
                **redeemable_document(waiting),
            }
        )
    else:
        _print(settings, facts, rows)
        _print_ladder(found)
        print_redeemable(waiting)
    if shut or facts.asked is None:
        raise typer.Exit(EXIT_FOUND)


def _print(settings: Settings, facts: LiveFacts, rows: list[dict[str, str]]) -> None:
    for line in configuration_lines(settings, changed_only=True):
        print_line(line)
    print_line(f"(all else as by default; --json has everything)\nconfiguration hash: {facts.configuration_hash}\n")
    shape = Shape(wraps=("why",))
    print_table("gates of live mode", ["gate", "state", "why"], ([*row.values()] for row in rows), shape)


@verbs.command("promote")
def promote() -> None:
    """Move the account up a rung, once it was measured there; the first time, put it on the ladder.

    paper, shadow (nothing is sent, every entry runs on paper), tiny, ramp-25, ramp-50, full. Exit 1 if it stays.
    """
    asyncio.run(_move(app.load_settings(), _promoted))


@verbs.command("demote")
def demote(
    to: Annotated[Rung | None, typer.Option(help="How far down; one rung else.")] = None,
    why: Annotated[str, typer.Option(help="The reason, for those who find it there.")] = "by hand",
) -> None:
    """Move the account down; a running worker obeys within a second. Exit 1 if it stays."""

    def demoted(ledger: Ledger, account_id: str) -> Coroutine[None, None, Standing]:
        now_ms = app.system_clock().now_ms()
        return ladder.demote(ledger, account_id, to=to, by=app.operator(), why=why, now_ms=now_ms)

    asyncio.run(_move(app.load_settings(), demoted))


async def _look(settings: Settings) -> tuple[LiveFacts, dict[str, Any] | None, app.Redeemable]:
    async with app.open_ledger(settings) as ledger:
        facts = await app.look_at_live_gates(settings, ledger)
        standing = None if facts.asked is None else facts.asked.standing
        found = None if standing is None else await _figures(ledger, standing)
    return facts, found, await redeemable(settings)


async def _figures(ledger: Ledger, standing: Standing) -> dict[str, Any]:
    found = await ladder.measured(ledger, standing)
    missing = [] if standing.rung.above is None else lacking(standing, found, now_ms=app.system_clock().now_ms())
    told = {**standing.told(), "since": utc(standing.since_ms), "measured": asdict(found)}
    return {**told, "next": standing.rung.above, "missing": [*missing]}


def _print_ladder(found: dict[str, Any] | None) -> None:
    if found is None:
        print_line("ladder: not on it; copytrade live promote begins with small steps (docs/LIVE.md)")
        return
    measured = found["measured"]
    shown = {
        "rung": f"{found['rung']} since {found['since']}, by {found['by']}: {found['why']}",
        "on paper": f"{measured['shadows']} attempts are over",
        "real": f"{measured['orders']} orders are over",
        "filled": f"{measured['live_filled']} % of the shares, on paper {measured['paper_filled']} %",
        "price": "-"
        if measured["worse_bps"] is None
        else f"{measured['worse_bps']:+d} bps against paper, plus is worse",
        "next": found["next"] or "nothing, this is the last",
        "missing": "; ".join(found["missing"]) or "nothing",
    }
    print_pairs("ladder", shown)


async def _move(settings: Settings, move: Callable[[Ledger, str], Coroutine[None, None, Standing]]) -> None:
    account_id = await app.live_account(settings)
    async with app.open_ledger(settings) as ledger:
        try:
            moved = await move(ledger, account_id)
        except ladder.NotMovedError as error:
            for line in str(error).splitlines():
                complain(line)
            raise typer.Exit(EXIT_FOUND) from None
    print_line(f"{moved.account_id} stands on {moved.rung} now; a running worker obeys within a second")


def _promoted(ledger: Ledger, account_id: str) -> Coroutine[None, None, Standing]:
    now_ms = app.system_clock().now_ms()
    return ladder.promote(ledger, account_id, first=Rung.SHADOW, by=app.operator(), now_ms=now_ms)
