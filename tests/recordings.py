"""Sessions recorded in memory, and as files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from copytrade.adapters.recording.codec import Reader, plain
from copytrade.adapters.recording.files import FileChronicle
from copytrade.app.replaying import fact_names
from copytrade.engine.session import KINDS, Entry
from copytrade.ports.recording import Chronicle
from tests.virtual_time import VirtualClock


class MemoryChronicle(Chronicle):
    """Keeps each entry as the bytes a file would hold."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    @property
    def entries(self) -> int:
        return len(self.lines)

    def write(self, entry: object) -> None:
        self.lines.append(msgspec.json.encode([type(entry).__name__, plain(entry)]))

    def read(self) -> list[Entry]:
        """Return the entries as whoever reads a file gets them."""
        reader = Reader(fact_names())
        return [reader.read(KINDS[kind], fields) for kind, fields in map(msgspec.json.decode, self.lines)]


def write_file(path: Path, entries: Iterable[Any]) -> Path:
    """Write a whole recording."""

    async def main() -> None:
        chronicle = FileChronicle(path, VirtualClock(), _fail)
        for entry in entries:
            chronicle.write(entry)
        await chronicle.close()

    asyncio.run(main())
    return path


def _fail(why: str) -> None:
    raise AssertionError(why)
