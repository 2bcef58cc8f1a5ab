"""A table fits its screen, and its words stay whole."""

from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from copytrade.cli.tables import WORD_MAX, Shape, laid_out, shortened

ADDRESS = "0x1e96577c34a27a31c4899bab7aab273c8b37a784"
TOKEN = "31354255361980113233644996919535512688771785027338405444442219306433213106385"
COLUMNS = ("when", "title", "size", "why", "note")
SHAPE = Shape(right=("size",), wraps=("title",), stacks=("why",), drops=("note", "when"))


def drawn(rows: list[tuple[str, ...]], shape: Shape, *, width: int | None) -> tuple[list[str], list[str]]:
    """Return the lines of a table as a screen shows them, and the columns left out."""
    table, dropped = laid_out(COLUMNS, rows, shape, width=width)
    screen = Console(file=StringIO(), width=width or 10_000, force_terminal=False)
    screen.print(table, crop=False)
    assert isinstance(screen.file, StringIO)
    return screen.file.getvalue().splitlines(), dropped


words = st.text("abcXYZ_09", min_size=1, max_size=WORD_MAX)
texts = st.lists(words, max_size=6).map(" ".join)
table_rows = st.lists(
    st.tuples(st.just("11-25 15:12:07"), texts, st.from_regex(r"\A[0-9]{1,6}\Z"), texts, texts), min_size=1, max_size=4
)


@given(rows=table_rows, width=st.sampled_from([80, 100, 132]))
def test_no_line_is_wider_than_the_screen_and_no_word_is_broken(rows: list[tuple[str, ...]], width: int) -> None:
    lines, dropped = drawn(rows, SHAPE, width=width)

    assert max(map(len, lines)) <= width
    shown = {word for line in lines for word in line.split()}
    kept = [place for place, name in enumerate(COLUMNS) if name not in dropped]
    assert {word for row in rows for place in kept for word in row[place].split()} <= shown


@pytest.mark.parametrize(("width", "left_out"), [(None, []), (140, []), (66, ["note"]), (50, ["note", "when"])])
def test_columns_are_left_out_in_their_order_as_far_as_there_is_no_room(width: int | None, left_out: list[str]) -> None:
    note = "a_word_of_its_own_as_long_as_that"
    _, dropped = drawn([("11-25 15:12:07", "Will it rain in Lisbon today?", "12.5", "BECAUSE_OF_IT", note)], SHAPE,
                       width=width)  # fmt: skip

    assert dropped == left_out


def test_without_a_screen_nothing_is_wrapped() -> None:
    title = "word " * 100
    lines, dropped = drawn([("now", title.strip(), "1", "why", "note")], SHAPE, width=None)

    assert dropped == []
    assert title.strip() in lines[-1]


def test_ids_and_times_are_shortened_unless_they_are_wanted_whole() -> None:
    assert (
        shortened(f"{ADDRESS} at 2026-11-25T15:12:07.123Z of {TOKEN}")
        == "0x1e96..a784 at 11-25 15:12:07 of 313542..6385"
    )
    rows = [("2026-11-25T15:12:07Z", ADDRESS, "1", TOKEN, "")]
    lines, _ = drawn(rows, Shape(whole=("title",)), width=None)
    assert lines[-1].split() == ["11-25", "15:12:07", ADDRESS, "1", "313542..6385"]


def test_lines_of_one_cell_stay_lines() -> None:
    lines, _ = drawn([("now\n91e345ea", "Bob\nsome market", "1", "", "")], SHAPE, width=80)

    assert [line.split()[:2] for line in lines[-2:]] == [["now", "Bob"], ["91e345ea", "some"]]


def test_wide_letters_take_the_room_they_need() -> None:
    lines, _ = drawn(
        [("now", "🏆 Will Paris win the cup? " * 3, "1", "東京 で雨 が降りますか " * 3, "")], SHAPE, width=80
    )

    assert max(map(cell_len, lines)) <= 80
    assert {"東京", "で雨", "が降りますか", "🏆"} <= {word for line in lines for word in line.split()}
