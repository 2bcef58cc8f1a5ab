"""From a `/v2/trades` answer to rows, exactly: numbers never pass through a float."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from copytrade.adapters.feeds.trade_fields import (
    AMOUNT_MAX,
    MalformedError,
    nearest_micro,
    positive,
    refuse_constant,
    side_of,
    stamp_of,
    token_of,
    tx_hash_of,
)
from copytrade.domain.fills import LeaderFill, LeaderRole, Side, Sighting, Source
from copytrade.domain.units import Millis, Price, Shares, Usdc, price_half_up

_HALF_CHARACTER: Final = re.compile("[\ud800-\udfff]")


class NotAnEnvelope(Exception):
    """The body is not `{"data": ..., "pagination": ...}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of rows, newest first; `next_cursor` None on the last."""

    rows: tuple[Any, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRow:
    """One trade of a leader; `identity` is what equal rows share."""

    leader: str
    tx_hash: str
    token_id: str
    side: Side
    size: Shares
    price: Price
    usdc: Usdc
    timestamp_s: int
    identity: str
    payload: str

    def sighting(self, ordinal: int, *, detected_at_ms: Millis) -> Sighting:
        """Return the report of the `ordinal`th of the equal rows."""
        return Sighting(
            fill=LeaderFill(
                leader=self.leader,
                source=Source.DATA_API,
                tx_hash=self.tx_hash,
                token_id=self.token_id,
                side=self.side,
                role=LeaderRole.UNKNOWN,
                price=self.price,
                size=self.size,
                usdc=self.usdc,
                fee=None,
                fill_ts_ms=self.timestamp_s * 1000,
                detected_at_ms=detected_at_ms,
                place=None,
            ),
            source_key=f"{self.identity}|{ordinal}",
            payload=self.payload,
        )


def parse_page(body: bytes) -> Page:
    """Return the rows and the cursor of an answer; no data is an empty page.

    :raises NotAnEnvelope: not JSON, or not the envelope.
    """
    answer = _envelope(body)
    rows, pagination = answer["data"], answer.get("pagination")
    if rows is None:
        return Page(rows=(), next_cursor=None)
    if not isinstance(rows, list):
        raise NotAnEnvelope("data is no list")
    cursor = pagination.get("next_cursor") if isinstance(pagination, dict) else None
    return Page(rows=tuple(rows), next_cursor=cursor if isinstance(cursor, str) and cursor else None)


def parse_record(body: bytes) -> object:
    """Return the one row of an answer, alone or as a list of one; None where there is no data.

    :raises NotAnEnvelope: not JSON, not the envelope, or more than one row.
    """
    data = _envelope(body)["data"]
    if not isinstance(data, list):
        return data
    if len(data) > 1:
        raise NotAnEnvelope("more than one row")
    return data[0] if data else None


def _envelope(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body, parse_float=Decimal, parse_constant=refuse_constant)
    except (ValueError, ArithmeticError, RecursionError):
        raise NotAnEnvelope("not JSON") from None
    if not isinstance(answer, dict) or "data" not in answer:
        raise NotAnEnvelope("no data")
    return answer


def parse_row(row: object, leader: str) -> TradeRow | None:
    """Return the trade in a row, None if it is not a trade (no token and no side).

    :raises MalformedError: a trade with a field that cannot be right.
    """
    if not isinstance(row, dict):
        raise MalformedError("not-an-object")
    token, side = row.get("token_id"), row.get("side")
    if not token and not side:
        return None
    if str(row.get("proxy_wallet", "")).lower() != leader:
        raise MalformedError("another-wallet")
    token, side = token_of(token), side_of(side)
    tx_hash, stamp = tx_hash_of(row.get("transaction_hash")), stamp_of(row.get("timestamp"))
    size, price = positive(row.get("size"), "size", AMOUNT_MAX), positive(row.get("price"), "price", Decimal(1))
    shares, usdc = nearest_micro(size), nearest_micro(size * price)
    average = price_half_up(usdc, shares) if usdc and shares else nearest_micro(price)
    if not shares or not average:
        raise MalformedError("too-small")
    written = (tx_hash, leader, token, side, _plain(size), _plain(price))
    return TradeRow(
        leader=leader,
        tx_hash=tx_hash,
        token_id=token,
        side=side,
        size=shares,
        price=average,
        usdc=usdc,
        timestamp_s=stamp,
        identity="|".join(written),
        payload=payload_of(row),
    )


def payload_of(row: object) -> str:
    """Return a row as compact JSON, each number as it was written."""
    if isinstance(row, Decimal):
        return str(row)
    if isinstance(row, dict):
        return "{" + ",".join(f"{json.dumps(str(key))}:{payload_of(value)}" for key, value in row.items()) + "}"
    if isinstance(row, list):
        return "[" + ",".join(map(payload_of, row)) + "]"
    # Half a character, which JSON may escape and UTF-8 has no form for, stays escaped: a database would refuse it.
    return json.dumps(row, ensure_ascii=isinstance(row, str) and _HALF_CHARACTER.search(row) is not None)


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
