"""What a verb prints: a table for people, or one JSON document for programs; none with a secret of this process."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from copytrade import app

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NARROWEST_TABLE = 160
"""Columns given to a table that goes to a file or a pipe, where there is no screen to fit."""


def console() -> Console:
    """Return standard output as a console; wide enough for a table when it is no terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else NARROWEST_TABLE)


def print_json(document: Any) -> None:
    """Print one JSON document; what JSON lacks (decimals, times, ids) becomes text."""
    json.dump(_clean_values(document), sys.stdout, indent=2, default=lambda other: _clean(str(other)))
    sys.stdout.write("\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: str = "") -> None:
    """Print a table; `right` names the columns, separated by spaces, that are aligned to the right."""
    table = Table(title=_clean(title), title_justify="left", header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right.split() else "left", overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*(Text("" if cell is None else _clean(str(cell))) for cell in row))
        count += 1
    if count:
        console().print(table)
    else:
        print_line(f"{title}: none")


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
