"""From a frame of the live stream to trades, exactly: numbers never pass through a float."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import msgspec

from copytrade.adapters.feeds.sockets import SubscriptionRefused
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
from copytrade.domain.units import Millis, Price, Shares, Usdc, format_micro, price_half_up

ACTIVITY: Final = "activity"
REFUSAL_CHARS_MAX: Final = 300


class Topic(StrEnum):
    """What is subscribed to: one message per settlement with its taker, and one per fill of any role."""

    MATCHED = "orders_matched"
    TRADES = "trades"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of activity, read as far as is needed to tell whose it is; `wallet` is in lower case."""

    type: str
    wallet: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityRow:
    """One fill of a leader as one topic reports it. Amounts are rounded to micro-units: doubles may miss by a hair."""

    topic: Topic
    leader: str
    tx_hash: str
    token_id: str
    side: Side
    size: Shares
    price: Price
    usdc: Usdc
    timestamp_s: int
    payload: str

    @property
    def likeness(self) -> str:
        """What the same fill has in common on both topics, whatever they make of its price."""
        return f"{self.tx_hash}|{self.leader}|{self.token_id}|{self.side}|{_text(self.size)}"

    @property
    def identity(self) -> str:
        """What equal rows share."""
        return f"{self.likeness}|{_text(self.price)}"

    def sighting(self, source_key: str, *, detected_at_ms: Millis) -> Sighting:
        """Return the report of this fill under a key."""
        return Sighting(
            fill=LeaderFill(
                leader=self.leader,
                source=Source.RTDS,
                tx_hash=self.tx_hash,
                token_id=self.token_id,
                side=self.side,
                role=LeaderRole.TAKER if self.topic is Topic.MATCHED else LeaderRole.UNKNOWN,
                price=price_half_up(self.usdc, self.size) if self.usdc else self.price,
                size=self.size,
                usdc=self.usdc,
                fee=None,
                fill_ts_ms=self.timestamp_s * 1000,
                detected_at_ms=detected_at_ms,
                place=None,
            ),
            source_key=source_key,
            payload=self.payload,
        )


class _Payload(msgspec.Struct, rename="camel"):
    proxy_wallet: str = ""


class _Envelope(msgspec.Struct, rename="camel"):
    topic: str = ""
    type: str = ""
    payload: _Payload | None = None
    body: msgspec.Raw = msgspec.Raw()
    status_code: int | None = None


def split_frame(frame: str | bytes) -> list[str]:
    """Return the messages in a frame: one, an array of them, or none where it only keeps the line alive.

    :raises MalformedError: an array that is not JSON.
    """
    text = frame.decode(errors="replace") if isinstance(frame, bytes) else frame
    text = text.strip()
    if text.upper() in {"", "PONG"}:
        return []
    if not text.startswith("["):
        return [text]
    try:
        return [bytes(item).decode() for item in msgspec.json.decode(text, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise MalformedError("not-json") from None


def parse_message(text: str) -> Message:
    """Read a message's head.

    :raises MalformedError: not a message.
    :raises SubscriptionRefused: it is an error.
    """
    try:
        envelope = msgspec.json.decode(text, type=_Envelope)
    except msgspec.ValidationError:
        raise MalformedError("not-a-message") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise MalformedError("not-json") from None
    if envelope.status_code is not None:
        body = bytes(envelope.body).decode(errors="replace")
        raise SubscriptionRefused(f"{envelope.status_code} {body}"[:REFUSAL_CHARS_MAX])
    if envelope.topic != ACTIVITY:
        raise MalformedError("unknown-topic")
    wallet = envelope.payload.proxy_wallet.lower() if envelope.payload else ""
    if not wallet:
        raise MalformedError("no-wallet")
    return Message(type=envelope.type, wallet=wallet, text=text)


def parse_row(message: Message) -> ActivityRow:
    """Return the fill in a message of a known wallet.

    :raises MalformedError: a field cannot be right.
    """
    row = _payload_of(message)
    token, side = token_of(row.get("asset")), side_of(row.get("side"))
    tx_hash, stamp = tx_hash_of(row.get("transactionHash")), stamp_of(row.get("timestamp"))
    size, price = positive(row.get("size"), "size", AMOUNT_MAX), positive(row.get("price"), "price", Decimal(1))
    shares = nearest_micro(size)
    if not shares or not nearest_micro(price):
        raise MalformedError("too-small")
    return ActivityRow(
        topic=Topic(message.type),
        leader=message.wallet,
        tx_hash=tx_hash,
        token_id=token,
        side=side,
        size=shares,
        price=nearest_micro(price),
        usdc=nearest_micro(size * price),
        timestamp_s=stamp,
        payload=message.text,
    )


def _payload_of(message: Message) -> dict[str, Any]:
    """Read all of a message, strictly: it is kept as it is, and a database takes nothing but JSON."""
    if message.type not in set(Topic):
        raise MalformedError("unknown-type")
    try:
        whole = json.loads(message.text, parse_float=Decimal, parse_constant=refuse_constant)
    except (ValueError, ArithmeticError, RecursionError):
        raise MalformedError("not-json") from None
    payload = whole.get("payload")
    if not isinstance(payload, dict):
        raise MalformedError("not-a-message")
    return payload


def _text(amount: int) -> str:
    """Write micro-units without trailing zeros: one amount has one spelling."""
    text = format_micro(amount)
    return text.rstrip("0").rstrip(".")
