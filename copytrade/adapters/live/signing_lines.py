"""What worker and signer process say to each other: one JSON object a line, a question and its answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final

import msgspec

from copytrade.domain.fills import Side
from copytrade.domain.orders import OrderType
from copytrade.domain.venue_orders import SignatureType, VenueOrder

LINE_BYTES_MAX: Final = 16 * 1024
_WHOLE: Final = ("salt", "maker_amount", "taker_amount", "timestamp_ms", "expiration_s")
_TEXT: Final = ("maker", "signer", "token_id", "exchange", "protocol", "metadata", "builder")


class BadLineError(Exception):
    """A line that is no question or no answer; the text does not repeat it."""


def encode(message: dict[str, Any]) -> bytes:
    """Return a message as a line."""
    return msgspec.json.encode(message) + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Read a line.

    :raises BadLineError: it is no object.
    """
    try:
        message = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadLineError("not JSON") from None
    if not isinstance(message, dict):
        raise BadLineError("not an object")
    return message


async def close(writer: asyncio.StreamWriter) -> None:
    """Let go of a connection, whatever became of its other end."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def order_fields(order: VenueOrder) -> dict[str, Any]:
    """Return what an order is asked to be signed by."""
    return {**asdict(order), "signature_type": int(order.signature_type)}


def read_order(fields: object) -> VenueOrder:
    """Read an order that is asked to be signed.

    :raises BadLineError: it is none.
    """
    if not isinstance(fields, dict) or set(fields) != {*_WHOLE, *_TEXT, "side", "signature_type", "order_type"}:
        raise BadLineError("not the fields of an order")
    if not all(type(fields[name]) is int and fields[name] >= 0 for name in _WHOLE):
        raise BadLineError("an amount or a time that is no whole number")
    if not all(isinstance(fields[name], str) for name in _TEXT):
        raise BadLineError("an address that is no text")
    try:
        return VenueOrder(
            **{name: fields[name] for name in (*_WHOLE, *_TEXT)},
            side=Side(fields["side"]),
            signature_type=SignatureType(fields["signature_type"]),
            order_type=OrderType(fields["order_type"]),
        )
    except ValueError:
        raise BadLineError("a side or a type that does not exist") from None
