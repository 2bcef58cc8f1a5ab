"""From rows of `/v2/activity` and `/v2/positions` to what happened and what is held, exactly."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from copytrade.adapters.data_api.decode import payload_of
from copytrade.adapters.feeds.trade_fields import (
    AMOUNT_MAX,
    MalformedError,
    amount,
    nearest_micro,
    stamp_of,
    token_of,
    tx_hash_of,
)
from copytrade.domain.leader_events import LeaderEvent, LeaderEventKind
from copytrade.domain.units import Millis, Shares

ASKED_TYPES: Final = tuple(kind for kind in LeaderEventKind if kind is not LeaderEventKind.SNAPSHOT)
CASH_TYPES: Final = frozenset({"REWARD", "YIELD", "MAKER_REBATE", "TAKER_REBATE", "REFERRAL_REWARD", "TIP"})
"""Money that comes and goes without a share moving."""
_OF_A_CONDITION: Final = frozenset({LeaderEventKind.SPLIT, LeaderEventKind.MERGE, LeaderEventKind.REDEEM})
_CASH_OR_SHARES: Final = frozenset({LeaderEventKind.DEPOSIT, LeaderEventKind.WITHDRAWAL})

_CONDITION: Final = re.compile(r"0x[0-9a-fA-F]{62}(?:[0-9a-fA-F]{2})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event; `identity` is what equal rows share."""

    event: LeaderEvent
    identity: str


def parse_event(row: object, leader: str, *, detected_at_ms: Millis) -> EventRow | None:
    """Return the event in an activity row, None if no shares moved or if it is a trade.

    :raises MalformedError: a field that cannot be right, or a type nobody knows.
    """
    if not isinstance(row, dict):
        raise MalformedError("not-an-object")
    written = row.get("type")
    if written == "TRADE" or (isinstance(written, str) and written in CASH_TYPES):
        return None
    if not isinstance(written, str) or written not in set(ASKED_TYPES):
        raise MalformedError("type")
    if str(row.get("proxy_wallet", "")).lower() != leader:
        raise MalformedError("another-wallet")
    kind = LeaderEventKind(written)
    condition_id, token_id = _condition(row), _token(row)
    if kind in _CASH_OR_SHARES and not condition_id and token_id is None:
        return None
    if kind in _OF_A_CONDITION and not condition_id:
        raise MalformedError("condition")
    tx_hash, stamp = tx_hash_of(row.get("transaction_hash")), stamp_of(row.get("timestamp"))
    shares, usdc = _micro(row.get("size"), "size"), _micro(row.get("usdc_size", 0), "usdc-size")
    named = (tx_hash, leader, kind, condition_id, token_id or row.get("outcome_index", ""), shares, usdc)
    identity = "|".join(map(str, named))
    event = LeaderEvent(
        leader=leader,
        kind=kind,
        condition_id=condition_id,
        token_id=token_id,
        shares=shares,
        usdc=usdc,
        tx_hash=tx_hash,
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

    :raises MalformedError: a field that cannot be right.
    """
    if not isinstance(row, dict):
        raise MalformedError("not-an-object")
    if str(row.get("proxy_wallet", "")).lower() != leader:
        raise MalformedError("another-wallet")
    token_id = _token(row)
    if token_id is None:
        raise MalformedError("token")
    return token_id, _micro(row.get("current_size"), "size")


def _micro(value: object, field: str) -> int:
    return nearest_micro(amount(value, field, AMOUNT_MAX))


def _condition(row: dict[str, object]) -> str:
    """Return the condition as markets have it: protocol V2 writes 62 digits in one place and 64 in another."""
    written = row.get("condition_id") or ""
    if not isinstance(written, str) or (written and not _CONDITION.fullmatch(written)):
        raise MalformedError("condition")
    return f"{written.lower()}00" if len(written) == len("0x") + 62 else written.lower()


def _token(row: dict[str, object]) -> str | None:
    written = row.get("token_id") or None
    return None if written is None else token_of(written)
