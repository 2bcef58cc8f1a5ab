"""From rows of `/v2/activity` and `/v2/positions` to what happened and what is held, exactly."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from copytrade.adapters.data_api.decode import (
    AMOUNT_MAX,
    STAMP_MAX_S,
    STAMP_MIN_S,
    MalformedRowError,
    nearest_micro,
    payload_of,
)
from copytrade.domain.leader_events import LeaderEvent, LeaderEventKind
from copytrade.domain.units import Millis, Shares

ASKED_TYPES: Final = tuple(kind for kind in LeaderEventKind if kind is not LeaderEventKind.SNAPSHOT)
CASH_TYPES: Final = frozenset({"REWARD", "YIELD", "MAKER_REBATE", "TAKER_REBATE", "REFERRAL_REWARD", "TIP"})
"""Money that comes and goes without a share moving."""
_OF_A_CONDITION: Final = frozenset({LeaderEventKind.SPLIT, LeaderEventKind.MERGE, LeaderEventKind.REDEEM})
_CASH_OR_SHARES: Final = frozenset({LeaderEventKind.DEPOSIT, LeaderEventKind.WITHDRAWAL})

_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_CONDITION: Final = re.compile(r"0x[0-9a-fA-F]{62}(?:[0-9a-fA-F]{2})?")
_TOKEN: Final = re.compile(r"[1-9][0-9]{0,77}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event; `identity` is what equal rows share."""

    event: LeaderEvent
    identity: str


def parse_event(row: object, leader: str, *, detected_at_ms: Millis) -> EventRow | None:
    """Return the event in an activity row, None if no shares moved or if it is a trade.

    :raises MalformedRowError: a field that cannot be right, or a type nobody knows.
    """
    if not isinstance(row, dict):
        raise MalformedRowError("not-an-object")
    written = row.get("type")
    if written == "TRADE" or (isinstance(written, str) and written in CASH_TYPES):
        return None
    if not isinstance(written, str) or written not in set(ASKED_TYPES):
        raise MalformedRowError("type")
    if str(row.get("proxy_wallet", "")).lower() != leader:
        raise MalformedRowError("another-wallet")
    kind = LeaderEventKind(written)
    condition_id, token_id = _condition(row), _token(row)
    if kind in _CASH_OR_SHARES and not condition_id and token_id is None:
        return None
    if kind in _OF_A_CONDITION and not condition_id:
        raise MalformedRowError("condition")
    tx_hash, stamp = row.get("transaction_hash"), row.get("timestamp")
    if not isinstance(tx_hash, str) or not _HASH.fullmatch(tx_hash):
        raise MalformedRowError("transaction-hash")
    if isinstance(stamp, bool) or not isinstance(stamp, int) or not STAMP_MIN_S <= stamp <= STAMP_MAX_S:
        raise MalformedRowError("timestamp")
    shares, usdc = amount(row.get("size"), "size"), amount(row.get("usdc_size", 0), "usdc-size")
    named = (tx_hash.lower(), leader, kind, condition_id, token_id or row.get("outcome_index", ""), shares, usdc)
    identity = "|".join(map(str, named))
    event = LeaderEvent(
        leader=leader,
        kind=kind,
        condition_id=condition_id,
        token_id=token_id,
        shares=shares,
        usdc=usdc,
        tx_hash=tx_hash.lower(),
        event_ts_ms=stamp * 1000,
        detected_at_ms=detected_at_ms,
        dedupe_key=identity,
        payload=payload_of(row),
    )
    return EventRow(event=event, identity=identity)


def numbered(rows: Iterable[EventRow]) -> Iterable[tuple[str, LeaderEvent]]:
    """Pair each event with the key that tells it from its equals: the rows of a transaction must all be there."""
    ordinals: Counter[str] = Counter()
    for row in rows:
        yield f"{row.identity}|{ordinals[row.identity]}", row.event
        ordinals[row.identity] += 1


def parse_holding(row: object, leader: str) -> tuple[str, Shares]:
    """Return the token and the shares of a position row.

    :raises MalformedRowError: a field that cannot be right.
    """
    if not isinstance(row, dict):
        raise MalformedRowError("not-an-object")
    if str(row.get("proxy_wallet", "")).lower() != leader:
        raise MalformedRowError("another-wallet")
    token_id = _token(row)
    if token_id is None:
        raise MalformedRowError("token")
    return token_id, amount(row.get("current_size"), "size")


def amount(value: object, field: str) -> int:
    """Return a number of shares or dollars, zero too, in micro-units.

    :raises MalformedRowError: no number, negative or absurd.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise MalformedRowError(field)
    number = Decimal(value)
    if not number.is_finite() or not 0 <= number <= AMOUNT_MAX:
        raise MalformedRowError(field)
    return nearest_micro(number)


def _condition(row: dict[str, object]) -> str:
    """Return the condition as markets have it: protocol V2 writes 62 digits in one place and 64 in another."""
    written = row.get("condition_id") or ""
    if not isinstance(written, str) or (written and not _CONDITION.fullmatch(written)):
        raise MalformedRowError("condition")
    return f"{written.lower()}00" if len(written) == len("0x") + 62 else written.lower()


def _token(row: dict[str, object]) -> str | None:
    written = row.get("token_id") or None
    if written is not None and (not isinstance(written, str) or not _TOKEN.fullmatch(written)):
        raise MalformedRowError("token")
    return written
