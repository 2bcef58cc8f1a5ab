"""`copytrade doctor`: whether everything the worker depends on is there, before it is trusted with money."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import typer

from copytrade import app
from copytrade.cli.output import complain, print_json, print_line
from copytrade.engine.doctor import examine
from copytrade.settings import load, misspelt

if TYPE_CHECKING:
    from copytrade.engine.doctor import Finding

EXIT_FOUND: Final = 1


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Ask every dependency: reachable, the right chain, the clock, the schema; exit 1 if one that is needed fails."""
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
    async with app.open_checks(load()) as checks:
        return await examine(checks)


def _failed(findings: list[Finding]) -> bool:
    return any(not one.is_fine and one.is_needed for one in findings)


def _print(findings: list[Finding]) -> None:
    width = max(len(one.name) for one in findings)
    for one in findings:
        print_line(f"{one.verdict:8} {one.name.ljust(width)}  {one.detail}")
    print_line("something that is needed failed" if _failed(findings) else "everything that is needed is there")
