"""What a verb prints: a table for people, or one JSON document for programs; none with a secret of this process."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from copytrade import app
from copytrade.cli.tables import Shape, laid_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WIDEST: Final = 10_000
"""Columns of a table that goes to a file or a pipe, where there is no screen to fit: as many as it likes."""


def console() -> Console:
    """Return standard output as a console; wide enough for any table when it is no terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDEST)


def print_json(document: Any) -> None:
    """Print one JSON document; what JSON lacks (decimals, times, ids) becomes text."""
    json.dump(_clean_values(document), sys.stdout, indent=2, default=lambda other: _clean(str(other)))
    sys.stdout.write("\n")


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], shape: Shape | None = None
) -> None:
    """Print a table as the screen has room for it; all of it where there is no screen."""
    given = [[_clean_values(cell) for cell in row] for row in rows]
    if not given:
        print_line(f"{title}: none")
        return
    screen = console()
    table, dropped = laid_out(columns, given, shape or Shape(), width=screen.width if screen.is_terminal else None)
    print_line(title)
    screen.print(table, crop=False)
    if dropped:
        left_out = f"(no room for {', '.join(dropped)}; a wider screen, a pipe and --json have all)"
        print_line(textwrap.fill(left_out, screen.width))
    print_line("")


def print_pairs(title: str, pairs: Mapping[str, object]) -> None:
    """Print a title and one `name  value` line for each pair."""
    width = max((len(name) for name in pairs), default=0)
    print_line(title)
    for name, value in pairs.items():
        print_line(f"  {name.ljust(width)}  {value}")


def print_line(text: str) -> None:
    """Print one line at once."""
    sys.stdout.write(f"{_clean(text)}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print one line to standard error; what only looks like a secret is left out too."""
    sys.stderr.write(f"copytrade: {app.process_redaction().text(text)}\n")
    sys.stderr.flush()


def _clean_values(document: Any) -> Any:
    """Return a document without secrets in its texts; its names are ours, whatever a password may be."""
    if isinstance(document, dict):
        return {name: _clean_values(value) for name, value in document.items()}
    if isinstance(document, list | tuple):
        return [_clean_values(value) for value in document]
    return _clean(document) if isinstance(document, str) else document


def _clean(text: str) -> str:
    return app.process_redaction().known(text)
