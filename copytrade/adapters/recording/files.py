"""Recordings on disk: a header line, then an entry a line as [kind, fields], gzipped if the name ends in .gz."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import zlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from copytrade.adapters.recording.codec import Reader, UnreadableError, plain
from copytrade.ports.recording import Chronicle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from copytrade.adapters.recording.codec import Names
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

MAGIC: Final = "copytrade recording"
LAST: Final = "Ended"
FLUSH_EVERY_MS: Final[Millis] = 250
WAITING_BYTES_MAX: Final = 64 * 1024 * 1024
"""What a slow disk may keep waiting in memory; beyond it the recording ends."""
LINE_BYTES_MAX: Final = 32 * 1024 * 1024


class RecordingError(Exception):
    """A recording that cannot be written or read; the text names the file and what is wrong."""


class FileChronicle(Chronicle):
    """Encodes at once and writes a few times a second, on another thread."""

    def __init__(self, path: Path, clock: Clock, failed: Callable[[str], None]) -> None:
        """Create the file; `failed` is told once why the recording ended early.

        :raises RecordingError: there is such a file already, or none can be made there.
        """
        self._path = path
        self._clock = clock
        self._failed = failed
        self._chunks: list[bytes] = []
        self._waiting = 0
        self._is_broken = False
        self._hand = asyncio.Lock()
        self._entries = 0
        try:
            raw = path.open("xb")
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror}") from error
        self._file: io.BufferedIOBase = (
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) if _is_gzip(path) else raw
        )
        self._raw = raw
        self._put(msgspec.json.encode(MAGIC) + b"\n")

    @property
    def entries(self) -> int:
        return self._entries

    def write(self, entry: object) -> None:
        if self._is_broken:
            return
        try:
            line = msgspec.json.encode([type(entry).__name__, plain(entry)])
        except (TypeError, ValueError, OverflowError) as error:
            self._break(f"an entry cannot be written: {error}")
            return
        self._entries += 1
        self._put(line + b"\n")

    async def run(self) -> None:
        """Flush regularly until cancelled."""
        while True:
            await self._clock.sleep_ms(FLUSH_EVERY_MS)
            await self._flush()

    async def close(self) -> None:
        """Write what is left and close the file."""
        await self._flush()
        await asyncio.to_thread(self._close)

    def _put(self, line: bytes) -> None:
        self._chunks.append(line)
        self._waiting += len(line)
        if self._waiting > WAITING_BYTES_MAX:
            self._break(f"the disk is too slow: {self._waiting} bytes wait to be written")

    async def _flush(self) -> None:
        async with self._hand:
            chunks, self._chunks, self._waiting = self._chunks, [], 0
            if not chunks or self._is_broken:
                return
            try:
                await asyncio.to_thread(self._store, b"".join(chunks))
            except OSError as error:
                self._break(error.strerror or str(error))

    def _store(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()
        self._raw.flush()

    def _close(self) -> None:
        try:
            self._file.close()
            self._raw.close()
        except OSError as error:
            self._break(error.strerror or str(error))

    def _break(self, why: str) -> None:
        if not self._is_broken:
            self._is_broken = True
            self._chunks.clear()
            self._failed(f"{self._path}: {why}")


def entries_of(
    path: Path, kinds: Mapping[str, type], names: Names, *, tell: Callable[[int], None] | None = None
) -> Iterator[Any]:
    """Yield the entries of a recording; `tell` gets how many bytes were read every now and then.

    :raises RecordingError: it is no recording, of another format, damaged, or not all of its entries are there.
    """
    reader = Reader(names)
    number = 0
    entry: Any = None
    try:
        with path.open("rb") as raw, _opened(raw, path) as file:
            for number, line in enumerate(iter(lambda: file.readline(LINE_BYTES_MAX), b""), start=1):
                if number == 1:
                    _check_header(path, line)
                    continue
                if not line.endswith(b"\n"):
                    break
                entry = _entry(path, number, line, kinds, reader)
                yield entry
                if tell is not None and number % 1_000 == 0:
                    tell(raw.tell())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecordingError(f"{path}: damaged or cut off after line {number}: {error}") from error
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror or error}") from error
    if number == 0:
        raise RecordingError(f"{path}: empty, so no recording")
    if type(entry).__name__ != LAST:
        raise RecordingError(
            f"{path}: cut off after line {number}; a recording ends when the worker is stopped cleanly"
        )
    found = number - len(("header", LAST))
    if entry.entries != found:
        raise RecordingError(f"{path}: {entry.entries} entries were written, and {found} are there")


def _opened(raw: io.BufferedIOBase, path: Path) -> io.BufferedIOBase:
    return gzip.GzipFile(fileobj=raw) if _is_gzip(path) else raw


def _is_gzip(path: Path) -> bool:
    return path.suffix == ".gz"


def _check_header(path: Path, line: bytes) -> None:
    if line != msgspec.json.encode(MAGIC) + b"\n":
        raise RecordingError(f"{path}: no recording of copytrade")


def _entry(path: Path, number: int, line: bytes, kinds: Mapping[str, type], reader: Reader) -> Any:
    try:
        kind, fields = msgspec.json.decode(line)
        return reader.read(kinds[kind], fields)
    except (msgspec.DecodeError, UnreadableError, ValueError, KeyError, TypeError) as error:
        why = json.dumps(str(error))[1:-1]
        raise RecordingError(f"{path}: line {number} cannot be read: {why}") from error
