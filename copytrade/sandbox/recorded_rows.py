"""Recorded Data API trades of either version, as rows of version 2."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copytrade.sandbox.recorded_files import Document, objects, read_documents

ROW_PATTERNS = ("rest/**/*", "nautilus/newer/data_api_*")
NAMES = {"asset": "token_id", "usdcSize": "usdc_size"}
CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRow:
    """A trade as the Data API told it, long ago; `timestamp` in seconds."""

    owner: str
    condition: str
    side: str
    timestamp: int
    row: Document


def read_rows(directory: Path) -> tuple[list[RecordedRow], dict[str, int]]:
    """Return recorded trades, newest first, and how many each file gave."""
    rows: list[RecordedRow] = []
    used: dict[str, int] = defaultdict(int)
    seen: set[tuple[Any, ...]] = set()
    for pattern in ROW_PATTERNS:
        for name, document in read_documents(directory, pattern):
            counted: Counter[tuple[Any, ...]] = Counter()
            for row in filter(None, map(_read_row, objects(document))):
                key = _key(row, counted)
                if key not in seen:
                    seen.add(key)
                    rows.append(row)
                    used[name] += 1
    rows.sort(key=lambda row: row.timestamp, reverse=True)
    return rows, dict(used)


def _read_row(raw: Document) -> RecordedRow | None:
    row = {NAMES.get(key, CAPITAL.sub("_", key).lower()): value for key, value in raw.items()}
    needed = ("proxy_wallet", "token_id", "transaction_hash", "size", "price", "side", "timestamp")
    if any(row.get(name) in (None, "") for name in needed) or row.get("type", "TRADE") != "TRADE":
        return None
    if row["side"] not in ("BUY", "SELL") or not isinstance(row["timestamp"], int):
        return None
    row["proxy_wallet"] = str(row["proxy_wallet"]).lower()
    return RecordedRow(
        owner=row["proxy_wallet"],
        condition=str(row.get("condition_id", "")).lower(),
        side=row["side"],
        timestamp=row["timestamp"],
        row=row,
    )


def _key(row: RecordedRow, counted: Counter[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Tell rows apart within an answer, but not the same row in two answers.

    Equal rows of one answer are several fills, so their ordinal is part of the key.
    """
    shown = (row.owner, row.row["transaction_hash"], row.row["token_id"], row.side)
    key = (*shown, str(row.row["size"]), str(row.row["price"]))
    counted[key] += 1
    return (*key, counted[key])
