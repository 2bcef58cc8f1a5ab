"""Read whatever JSON a directory of recordings holds, plain or compressed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog

Document = dict[str, Any]

log = structlog.get_logger(__name__)


def read_documents(directory: Path, pattern: str) -> Iterator[tuple[str, Any]]:
    """Yield (relative path, parsed JSON) for each file, or for each line of a JSON-lines file.

    A file or line that is no JSON is passed over; recordings have empty keep-alive lines.
    """
    for path in sorted(directory.glob(pattern)):
        if path.suffix not in (".json", ".jsonl", ".gz") or path.name.endswith(".csv.gz"):
            continue
        name = path.relative_to(directory).as_posix()
        for document in _parse(path):
            yield name, document


def objects(document: Any) -> Iterator[Document]:
    """Yield every JSON object inside, outermost first."""
    if isinstance(document, dict):
        yield document
        for value in document.values():
            yield from objects(value)
    elif isinstance(document, list):
        for value in document:
            yield from objects(value)


def _parse(path: Path) -> Iterator[Any]:
    text = _read(path)
    try:
        yield json.loads(text)
    except ValueError:
        for line in text.splitlines():
            if line.strip():
                yield from _parse_line(path, line)


def _parse_line(path: Path, line: str) -> Iterator[Any]:
    try:
        yield json.loads(line)
    except ValueError:
        log.debug("recording.line_unreadable", file=path.name)


def _read(path: Path) -> str:
    try:
        if path.suffix == ".gz":
            return gzip.decompress(path.read_bytes()).decode()
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        log.warning("recording.file_unreadable", file=path.name, error=str(error))
        return ""
