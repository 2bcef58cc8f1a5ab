"""Identities that are pure functions of what they name, so that a replay meets its own rows."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha1
from typing import Final
from uuid import UUID

_NAMESPACE: Final = UUID("8f0b3f5e-5d57-4d2a-9d0a-6a3c1f2b7e10").bytes
_ID_BITS: Final = ~((0xC000 << 48) | (0xF000 << 64))
_VERSION_5: Final = (0x8000 << 48) | (5 << 76)
"""Variant and version of RFC 9562 UUIDs made from a SHA-1, as `uuid.uuid5` sets them, at twice its speed."""

LEADERS_KEPT_MAX: Final = 10_000
"""Ids of leaders that are remembered: they are asked for with each fill."""
COPY_STRATEGY_ID: Final = "copy"
PAPER_ACCOUNT_ID: Final = "paper"
LIVE_ACCOUNT_PREFIX: Final = "live-"
"""What the name of a real account begins with; its wallet follows."""


@lru_cache(maxsize=LEADERS_KEPT_MAX)
def leader_id(address: str) -> UUID:
    """Return the id of the leader at a lower-case address."""
    return _named(f"leader|{address}")


def leader_fill_id(dedupe_key: str) -> UUID:
    """Return the id of a leader fill from the key under which it was first stored."""
    return _named(f"leader_fill|{dedupe_key}")


def raw_row_id(source: str, source_key: str) -> UUID:
    """Return the id of a source's raw row from the key it has there."""
    return _named(f"leader_fill_raw|{source}|{source_key}")


def leader_event_id(dedupe_key: str) -> UUID:
    """Return the id of a leader's event from its key."""
    return _named(f"leader_event|{dedupe_key}")


def attempt_id(strategy_id: str, account_id: str, fill_id: UUID) -> UUID:
    """Return the id of the one attempt a strategy makes for an account on a fill."""
    return _named(f"attempt|{strategy_id}|{account_id}|{fill_id}")


def execution_fill_id(account_id: str, venue_trade_id: str) -> UUID:
    """Return the id of an execution fill from the venue's own trade id."""
    return _named(f"execution_fill|{account_id}|{venue_trade_id}")


def settlement_id(strategy_id: str, account_id: str, token_id: str, ordinal: int) -> UUID:
    """Return the id of a settlement from its place among all that moved its position."""
    return _named(f"settlement|{strategy_id}|{account_id}|{token_id}|{ordinal}")


def halt_id(cause: str, level: str, why: str, at_ms: int) -> UUID:
    """Return the id of a halt from what it says and when it began."""
    return _named(f"halt|{cause}|{level}|{why}|{at_ms}")


def _named(name: str) -> UUID:
    """Return the version 5 UUID of a name in our namespace; this is no use of SHA-1 for security."""
    digest = sha1(_NAMESPACE + name.encode(), usedforsecurity=False).digest()
    return UUID(int=int.from_bytes(digest[:16]) & _ID_BITS | _VERSION_5)
