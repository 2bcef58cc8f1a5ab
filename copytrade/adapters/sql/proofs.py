"""What is known of the chain, and when it must be read anew: proved ranges, and cursors that no longer hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, and_, delete, insert, select, update

from copytrade.adapters.sql import chain, leaders
from copytrade.adapters.sql import ingest as reports
from copytrade.adapters.sql.tables import chain_head, leader, polygon_cursor, proved_range
from copytrade.ports.leader_fills import CursorScope, ProofMethod, ProvedRange

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from copytrade.domain.leaders import Leader
    from copytrade.domain.units import Millis
    from copytrade.ports.leader_fills import FillsRemoved, FillsSeen
    from copytrade.ports.ledger import Ingested, Orphaned

_CHAIN: Final = "polygon"
_BETWEEN_METHODS: Final = "+"


def add_leader(connection: Connection, given: Leader) -> bool:
    """Store a leader; one who is followed from an earlier time than before is to be read anew."""
    before_ms = connection.execute(select(leader.c.followed_since).where(leader.c.address == given.address)).scalar()
    is_stored = leaders.add_leader(connection, given)
    if is_stored and before_ms is not None and given.followed_since_ms < before_ms:
        connection.execute(delete(polygon_cursor).where(polygon_cursor.c.leader_address == given.address))
    return is_stored


def ingest(connection: Connection, seen: FillsSeen, *, now_ms: Millis) -> Ingested:
    """Store a batch, and what is proved with it."""
    ingested = reports.ingest(connection, seen, now_ms=now_ms)
    for proved in seen.proved:
        _store(connection, proved, now_ms=now_ms)
    if seen.head_block is not None:
        _store_head(connection, seen.head_block, now_ms=now_ms)
    return ingested


def orphan(connection: Connection, removed: FillsRemoved, *, now_ms: Millis) -> Orphaned:
    """Take fills away, and what was proved above the block that is left."""
    orphaned = chain.orphan(connection, removed, now_ms=now_ms)
    if removed.rewind_to is not None:
        _cut(connection, removed.rewind_to)
    return orphaned


def all_ranges(connection: Connection) -> tuple[ProvedRange, ...]:
    """Return every range, by scope and block."""
    rows = connection.execute(select(proved_range).order_by(*proved_range.primary_key))
    return tuple(
        ProvedRange(
            scope=CursorScope(exchange_address=row.exchange_address, leader_address=row.leader_address),
            from_block=row.from_block,
            to_block=row.to_block,
            methods=frozenset(map(ProofMethod, row.method.split(_BETWEEN_METHODS))),
            is_single_source=row.single_source,
        )
        for row in rows
    )


def _store(connection: Connection, proved: ProvedRange, *, now_ms: Millis) -> None:
    """Add a range, as one with those it touches."""
    stored = proved_range.c
    touching = and_(
        _is_of(proved.scope),
        stored.single_source.is_(proved.is_single_source),
        stored.from_block <= proved.to_block + 1,
        stored.to_block >= proved.from_block - 1,
    )
    rows = connection.execute(select(stored.from_block, stored.to_block, stored.method).where(touching)).all()
    methods = {*proved.methods, *(method for row in rows for method in row.method.split(_BETWEEN_METHODS))}
    from_block = min([proved.from_block, *(row.from_block for row in rows)])
    changed = {
        "to_block": max([proved.to_block, *(row.to_block for row in rows)]),
        "method": _BETWEEN_METHODS.join(sorted(methods)),
        "proved_at": now_ms,
    }
    if len(rows) == 1 and rows[0].from_block == from_block:
        connection.execute(update(proved_range).where(touching).values(changed))
        return
    if rows:
        connection.execute(delete(proved_range).where(touching))
    key = {
        "exchange_address": proved.scope.exchange_address,
        "leader_address": proved.scope.leader_address,
        "single_source": proved.is_single_source,
        "from_block": from_block,
    }
    connection.execute(insert(proved_range).values(key | changed))


def _store_head(connection: Connection, block_number: int, *, now_ms: Millis) -> None:
    values = {"block_number": block_number, "updated_at": now_ms}
    if connection.execute(update(chain_head).where(chain_head.c.chain == _CHAIN).values(values)).rowcount == 0:
        connection.execute(insert(chain_head).values(values | {"chain": _CHAIN}))


def _cut(connection: Connection, block: int) -> None:
    """Forget what is above `block` of what was proved for everyone."""
    stored = proved_range.c
    connection.execute(delete(proved_range).where(_is_of(CursorScope()), stored.from_block > block))
    connection.execute(
        update(proved_range).where(_is_of(CursorScope()), stored.to_block > block).values(to_block=block)
    )


def _is_of(scope: CursorScope) -> ColumnElement[bool]:
    stored = proved_range.c
    return and_(stored.exchange_address == scope.exchange_address, stored.leader_address == scope.leader_address)
