"""`copytrade audit`: whether everything that must hold does, over the whole database."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import typer

from copytrade import app
from copytrade.cli.following import AsJson
from copytrade.cli.output import print_json, print_line, print_table
from copytrade.cli.tables import Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copytrade.domain.invariants import Verdict

EXIT_FOUND: Final = 1
SHOWN_MAX: Final = 20
"""Breaches of one invariant that are printed; `--json` has up to a thousand of each."""


def audit(as_json: AsJson = False) -> None:
    """Check every invariant over the whole database; exit 1 when one is broken. Nothing is changed."""
    verdicts = app.audit_ledger(app.load_settings(), now_ms=app.system_clock().now_ms(), tell=_progress)
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    is_ok = all(verdict.is_ok for verdict in verdicts)
    if as_json:
        print_json({"ok": is_ok, "invariants": [_as_json(verdict) for verdict in verdicts]})
    else:
        _print(verdicts)
    if not is_ok:
        raise typer.Exit(EXIT_FOUND)


def _progress(what: str, rows: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\rread {rows} {what}".ljust(60))
        sys.stderr.flush()


def _print(verdicts: Sequence[Verdict]) -> None:
    cells = (
        [
            int(verdict.invariant),
            verdict.invariant.sentence,
            verdict.rows,
            "OK" if verdict.is_ok else f"{len(verdict.breaches) + verdict.more} BROKEN",
        ]
        for verdict in verdicts
    )
    shape = Shape(right=("no", "rows"), wraps=("what must hold",))
    print_table("invariants", ["no", "what must hold", "rows", ""], cells, shape)
    for verdict in verdicts:
        for breach in verdict.breaches[:SHOWN_MAX]:
            print_line(f"{int(verdict.invariant)}  {breach}")
        if (more := len(verdict.breaches) + verdict.more - SHOWN_MAX) > 0:
            print_line(f"{int(verdict.invariant)}  and {more} more (--json has up to a thousand)")
    print_line("OK: nothing is broken" if all(one.is_ok for one in verdicts) else "BROKEN: see above")


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "number": int(verdict.invariant),
        "name": verdict.invariant.name.lower(),
        "sentence": verdict.invariant.sentence,
        "ok": verdict.is_ok,
        "rows": verdict.rows,
        "breaches": [
            {"what": breach.what, "subject": breach.subject, **{name: str(value) for name, value in breach.detail}}
            for breach in verdict.breaches
        ],
        "more": verdict.more,
    }
