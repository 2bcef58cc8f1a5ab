"""Reading the bodies of control commands; every complaint names the key and what is expected of it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, TypeVar

from copytrade.sandbox.http_message import BadRequestError
from copytrade.sandbox.micro import parse_micro

Body = dict[str, Any]
Choice = TypeVar("Choice", bound=StrEnum)

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def read_address(body: Body, name: str) -> str:
    """Return an address in lower case."""
    value = body.get(name)
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise wrong(name, "an address")
    return value.lower()


def read_amount(body: Body, name: str) -> int:
    """Return a decimal in micro-units."""
    try:
        amount = parse_micro(str(body.get(name)))
    except ValueError as error:
        raise wrong(name, "a decimal with at most six places") from error
    if amount < 0:
        raise wrong(name, "not a negative number")
    return amount


def read_whole(body: Body, name: str, default: int) -> int:
    """Return a whole number that is not negative."""
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise wrong(name, "a whole number")
    return value


def read_rate(body: Body, name: str, default: float) -> float:
    """Return a number from 0 to 1."""
    value = body.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise wrong(name, "a number from 0 to 1")
    return float(value)


def read_choice(body: Body, name: str, kind: type[Choice]) -> Choice:
    """Return one of a kind's values."""
    try:
        return kind(str(body.get(name)))
    except ValueError as error:
        raise wrong(name, f"one of {list(kind)}") from error


def read_choices(body: Body, name: str, kind: type[Choice]) -> list[Choice]:
    """Return a list of a kind's values; none when it is not given."""
    values = body.get(name, [])
    if not isinstance(values, list):
        raise wrong(name, f"a list of {list(kind)}")
    return [read_choice({name: value}, name, kind) for value in values]


def wrong(name: str, expected: str) -> BadRequestError:
    """Return the answer to a wrong value."""
    return BadRequestError({"error": f"{name}: {expected} is expected"})
