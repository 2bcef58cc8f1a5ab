"""A table that fits its screen: whole words, short ids, and the least useful columns left out for want of room."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from copytrade.cli.naming import short

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.console import JustifyMethod

GAP: Final = 2
"""Columns of the screen between two of the table."""
LINE_MIN: Final = 20
"""Text that is wrapped to less is a ladder of words."""
WORD_MAX: Final = 28
"""A longer word is broken where there is no room; the longest of our codes is shorter."""
_INSTANT: Final = re.compile(r"\d{4}-(\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z")
_LONG_ID: Final = re.compile(r"\b(?:0x[0-9a-fA-F]{40,}|\d{30,})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the columns of a table give way, by their names.

    Those that wrap or stack break between words, the ones while a few words are left on a line, the others to the last.
    Those that drop are left out from the first on until the others fit. What is `whole` keeps its ids and times as
    they are.
    """

    right: Collection[str] = ()
    wraps: Collection[str] = ()
    stacks: Collection[str] = ()
    drops: Sequence[str] = ()
    whole: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    cells: tuple[str, ...]
    least: int
    natural: int


def laid_out(
    columns: Sequence[str], rows: Sequence[Sequence[object]], shape: Shape, *, width: int | None
) -> tuple[Table, list[str]]:
    """Return a table that is at most `width` wide if it can be, and the columns that were left out for it."""
    made = [_column(name, [row[place] for row in rows], shape) for place, name in enumerate(columns)]
    kept, dropped = _fitting(made, shape, width)
    widths = _widths(kept, width)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in kept:
        side: JustifyMethod = "right" if column.name in shape.right else "left"
        table.add_column(column.name, justify=side, overflow="fold", width=widths[column.name])
    for place in range(len(rows)):
        table.add_row(*(Text(column.cells[place]) for column in kept))
    return table, dropped


def shortened(text: str) -> str:
    """Return text with its instants as month, day and time, and long ids by their ends."""
    return _LONG_ID.sub(lambda found: short(found[0]), _INSTANT.sub(r"\1 \2", text))


def _column(name: str, values: Sequence[object], shape: Shape) -> _Column:
    texts = ("" if value is None else str(value) for value in values)
    cells = tuple(text if name in shape.whole else shortened(text) for text in texts)
    lines = [line for cell in cells for line in cell.splitlines()]
    widest = max(map(cell_len, lines), default=0)
    least = widest
    if name in shape.wraps or name in shape.stacks:
        widest_word = max((cell_len(word) for line in lines for word in line.split()), default=0)
        least = min(max(widest_word, 0 if name in shape.stacks else LINE_MIN), widest, WORD_MAX)
    heading = max(map(len, name.split()), default=0)
    return _Column(name, cells, max(least, heading), max(widest, len(name)))


def _fitting(columns: list[_Column], shape: Shape, width: int | None) -> tuple[list[_Column], list[str]]:
    kept, dropped = columns, []
    for name in shape.drops:
        if width is None or _width(kept) <= width:
            break
        if name in {column.name for column in kept}:
            kept = [column for column in kept if column.name != name]
            dropped.append(name)
    return kept, dropped


def _width(columns: Sequence[_Column]) -> int:
    return sum(column.least for column in columns) + GAP * (len(columns) - 1)


def _widths(columns: Sequence[_Column], width: int | None) -> dict[str, int]:
    """Return each column's width: its least, and a like part of what is to spare as far as it has use for it."""
    widths = {column.name: column.least for column in columns}
    if width is None:
        return {column.name: column.natural for column in columns}
    spare = width - _width(columns)
    wanting = [column for column in columns if column.natural > column.least]
    while spare > 0 and wanting:
        for column in wanting[:spare]:
            widths[column.name] += 1
            spare -= 1
        wanting = [column for column in wanting if column.natural > widths[column.name]]
    return widths
