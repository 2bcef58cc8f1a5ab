"""`copytrade doctor`: whether everything the worker depends on is there, before it is trusted with money."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import typer

from copytrade import app
from copytrade.cli.output import complain, print_json, print_line
from copytrade.domain.attempts import Decision
from copytrade.engine import live_drills
from copytrade.engine.doctor import examine
from copytrade.settings import misspelt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.engine.doctor import Finding
    from copytrade.engine.drills import Drilled

EXIT_FOUND: Final = 1
HASH_LENGTH_MIN: Final = 40


def doctor(
    *,
    drill: Annotated[
        bool, typer.Option("--drill", help="Trip each guard, limit, gate and switch on made-up fills instead.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Ask every dependency: reachable, the right chain, the clock, the schema; exit 1 if one that is needed fails.

    With --drill, nobody is asked and nothing of yours is touched: what may refuse an entry is tripped, one after
    the other, on the real decision path; exit 1 if one does not fire.
    """
    if drill:
        _drill(as_json=as_json)
        return
    for name, meant in misspelt():
        complain(f"{name} is set but is none of our variables; did you mean {meant}?")
    findings = asyncio.run(_examine())
    if as_json:
        checks = [{"name": one.name, "verdict": one.verdict, "detail": one.detail} for one in findings]
        print_json({"ok": not _failed(findings), "checks": checks})
    else:
        _print(findings)
    if _failed(findings):
        raise typer.Exit(EXIT_FOUND)


async def _examine() -> list[Finding]:
    async with app.open_checks(app.load_settings()) as checks:
        return await examine(checks)


def _drill(*, as_json: bool) -> None:
    drilled, live = app.drill_all(), live_drills.drill_all()
    is_ok = all(one.has_fired for one in drilled) and all(one.fired for one in live)
    if as_json:
        gates = [{"gate": one.gate, "verdict": _word(has_fired=one.fired), "line": one.line} for one in live]
        print_json({"ok": is_ok, "drills": [_as_json(one) for one in drilled], "live_gates": gates})
    else:
        _print_drills(drilled)
        _print_live(live)
    if not is_ok:
        raise typer.Exit(EXIT_FOUND)


def _as_json(drilled: Drilled) -> dict[str, object]:
    return {
        "guard": drilled.drill.guard,
        "verdict": _word(has_fired=drilled.has_fired),
        "entry": {"decision": drilled.entry.decision, "reasons": [one.as_json() for one in drilled.entry.reasons]},
        "exit": {"decision": drilled.exit.decision, "reasons": [one.as_json() for one in drilled.exit.reasons]},
    }


def _word(*, has_fired: bool) -> str:
    return "FIRED" if has_fired else "NOT FIRED"


def _print_drills(drilled: list[Drilled]) -> None:
    """Print the check of the checks in words, then a line for each guard: what became of an entry and of an exit."""
    nothing, *rest = drilled
    made = "an entry and an exit are made" if nothing.has_fired else "NOT made: no line below proves anything"
    print_line(f"with nothing tripped: {made}")
    width = max(len(one.drill.guard) for one in rest)
    for one in rest:
        verdict, guard = _word(has_fired=one.has_fired), one.drill.guard.ljust(width)
        print_line(f"{verdict:9}  {guard}  {_said(one.entry)}; exit {_made(one.exit)}")
    fired = sum(one.has_fired for one in rest)
    print_line(f"{fired} of {len(rest)} fired")


def _print_live(drilled: Sequence[live_drills.Drilled]) -> None:
    """Print what refuses the start of live mode when one condition is taken away."""
    for one in drilled:
        print_line(f"{_word(has_fired=one.fired):9}  {one.line}")
    print_line(f"{sum(one.fired for one in drilled)} of {len(drilled)} live gates fired")


def _said(attempt: ExecutionAttempt) -> str:
    """Return what became of an entry, with the numbers of whatever refused it."""
    if attempt.decision is Decision.TRADE:
        return "entry made"
    numbers = [f"{name} {_short(value)}" for one in attempt.reasons for name, value in one.numbers]
    return f"entry refused: {', '.join(numbers)}" if numbers else "entry refused"


def _short(value: str) -> str:
    """Return a hash or an id as it is recognised, everything else as it is."""
    return value if " " in value or len(value) < HASH_LENGTH_MIN else f"{value[:6]}..{value[-4:]}"


def _made(attempt: ExecutionAttempt) -> str:
    return "made" if attempt.decision is Decision.TRADE else "refused"


def _failed(findings: list[Finding]) -> bool:
    return any(not one.is_fine and one.is_needed for one in findings)


def _print(findings: list[Finding]) -> None:
    width = max(len(one.name) for one in findings)
    for one in findings:
        print_line(f"{one.verdict:8} {one.name.ljust(width)}  {one.detail}")
    print_line("something that is needed failed" if _failed(findings) else "everything that is needed is there")
