"""`copytrade db`: the schema of the database."""

from __future__ import annotations

from typing import Annotated

import typer

from copytrade import app
from copytrade.cli.output import print_json, print_line

verbs = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@verbs.command("upgrade")
def upgrade() -> None:
    """Bring the database's schema to what this program needs."""
    before, after = app.upgrade_schema(app.load_settings())
    changed = "nothing to do" if before == after else f"upgraded from {before or 'nothing'}"
    print_line(f"schema {after}: {changed}")


@verbs.command("current")
def current(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Show the schema the database has and the one this program needs; exit 1 if they differ."""
    has, needs = app.schema_state(app.load_settings())
    if as_json:
        print_json({"current": has, "needed": needs, "ok": has == needs})
    else:
        print_line(f"schema {has or 'none'}, needed {needs}{'' if has == needs else ': run copytrade db upgrade'}")
    if has != needs:
        raise typer.Exit(1)
