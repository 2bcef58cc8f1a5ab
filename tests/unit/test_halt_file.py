"""The switch that needs nothing but a file."""

from __future__ import annotations

from pathlib import Path

from copytrade.adapters.halt_file import TEXT_READ_MAX, HaltFile


def test_no_file_is_no_halt(tmp_path: Path) -> None:
    assert HaltFile(tmp_path / "copytrade.halt").thrown() is None
    assert HaltFile(tmp_path / "no" / "folder").thrown() is None
    (tmp_path / "file").write_text("")
    assert HaltFile(tmp_path / "file" / "below").thrown() is None


def test_the_text_of_the_file_is_the_reason_and_a_file_without_text_halts_too(tmp_path: Path) -> None:
    path = tmp_path / "copytrade.halt"
    path.write_text("the power goes out\n")
    assert HaltFile(path).thrown() == "the power goes out\n"
    path.write_bytes(b"\xff" + b"x" * 2 * TEXT_READ_MAX)
    thrown = HaltFile(path).thrown()
    assert thrown is not None
    assert len(thrown) == TEXT_READ_MAX
    path.write_text("")
    assert HaltFile(path).thrown() == ""


def test_what_is_there_and_cannot_be_read_halts_too(tmp_path: Path) -> None:
    path = tmp_path / "copytrade.halt"
    path.mkdir()

    thrown = HaltFile(path).thrown()

    assert thrown is not None
    assert "cannot be read" in thrown
