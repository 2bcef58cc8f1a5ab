"""The fields of a trade as the venue's interfaces write them, each taken only if it can be right."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Final, NoReturn

from copytrade.domain.fills import Side
from copytrade.domain.units import MICRO

AMOUNT_MAX: Final = Decimal(10**12)
STAMP_MIN_S: Final = 1_500_000_000
STAMP_MAX_S: Final = 4_000_000_000

_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_TOKEN: Final = re.compile(r"[1-9][0-9]{0,77}")


class MalformedError(Exception):
    """Something cannot be taken at face value; `reason` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def token_of(value: object) -> str:
    """Return a token id.

    :raises MalformedError: it is none.
    """
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise MalformedError("token")
    return value


def side_of(value: object) -> Side:
    """Return BUY or SELL.

    :raises MalformedError: it is neither.
    """
    if not isinstance(value, str) or value not in set(Side):
        raise MalformedError("side")
    return Side(value)


def tx_hash_of(value: object) -> str:
    """Return a transaction's hash in lower case.

    :raises MalformedError: it is none.
    """
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise MalformedError("transaction-hash")
    return value.lower()


def stamp_of(value: object) -> int:
    """Return a Unix time in seconds.

    :raises MalformedError: it is none of these decades.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not STAMP_MIN_S <= value <= STAMP_MAX_S:
        raise MalformedError("timestamp")
    return value


def positive(value: object, field: str, most: Decimal) -> Decimal:
    """Return a number above zero, exactly as it was written.

    :raises MalformedError: it is no number, or out of bounds; the reason is the field's name.
    """
    number = amount(value, field, most)
    if not number:
        raise MalformedError(field)
    return number


def amount(value: object, field: str, most: Decimal) -> Decimal:
    """Return a number, zero too, exactly as it was written.

    :raises MalformedError: it is no number, or out of bounds; the reason is the field's name.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise MalformedError(field)
    number = Decimal(value)
    try:
        is_possible = 0 <= number <= most
    except InvalidOperation:
        is_possible = False
    if not is_possible:
        raise MalformedError(field)
    return number


def nearest_micro(value: Decimal) -> int:
    """Return micro-units, to the nearest, halves up: interfaces write doubles, which may miss by a hair."""
    return int((value * MICRO).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def amount_micro(value: object, field: str) -> int:
    """Return a number of shares or dollars, zero too, in micro-units.

    :raises MalformedError: it is no number, negative or absurd.
    """
    return nearest_micro(amount(value, field, AMOUNT_MAX))


def refuse_constant(name: str) -> NoReturn:
    """Refuse what JSON does not know, NaN and the infinities; for `json.loads`."""
    raise ValueError(name)
