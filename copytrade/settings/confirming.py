"""What a person confirms before real orders: every setting that is no secret, and a hash over them all."""

from __future__ import annotations

import re
from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from copytrade.domain.units import format_micro

if TYPE_CHECKING:
    from copytrade.settings.loading import Settings

HASH_DIGITS: Final = 12
_LEFT_OUT: Final = frozenset({"live_confirm", "execution_mode", "live_passphrase_fd"})
"""The confirmation itself, the switch it is for, and what differs from start to start."""
_IN_MICRO_UNITS: Final = re.compile(r"usdc|ratio|spread_max|price_(min|max)")
"""Names of what is shown as a decimal, as it was typed."""


def configuration_lines(settings: Settings, *, changed_only: bool = False) -> list[str]:
    """Return `NAME=value` of each setting, by name; of URLs only the host, of secrets nothing.

    `changed_only` leaves out what is as it is by default.
    """
    lines = []
    for name, field in sorted(type(settings).model_fields.items()):
        value = getattr(settings, name)
        if name in _LEFT_OUT or isinstance(value, SecretStr) or (changed_only and value == field.default):
            continue
        lines.append(f"{name.upper()}={_shown(name, value)}")
    return lines


def configuration_hash(settings: Settings) -> str:
    """Return twelve hex digits that change with any of the lines."""
    return sha256("\n".join(configuration_lines(settings)).encode()).hexdigest()[:HASH_DIGITS]


def _shown(name: str, value: Any) -> str:
    if name.endswith("_url"):
        return hosts(value)
    if _IN_MICRO_UNITS.search(name) and isinstance(value, int):
        return format_micro(value)
    return _text(value)


def hosts(value: str | tuple[str, ...]) -> str:
    """Return the hosts of one or more URLs, with their ports, and nothing else of them."""
    urls = (value,) if isinstance(value, str) else value
    return ",".join(urlsplit(url).netloc.rpartition("@")[2] for url in urls)


def _text(value: Any) -> str:
    if isinstance(value, frozenset | set):
        return ",".join(sorted(map(_text, value)))
    if isinstance(value, tuple | list):
        return ",".join(map(_text, value))
    if isinstance(value, dict):
        return ",".join(sorted(f"{_text(key)}={_text(one)}" for key, one in value.items()))
    if isinstance(value, Enum):
        return str(value.value)
    return "" if value is None else str(value)
