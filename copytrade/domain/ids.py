"""Identities that are pure functions of what they name, so that a replay meets its own rows."""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

_NAMESPACE: Final = UUID("8f0b3f5e-5d57-4d2a-9d0a-6a3c1f2b7e10")

COPY_STRATEGY_ID: Final = "copy"
PAPER_ACCOUNT_ID: Final = "paper"


def leader_id(address: str) -> UUID:
    """Return the id of the leader at a lower-case address."""
    return uuid5(_NAMESPACE, f"leader|{address}")


def leader_fill_id(dedupe_key: str) -> UUID:
    """Return the id of a leader fill from the key under which it was first stored."""
    return uuid5(_NAMESPACE, f"leader_fill|{dedupe_key}")


def leader_event_id(dedupe_key: str) -> UUID:
    """Return the id of a leader's event from its key."""
    return uuid5(_NAMESPACE, f"leader_event|{dedupe_key}")


def attempt_id(strategy_id: str, account_id: str, fill_id: UUID) -> UUID:
    """Return the id of the one attempt a strategy makes for an account on a fill."""
    return uuid5(_NAMESPACE, f"attempt|{strategy_id}|{account_id}|{fill_id}")


def execution_fill_id(account_id: str, venue_trade_id: str) -> UUID:
    """Return the id of an execution fill from the venue's own trade id."""
    return uuid5(_NAMESPACE, f"execution_fill|{account_id}|{venue_trade_id}")
