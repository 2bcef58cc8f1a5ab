"""Which leader fill a person means by an id, a hash or a key, whole or its beginning."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, and_, select

from copytrade.adapters.sql.tables import execution_attempt, execution_fill, leader_fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column, ColumnElement

MATCHES_MAX: Final = 20
"""So many matches are told of an ambiguous beginning."""
PREFIX_MIN: Final = 4
_UUID_START: Final = re.compile(r"[0-9a-f-]+")
_HASH_START: Final = re.compile(r"0x[0-9a-f]{0,64}")
_UUID_DIGITS: Final = 32
_ABOVE_EVERY_DIGIT: Final = "g"


class Match(NamedTuple):
    """A fill that is meant, and by what."""

    fill_id: UUID
    what: str


def find_fills(connection: Connection, name: str) -> list[Match]:
    """Return the fills that an id of a fill, an attempt or an execution, a transaction or order hash, or a key names.

    At most one more than MATCHES_MAX. Each fill is told once.

    :raises ValueError: the text is none of these.
    """
    found: dict[UUID, Match] = {}
    for match in _matches(connection, name.strip().lower()):
        found.setdefault(match.fill_id, match)
        if len(found) > MATCHES_MAX:
            break
    return list(found.values())


def _matches(connection: Connection, name: str) -> Iterator[Match]:
    fill, attempt, execution = leader_fill.c, execution_attempt.c, execution_fill.c
    matching = partial(_matching, connection)
    if "|" in name:
        yield from matching("dedupe key", fill.id, fill.dedupe_key, fill.dedupe_key == name)
    elif _HASH_START.fullmatch(name):
        _require(name.removeprefix("0x"))
        is_tx = and_(fill.tx_hash >= name, fill.tx_hash < name + _ABOVE_EVERY_DIGIT)
        yield from matching("transaction", fill.id, fill.tx_hash, is_tx)
        yield from matching("order", attempt.leader_fill_id, attempt.order_hash, attempt.order_hash == name)
    elif _UUID_START.fullmatch(name):
        digits = name.replace("-", "")
        _require(digits)
        yield from matching("fill", fill.id, fill.id, _starts_with(fill.id, digits))
        yield from matching("attempt", attempt.leader_fill_id, attempt.id, _starts_with(attempt.id, digits))
        of_execution = select(attempt.leader_fill_id).where(attempt.id == execution.attempt_id).scalar_subquery()
        yield from matching("execution", of_execution, execution.id, _starts_with(execution.id, digits))
    else:
        raise ValueError(
            "not an id of a fill, an attempt or an execution, not a transaction hash (0x...), not a dedupe key (a|b|c)"
        )


def _matching(
    connection: Connection, kind: str, fill_id: Any, named: Column[Any], condition: ColumnElement[bool]
) -> Iterator[Match]:
    statement = select(fill_id, named).where(condition).order_by(named).limit(MATCHES_MAX + 1)
    for found, value in connection.execute(statement):
        yield Match(found, f"{kind} {value}")


def _require(digits: str) -> None:
    if len(digits) < PREFIX_MIN:
        raise ValueError(f"too short: give at least {PREFIX_MIN} digits of an id or hash")


def _starts_with(column: Column[Any], digits: str) -> ColumnElement[bool]:
    """Ask for a range, which an index answers on both databases."""
    if len(digits) > _UUID_DIGITS:
        raise ValueError("too long for an id")
    first, last = (UUID(digits.ljust(_UUID_DIGITS, filler)) for filler in ("0", "f"))
    return column.between(first, last)
