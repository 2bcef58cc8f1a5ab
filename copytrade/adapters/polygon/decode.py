"""From a raw `OrderFilled` log to exact integers: nothing is guessed, whatever is odd is refused with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any, Final, TypeAlias

import msgspec

from copytrade.domain.fills import LeaderFill, LeaderRole, LogPlace, Side, Sighting, Source
from copytrade.domain.units import Millis, Price, Shares, Usdc, price_half_up

TOPIC_V2: Final = "0xd543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee"
"""`OrderFilled` of the exchanges in use, "CLOB V2" and "Protocol V2" alike."""
TOPIC_V1: Final = "0xd0a08e8c493f9c94f29311604c9de1b4e8c8d4c06bd0c789af57f2d65bfec0f6"
"""`OrderFilled` of the exchanges before 2026-04-28."""

AMOUNT_MAX: Final = 2**63 - 1
"""Amounts beyond this fit no column; real ones are below 1e16."""
ADDRESS_PADDING: Final = "0x" + "0" * 24

_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,15}")
_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_TOPICS: Final = 4
_WORDS_V2: Final = 7
_WORDS_V1: Final = 5
# An amount is the low 8 bytes of its word; the rest must be zero. Token ids take the whole word.
_LAYOUT_V2: Final = Struct(">31sB32s24sQ24sQ24sQ64x")
_LAYOUT_V1: Final = Struct(">32s32s24sQ24sQ24sQ")
_ZERO_24: Final = bytes(24)
_ZERO_31: Final = bytes(31)
_ZERO_32: Final = bytes(32)


class MalformedLogError(Exception):
    """The log is not an `OrderFilled` we can take at face value; `reason` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Event(msgspec.Struct, frozen=True, gc=False):
    """What one `OrderFilled` says of the order it is about.

    `fee` is as emitted: collateral, except on a V1 BUY, whose fee was taken in shares (`fee_in_shares`).
    On V1 it is the most the order allowed; a part was refunded in a later log of the transaction.
    """

    order_hash: str
    maker: str
    taker: str
    side: Side
    token_id: str
    shares: Shares
    usdc: Usdc
    price: Price
    fee: int
    fee_in_shares: bool = False


class DecodedFill(msgspec.Struct, frozen=True, gc=False):
    """One `OrderFilled` log: the event, where it is, and the block's time if the node told it."""

    event: Event
    exchange_address: str
    role: LeaderRole
    block_number: int
    block_hash: str
    tx_hash: str
    log_index: int
    block_ts_ms: Millis | None

    def source_key(self) -> str:
        """Return blockHash|txHash|logIndex."""
        return f"{self.block_hash}|{self.tx_hash}|{self.log_index}"

    def leader_fill(self, *, fill_ts_ms: Millis, detected_at_ms: Millis) -> LeaderFill:
        """Return the fill of the order's owner (the `maker` topic)."""
        event = self.event
        return LeaderFill(
            leader=event.maker,
            source=Source.POLYGON,
            tx_hash=self.tx_hash,
            token_id=event.token_id,
            side=event.side,
            role=self.role,
            price=event.price,
            size=event.shares,
            usdc=event.usdc,
            fee=None if event.fee_in_shares and event.fee else event.fee,
            fill_ts_ms=fill_ts_ms,
            detected_at_ms=detected_at_ms,
            place=LogPlace(
                exchange_address=self.exchange_address,
                block_number=self.block_number,
                block_hash=self.block_hash,
                log_index=self.log_index,
                order_hash=event.order_hash,
                maker=event.maker,
                taker=event.taker,
            ),
        )

    def sighting(self, log: Mapping[str, Any], *, fill_ts_ms: Millis, detected_at_ms: Millis) -> Sighting:
        """Return the report of this fill with the log as it was received."""
        return Sighting(
            fill=self.leader_fill(fill_ts_ms=fill_ts_ms, detected_at_ms=detected_at_ms),
            source_key=self.source_key(),
            payload=msgspec.json.encode(log).decode(),
        )


EventDecoder: TypeAlias = Callable[[list[str], str], Event]
Registry: TypeAlias = Mapping[tuple[str, str], EventDecoder]


def registry(exchanges: tuple[str, ...], exchanges_v1: tuple[str, ...] = ()) -> Registry:
    """Return the decoders by (lower-case address, topic0): the allow-list of what may become a fill."""
    known: dict[tuple[str, str], EventDecoder] = {(address, TOPIC_V2): decode_v2 for address in exchanges}
    known.update({(address, TOPIC_V1): decode_v1 for address in exchanges_v1})
    return known


def decode_log(log: object, decoders: Registry) -> DecodedFill:
    """Return what a raw JSON log says.

    :raises MalformedLogError: the log is not of an allow-listed exchange, or breaks a rule.
    """
    if not isinstance(log, dict):
        raise MalformedLogError("not-an-object")
    if log.get("removed"):
        raise MalformedLogError("removed")
    address, topics, data = log.get("address"), log.get("topics"), log.get("data")
    if not isinstance(address, str):
        raise MalformedLogError("address")
    if not isinstance(topics, list) or not topics or not isinstance(topics[0], str):
        raise MalformedLogError("topics")
    if not isinstance(data, str):
        raise MalformedLogError("data")
    exchange = address.lower()
    decoder = decoders.get((exchange, topics[0].lower()))
    if decoder is None:
        raise MalformedLogError("unknown-contract-or-topic")
    event = decoder(topics, data)
    stamp = log.get("blockTimestamp")
    return DecodedFill(
        event,
        exchange,
        LeaderRole.TAKER if event.taker == exchange else LeaderRole.MAKER,
        quantity(log.get("blockNumber"), "block-number"),
        full_hash(log.get("blockHash"), "block-hash"),
        full_hash(log.get("transactionHash"), "transaction-hash"),
        quantity(log.get("logIndex"), "log-index"),
        None if stamp is None else quantity(stamp, "block-timestamp") * 1000,
    )


def decode_v2(topics: list[str], data: str) -> Event:
    """Decode side, token, makerAmountFilled, takerAmountFilled, fee, builder, metadata.

    :raises MalformedLogError: the layout or a value breaks a rule.
    """
    words = _words(topics, data, _WORDS_V2)
    side_high, side, token, given_high, given, got_high, got, fee_high, fee = _LAYOUT_V2.unpack(words)
    if side_high != _ZERO_31 or side > 1:
        raise MalformedLogError("side")
    if given_high != _ZERO_24 or got_high != _ZERO_24 or fee_high != _ZERO_24:
        raise MalformedLogError("amount-out-of-range")
    if side == 0:
        return _event(topics, Side.BUY, token, shares=got, usdc=given, fee=fee)
    return _event(topics, Side.SELL, token, shares=given, usdc=got, fee=fee)


def decode_v1(topics: list[str], data: str) -> Event:
    """Decode makerAssetId, takerAssetId, makerAmountFilled, takerAmountFilled, fee; asset 0 is collateral.

    :raises MalformedLogError: the layout or a value breaks a rule.
    """
    words = _words(topics, data, _WORDS_V1)
    given_asset, got_asset, given_high, given, got_high, got, fee_high, fee = _LAYOUT_V1.unpack(words)
    if given_high != _ZERO_24 or got_high != _ZERO_24 or fee_high != _ZERO_24:
        raise MalformedLogError("amount-out-of-range")
    if given_asset == _ZERO_32:
        return _event(topics, Side.BUY, got_asset, shares=got, usdc=given, fee=fee, fee_in_shares=True)
    if got_asset != _ZERO_32:
        raise MalformedLogError("no-collateral")
    return _event(topics, Side.SELL, given_asset, shares=given, usdc=got, fee=fee)


def quantity(value: object, field: str) -> int:
    """Return a JSON-RPC quantity.

    :raises MalformedLogError: not 0x and hex digits, or beyond 60 bits.
    """
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise MalformedLogError(field)
    return int(value, 16)


def full_hash(value: object, field: str) -> str:
    """Return a 32-byte hash in lower case.

    :raises MalformedLogError: not 0x and 64 hex digits.
    """
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise MalformedLogError(field)
    return value.lower()


def maker_topic(address: str) -> str:
    """Return the topic that selects the orders of an address."""
    return ADDRESS_PADDING + address[2:]


def _words(topics: list[str], data: str, words: int) -> bytes:
    """Return the data of a log whose topics and data have exactly the right shape."""
    if len(topics) != _TOPICS:
        raise MalformedLogError("topic-count")
    try:
        _, order_hash, maker, taker = topics
        hexed = order_hash[2:] + maker[2:] + taker[2:] + data[2:]
        # Fixed lengths on both sides: fromhex skips blanks, which would come out short.
        shaped = len(order_hash) == len(maker) == len(taker) == 66 and len(data) == 2 + 64 * words
        raw = bytes.fromhex(hexed) if shaped else b""
    except (TypeError, ValueError):
        raise MalformedLogError("not-hex") from None
    if len(raw) != 32 * (3 + words):
        raise MalformedLogError("length")
    if not (order_hash.startswith("0x") and data.startswith("0x")):
        raise MalformedLogError("not-hex")
    if not (maker.startswith(ADDRESS_PADDING) and taker.startswith(ADDRESS_PADDING)):
        raise MalformedLogError("address-topic")
    return raw[96:]


def _event(
    topics: list[str], side: Side, token: bytes, *, shares: int, usdc: int, fee: int, fee_in_shares: bool = False
) -> Event:
    if shares == 0 or usdc == 0:
        raise MalformedLogError("zero-amount")
    if max(shares, usdc, fee) > AMOUNT_MAX:
        raise MalformedLogError("amount-out-of-range")
    if token == _ZERO_32:
        raise MalformedLogError("zero-token")
    price = price_half_up(usdc, shares)
    if usdc > shares or price == 0:
        raise MalformedLogError("price-out-of-range")
    return Event(
        topics[1].lower(),
        "0x" + topics[2][26:].lower(),
        "0x" + topics[3][26:].lower(),
        side,
        str(int.from_bytes(token)),
        shares,
        usdc,
        price,
        fee,
        fee_in_shares,
    )
