"""A recording is a whole file or none: what is foreign, damaged or cut off is named."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from copytrade.adapters.recording import files
from copytrade.adapters.recording.files import FileChronicle, RecordingError, entries_of
from copytrade.adapters.system import SystemClock
from copytrade.app.replaying import fact_names, replay
from copytrade.engine.session import FORMAT, KINDS, Began, BookGone, Ended
from copytrade.settings import ConfigurationError
from tests.recordings import write_file
from tests.virtual_time import VirtualClock

BEGAN = Began(
    at_ms=1,
    format=FORMAT,
    program="1",
    mode="paper",
    strategy_id="copy",
    account_id="paper",
    settings={"COPY_RATIO": "1000000"},
)
WHOLE = [BEGAN, *(BookGone(at_ms=2, token=number) for number in range(2_000)), Ended(at_ms=3, entries=2_001)]


def read(path: Path) -> list[Any]:
    return list(entries_of(path, KINDS, fact_names()))


@pytest.mark.parametrize("name", ["session.jsonl", "session.jsonl.gz"])
def test_what_was_written_is_read_and_progress_is_told(name: str, tmp_path: Path) -> None:
    path = write_file(tmp_path / name, WHOLE)
    done: list[int] = []

    assert list(entries_of(path, KINDS, fact_names(), tell=done.append)) == WHOLE
    assert done == sorted(done)
    assert done


def test_the_same_entries_make_the_same_file(tmp_path: Path) -> None:
    one, two = (write_file(tmp_path / name, WHOLE).read_bytes() for name in ("a.gz", "b.gz"))

    assert one == two


@pytest.mark.parametrize("name", ["session.jsonl", "session.jsonl.gz"])
def test_a_file_cut_off_anywhere_is_named(name: str, tmp_path: Path) -> None:
    whole = write_file(tmp_path / name, WHOLE).read_bytes()
    cut = tmp_path / f"cut-{name}"
    for length in (len(whole) // 3, len(whole) // 2, len(whole) - 40, len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(RecordingError, match=r"cut-session.*(cut off|damaged)"):
            read(cut)


@pytest.mark.parametrize("change", [lambda lines: lines[:50] + lines[51:], lambda lines: lines[:50] + lines[49:]])
def test_a_file_that_lacks_a_line_or_has_one_twice_is_named(change: Any, tmp_path: Path) -> None:
    path = write_file(tmp_path / "session.jsonl", WHOLE)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))

    with pytest.raises(RecordingError, match=r"session.jsonl: 2001 entries were written, and (2000|2002) are there"):
        read(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty, so no recording"),
        (b"at,code\n1,A\n", "no recording of copytrade"),
        (b"\x89PNG\r\n\x1a\n" * 9, "no recording of copytrade"),
        (b'"copytrade recording"\n["Began",5]\n', "line 2 cannot be read: not the fields of Began"),
        (b'"copytrade recording"\n["Sung",{}]\n', "line 2 cannot be read"),
        (b'"copytrade recording"\n{}\n', "line 2 cannot be read"),
        (b'"copytrade recording"\n\xff\xfe\n', "line 2 cannot be read"),
    ],
)
def test_a_foreign_file_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)

    with pytest.raises(RecordingError, match=said):
        read(path)


def test_a_file_that_only_seems_packed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "session.gz"
    path.write_bytes(b'"copytrade recording"\n')

    with pytest.raises(RecordingError, match="damaged"):
        read(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        read(tmp_path / "none")
    with pytest.raises(RecordingError, match=r"(?i)directory"):
        read(tmp_path)


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "diary").write_text("dear diary")

    with pytest.raises(RecordingError, match="exists"):
        FileChronicle(tmp_path / "diary", VirtualClock(), pytest.fail)

    assert (tmp_path / "diary").read_text() == "dear diary"


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([Ended(at_ms=1, entries=0)], "does not say how it began"),
        ([BEGAN], "cut off after line 2"),
        ([replace(BEGAN, format=99), Ended(at_ms=1, entries=1)], "format 99, and this program reads 1"),
    ],
)
def test_a_recording_without_its_beginning_or_end_is_not_played(entries: list[Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        replay(write_file(tmp_path / "short", entries), {}, tell=lambda _: None)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("COPY_RATIO", "half", "COPY_RATIO is 'half'; accepted: a decimal above 0"),
        ("DATABASE_URL", "x", "DATABASE_URL plays no part in a replay; these do: BANKROLL_USDC"),
        ("COPY_RATOI", "1", "COPY_RATOI plays no part"),
    ],
)
def test_a_change_that_cannot_be_made_is_named(name: str, value: str, said: str, tmp_path: Path) -> None:
    path = write_file(tmp_path / "session", [BEGAN, Ended(at_ms=2, entries=1)])

    with pytest.raises(ConfigurationError, match=said):
        replay(path, {name: value}, tell=lambda _: None)


async def test_a_slow_disk_ends_the_recording_and_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WAITING_BYTES_MAX", 10_000)
    said: list[str] = []
    chronicle = FileChronicle(tmp_path / "session", VirtualClock(), said.append)

    for entry in WHOLE:
        chronicle.write(entry)
    await chronicle.close()

    assert len(said) == 1
    assert "the disk is too slow" in said[0]
    with pytest.raises(RecordingError, match=r"cut off|empty"):
        read(tmp_path / "session")


class FullDisk(FileChronicle):
    """A file on a disk that takes nothing any more."""

    def _store(self, data: bytes) -> None:
        raise OSError(28, "No space left on device")


async def test_a_full_disk_ends_the_recording_and_the_writer_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    chronicle = FullDisk(tmp_path / "session", VirtualClock(), said.append)

    chronicle.write(BEGAN)
    await chronicle.close()
    chronicle.write(BEGAN)

    assert said == [f"{tmp_path / 'session'}: No space left on device"]


async def test_what_is_no_fact_ends_the_recording(tmp_path: Path) -> None:
    said: list[str] = []
    chronicle = FileChronicle(tmp_path / "session", VirtualClock(), said.append)

    chronicle.write(0.5)
    await chronicle.close()

    assert "float is no fact" in said[0]


def test_the_disk_is_written_to_while_the_session_runs(tmp_path: Path) -> None:
    path = tmp_path / "session"

    async def main() -> int:
        chronicle = FileChronicle(path, SystemClock(), pytest.fail)
        flushing = asyncio.create_task(chronicle.run())
        chronicle.write(BEGAN)
        while path.stat().st_size < 50:
            await asyncio.sleep(0.01)
        flushing.cancel()
        await chronicle.close()
        return path.stat().st_size

    assert asyncio.run(main()) > 50
