"""The accounts we follow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

    from copytrade.domain.copy_rules import OwnRules
    from copytrade.domain.units import Millis, Ratio, Usdc

_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """A followed account; `address` is the wallet that owns his orders, in lower case.

    `copy_ratio`, `max_usdc_per_trade` and `rules` go before the worker's settings when set. Nothing of a `paused`
    leader is copied, his exits neither; of an `exit_only` one his exits alone are. Fills before
    `followed_since_ms` (compared at whole seconds) are history and are never copied.
    """

    id: UUID
    address: str
    label: str
    enabled: bool
    copy_ratio: Ratio | None
    max_usdc_per_trade: Usdc | None
    live_allowed: bool
    followed_since_ms: Millis
    created_at_ms: Millis
    paused: bool = False
    exit_only: bool = False
    rules: OwnRules = ()


def normal_address(text: str) -> str:
    """Return the lower-case form of an address.

    :raises ValueError: not 0x and 40 hex digits.
    """
    address = text.strip().lower()
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"{text.strip()!r} is not an address (0x and 40 hex digits)")
    return address


def is_copied(leader: Leader, fill_ts_ms: Millis) -> bool:
    """Tell whether a fill of that block time is young enough to be copied, at whole seconds."""
    return fill_ts_ms // 1000 >= leader.followed_since_ms // 1000
