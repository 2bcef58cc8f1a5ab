"""What a person confirms before real orders: every setting that is no secret, and a hash over them all."""

from __future__ import annotations

from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

if TYPE_CHECKING:
    from copytrade.settings.loading import Settings

HASH_DIGITS: Final = 12
_LEFT_OUT: Final = frozenset({"live_confirm", "execution_mode", "live_passphrase_fd"})
"""The confirmation itself, the switch it is for, and what differs from start to start."""


def configuration_lines(settings: Settings, *, changed_only: bool = False) -> list[str]:
    """Return `NAME=value` of each setting, by name; of URLs only the host, of secrets nothing.

    `changed_only` leaves out what is as it is by default.
    """
    lines = []
    for name, field in sorted(type(settings).model_fields.items()):
        value = getattr(settings, name)
        if name in _LEFT_OUT or isinstance(value, SecretStr) or (changed_only and value == field.default):
            continue
        lines.append(f"{name.upper()}={_hosts(value) if name.endswith('_url') else _text(value)}")
    return lines


def configuration_hash(settings: Settings) -> str:
    """Return twelve hex digits that change with any of the lines."""
    return sha256("\n".join(configuration_lines(settings)).encode()).hexdigest()[:HASH_DIGITS]


def _hosts(value: Any) -> str:
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
