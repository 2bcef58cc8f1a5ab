"""The body of `POST /order`, read strictly, and what its amounts mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from copytrade.sandbox.events import BUY, SELL
from copytrade.sandbox.micro import ONE
from copytrade.sandbox.trading.refusal import RefusedError
from copytrade.sandbox.trading.typed_data import OrderFields

SALT_MAX = 2**53 - 1
"""The salt is a JSON number; a larger one would not survive a double."""
UINT256_MAX = 2**256 - 1

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_WORD = re.compile(r"0x[0-9a-fA-F]{64}")
_HEX = re.compile(r"0x([0-9a-fA-F]{2})*")
_DIGITS = re.compile(r"[0-9]{1,78}")
_FIRST_VERSION_KEYS = {"taker", "nonce", "feeRateBps"}


class OrderType(StrEnum):
    """What becomes of an order that does not match at once, or not wholly."""

    GTC = "GTC"
    GTD = "GTD"
    FOK = "FOK"
    FAK = "FAK"

    @property
    def rests(self) -> bool:
        """Whether what is left stays on the book."""
        return self in (OrderType.GTC, OrderType.GTD)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOrder:
    """An order as posted; `owner` is the API key it is posted under, `expiration` in Unix seconds."""

    fields: OrderFields
    signature: bytes
    expiration: int
    owner: str
    order_type: OrderType
    post_only: bool

    @property
    def collateral(self) -> int:
        """What a buyer offers or a seller asks at least, micro-units."""
        return self.fields.maker_amount if self.fields.side == BUY else self.fields.taker_amount

    @property
    def shares(self) -> int:
        """What a buyer asks or a seller offers, micro-shares."""
        return self.fields.taker_amount if self.fields.side == BUY else self.fields.maker_amount

    @property
    def spends_budget(self) -> bool:
        """Whether it buys for an amount of collateral, not a number of shares."""
        return self.fields.side == BUY and not self.order_type.rests

    @property
    def price_text(self) -> str:
        """The price the amounts make, spelled as the venue's errors do."""
        return str(self.collateral / self.shares)

    def limit(self, tick: int) -> int:
        """Return the worst price on the grid that the amounts allow, micro-units."""
        numerator = self.collateral * ONE
        steps = numerator // (self.shares * tick)
        is_exact = numerator == steps * self.shares * tick
        return (steps if is_exact or self.fields.side == BUY else steps + 1) * tick


def read_order(body: Any) -> SignedOrder:
    """Read one item of a post; raises RefusedError for anything malformed."""
    if not isinstance(body, dict) or not isinstance(body.get("order"), dict):
        raise _malformed()
    order = body["order"]
    if "timestamp" not in order and order.keys() >= _FIRST_VERSION_KEYS:
        raise RefusedError("invalid order version, please use the latest clob-client")
    if order.get("side") not in ("BUY", "SELL") or not isinstance(body.get("owner"), str):
        raise _malformed()
    return SignedOrder(
        fields=OrderFields(
            salt=_whole(order, "salt", SALT_MAX),
            maker=_matching(order, "maker", _ADDRESS),
            signer=_matching(order, "signer", _ADDRESS),
            token=_decimal(order, "tokenId"),
            maker_amount=_positive(order, "makerAmount"),
            taker_amount=_positive(order, "takerAmount"),
            side=BUY if order["side"] == "BUY" else SELL,
            signature_type=_whole(order, "signatureType", 3),
            timestamp=_decimal(order, "timestamp"),
            metadata=int(_matching(order, "metadata", _WORD), 16),
            builder=int(_matching(order, "builder", _WORD), 16),
        ),
        signature=bytes.fromhex(_matching(order, "signature", _HEX)[2:]),
        expiration=_decimal(order, "expiration"),
        owner=body["owner"],
        order_type=_order_type(body.get("orderType")),
        post_only=_flag(body, "postOnly"),
    )


def _malformed() -> RefusedError:
    return RefusedError("Invalid order payload")


def _order_type(value: object) -> OrderType:
    try:
        return OrderType(str(value))
    except ValueError as error:
        raise _malformed() from error


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise _malformed()
    return value


def _whole(order: dict[str, Any], name: str, most: int) -> int:
    value = order.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise _malformed()
    return value


def _matching(order: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = order.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _malformed()
    return value.lower()


def _decimal(order: dict[str, Any], name: str) -> int:
    value = int(_matching(order, name, _DIGITS))
    if value > UINT256_MAX:
        raise _malformed()
    return value


def _positive(order: dict[str, Any], name: str) -> int:
    value = _decimal(order, name)
    if value == 0:
        raise _malformed()
    return value
