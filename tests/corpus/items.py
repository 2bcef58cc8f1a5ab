"""Bad input as plain files: one item a line, why it is odd, and what must become of it.

An item is given as `json`, as `text`, as `hex`, as `made` (parts and how often each comes, for what is too long
to write down), or as a `setting` (a variable and its value). It must be `taken`, `refused` (with a reason) or
`ignored`; `any` is for what some may and some need not take.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copytrade.settings import Settings

FOLDER = Path(__file__).parent
FILES = {"setting_value": "settings"}
"""Which file is a target's, where it has not its own name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One input."""

    why: str
    expect: str
    data: bytes


def items_of(target: str) -> Iterator[Item]:
    """Yield what a target is to be fed with; nothing for one that has no file."""
    path = FOLDER / f"{FILES.get(target, target)}.jsonl"
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        yield Item(why=entry["why"], expect=entry["expect"], data=_data_of(entry))


def _data_of(entry: dict[str, Any]) -> bytes:
    if "text" in entry:
        return entry["text"].encode()
    if "hex" in entry:
        return bytes.fromhex(entry["hex"])
    if "made" in entry:
        parts = entry["made"]
        return b"".join(_part(one, times) for one, times in zip(parts[::2], parts[1::2], strict=True))
    if "setting" in entry:
        name, value = entry["setting"]
        return bytes([sorted(Settings.model_fields).index(name.lower())]) + value.encode("utf-8", "surrogateescape")
    return json.dumps(entry["json"], separators=(",", ":")).encode()


def _part(one: Any, times: Any) -> bytes:
    text, count = (times, one) if isinstance(one, int) else (one, times)
    return str(text).encode() * int(count)
