"""The statements a fill waits for, from the report of a source to the order on its way.

They are here, apart from the others and prepared, because the bare commits of this path are what its speed is
measured against (docs/BENCHMARKS.md). Lists travel as one parameter, so that each statement has one text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import any_, bindparam, case, exists, func, insert, null, or_, select, update

from copytrade.adapters.sql.columns import Texts
from copytrade.adapters.sql.prepared import Prepared
from copytrade.adapters.sql.statements import insert_on
from copytrade.adapters.sql.tables import carry, execution_attempt, leader, leader_fill, leader_fill_raw, polygon_cursor
from copytrade.domain.attempts import AttemptStatus

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Dialect, Insert, Select, Update


def _is_one_of(dialect: Dialect, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    given = bindparam(name, type_=Texts(), required=True)
    if dialect.name == "sqlite":
        return column.in_(select(func.json_each(given).table_valued("value").c.value))
    return column == any_(given)


def _followed(dialect: Dialect) -> Select[Any]:
    is_known = exists().where(_is_one_of(dialect, leader_fill.c.tx_hash, "tx_hashes")).select_from(leader_fill)
    since = leader.c.followed_since.label("followed_since_ms")
    return select(leader.c.address, leader.c.id, since, is_known.label("is_known")).where(
        leader.c.enabled, _is_one_of(dialect, leader.c.address, "addresses")
    )


def _add_fill(_dialect: Dialect) -> Insert:
    return insert(leader_fill)


def _add_raw(_dialect: Dialect) -> Insert:
    return insert(leader_fill_raw)


def _keep_raw(dialect: Dialect) -> Insert:
    statement = insert_on(dialect, leader_fill_raw)
    return statement.on_conflict_do_update(
        index_elements=["source", "source_key"],
        set_={"leader_fill_id": statement.excluded.leader_fill_id},
        where=leader_fill_raw.c.leader_fill_id.is_(null()),
    )


def _any_kept(dialect: Dialect) -> Select[Any]:
    raw = leader_fill_raw.c
    is_kept = exists().where(
        _is_one_of(dialect, raw.source, "sources"), _is_one_of(dialect, raw.source_key, "source_keys")
    )
    return select(is_kept.label("is_kept"))


def _advance(dialect: Dialect) -> Insert:
    statement = insert_on(dialect, polygon_cursor)
    given, stored = statement.excluded, polygon_cursor.c
    return statement.on_conflict_do_update(
        index_elements=["exchange_address", "leader_address", "role"],
        set_={
            "last_processed_block": _later(stored.last_processed_block, given.last_processed_block),
            "proved_block": _later(stored.proved_block, given.proved_block),
            "updated_at": given.updated_at,
        },
    )


def _later(stored: ColumnElement[Any], given: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((or_(stored.is_(None), given > stored), given), else_=stored)


def _record(dialect: Dialect) -> Insert:
    return insert_on(dialect, execution_attempt).on_conflict_do_nothing(
        index_elements=["leader_fill_id", "strategy_id", "account_id"]
    )


def _keep_carry(dialect: Dialect) -> Insert:
    statement = insert_on(dialect, carry)
    moved = ("side", "shares", "leader_usdc", "fills", "since", "updated_at")
    return statement.on_conflict_do_update(
        index_elements=["strategy_id", "account_id", "leader_id", "token_id"],
        set_={name: statement.excluded[name] for name in moved},
    )


def _is_decided(_dialect: Dialect) -> Update:
    return update(leader_fill).where(leader_fill.c.id == bindparam("fill_id")).values(awaits_decision=False)


def _submit(_dialect: Dialect) -> Update:
    attempt = execution_attempt.c
    is_orphaned = exists().where(leader_fill.c.id == attempt.leader_fill_id, leader_fill.c.orphaned_at.is_not(None))
    return (
        update(execution_attempt)
        .where(attempt.id == bindparam("attempt_id"), attempt.status == AttemptStatus.PENDING, ~is_orphaned)
        .values(
            status=AttemptStatus.SUBMITTED,
            order_type=bindparam("type"),
            order_hash=bindparam("hash"),
            placed_at=bindparam("at_ms"),
        )
    )


FOLLOWED: Final = Prepared(_followed)
"""The enabled leaders of some addresses, and whether any of some transactions has a fill already."""
ADD_FILL: Final = Prepared(_add_fill)
ADD_RAW: Final = Prepared(_add_raw)
"""Keep a payload that is known not to be kept yet."""
KEEP_RAW: Final = Prepared(_keep_raw)
"""Keep a payload; one that was kept before its fill was known is linked to it."""
ANY_KEPT: Final = Prepared(_any_kept)
"""Whether any of some payloads is kept already."""
ADVANCE: Final = Prepared(_advance)
"""Move a cursor forward, or make it."""
RECORD: Final = Prepared(_record)
KEEP_CARRY: Final = Prepared(_keep_carry)
"""Say what waits of a leader's fills of a token from now on."""
IS_DECIDED: Final = Prepared(_is_decided)
SUBMIT: Final = Prepared(_submit)
