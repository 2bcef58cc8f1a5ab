"""The part of the ledger that the way to real orders needs: shadows on paper, and how far an account may go."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import IntegrityError

from copytrade.adapters.sql import events
from copytrade.adapters.sql.ladder_tables import IS_OPEN_SHADOW, live_rung, shadow_order
from copytrade.adapters.sql.live_orders import fill_of
from copytrade.adapters.sql.statements import chunks, insert
from copytrade.adapters.sql.tables import execution_attempt, execution_fill, leader_fill, worker_event
from copytrade.domain.attempts import AttemptStatus, Reason, Settlement
from copytrade.domain.fills import Side
from copytrade.domain.ids import leader_id
from copytrade.domain.ladder import MOVED, Rung, Standing
from copytrade.domain.shadow import Run, ShadowedAttempt, ShadowOrder
from copytrade.ports.ladder import LadderStore

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from uuid import UUID

    from sqlalchemy import ColumnElement, Row, Select

    from copytrade.adapters.sql.engine import Database
    from copytrade.adapters.sql.rows import Values
    from copytrade.domain.attempts import ExecutionFill
    from copytrade.domain.units import Millis


class SqlLadderStore(LadderStore):
    """An open database whose schema is current."""

    _database: Database

    async def keep_shadows(self, shadows: Sequence[ShadowOrder]) -> None:
        if shadows:
            await self._database.write(partial(_keep, shadows=shadows))

    async def open_shadows(self) -> tuple[ShadowOrder, ...]:
        return await self._database.read(_open)

    async def shadowed(
        self, *, since_ms: Millis, limit: int, account_id: str | None = None, leader: str | None = None
    ) -> tuple[ShadowedAttempt, ...]:
        attempt = execution_attempt.c
        asked = [attempt.created_at >= since_ms]
        if account_id is not None:
            asked.append(attempt.account_id == account_id)
        if leader is not None:
            asked.append(attempt.leader_fill_id.in_(_fills_of(leader)))
        return await self._database.read(partial(_shadowed, asked=asked, limit=limit))

    async def standing(self, account_id: str) -> Standing | None:
        return await self._database.read(partial(_standing, account_id=account_id))

    async def move_rung(
        self, account_id: str, rung: Rung, *, after: int, by: str, why: str, at_ms: Millis
    ) -> Standing | None:
        moved = Standing(account_id=account_id, rung=rung, revision=after + 1, moved_by=by, why=why, since_ms=at_ms)
        try:
            return await self._database.write_alone(partial(_move, moved=moved))
        except IntegrityError:
            return None  # another process was there first

    async def noted_since(self, codes: Collection[str], *, since_ms: Millis) -> int:
        return await self._database.read(partial(_noted, codes=codes, since_ms=since_ms))


def _fills_of(leader: str) -> Select[tuple[UUID]]:
    return select(leader_fill.c.id).where(leader_fill.c.leader_id == leader_id(leader))


def _shadowed(
    connection: Connection, *, asked: Iterable[ColumnElement[bool]], limit: int
) -> tuple[ShadowedAttempt, ...]:
    """Return the newest attempts of which all of `asked` holds and that have a shadow."""
    attempt = execution_attempt.c
    told = (attempt.id, attempt.token_id, attempt.side, attempt.decided_at, attempt.size_shares_target)
    statement = (
        select(
            *told,
            attempt.status.label("live_status"),
            attempt.order_hash,
            *(one for one in shadow_order.c if one.name != "attempt_id"),
        )
        .join_from(execution_attempt, shadow_order, shadow_order.c.attempt_id == attempt.id)
        .where(*asked)
        .order_by(attempt.created_at.desc(), attempt.id)
        .limit(limit)
    )
    rows = connection.execute(statement).all()
    booked = _booked(connection, [row.id for row in rows])
    return tuple(_beside(row, booked[row.id]) for row in rows)


def _beside(row: Row[Any], booked: Sequence[ExecutionFill]) -> ShadowedAttempt:
    live = Run(status=AttemptStatus(row.live_status))
    for fill in booked:
        live = live.with_fill(fill)
    return ShadowedAttempt(
        attempt_id=row.id,
        token_id=row.token_id,
        is_sent=row.order_hash is not None,
        side=Side(row.side),
        decided_at_ms=row.decided_at,
        target_shares=row.size_shares_target,
        live=live,
        paper=_run_of(row),
    )


def _booked(connection: Connection, attempt_ids: list[UUID]) -> dict[UUID, list[ExecutionFill]]:
    """Return what was really executed of each attempt, without what failed on the chain."""
    booked: dict[UUID, list[ExecutionFill]] = defaultdict(list)
    fill = execution_fill.c
    for ids in chunks(attempt_ids):
        counted = select(execution_fill).where(fill.attempt_id.in_(ids), fill.settlement != Settlement.FAILED)
        for row in connection.execute(counted):
            booked[row.attempt_id].append(fill_of(row))
    return booked


def _keep(connection: Connection, shadows: Sequence[ShadowOrder]) -> None:
    statement = insert(connection, shadow_order)
    replaced = {column.name: statement.excluded[column.name] for column in shadow_order.c if not column.primary_key}
    statement = statement.on_conflict_do_update(index_elements=["attempt_id"], set_=replaced)
    connection.execute(statement, [_values(shadow) for shadow in shadows])


def _open(connection: Connection) -> tuple[ShadowOrder, ...]:
    ordered = select(shadow_order).where(text(IS_OPEN_SHADOW)).order_by(shadow_order.c.attempt_id)
    return tuple(map(_shadow_of, connection.execute(ordered)))


def _standing(connection: Connection, account_id: str) -> Standing | None:
    of_account = select(live_rung).where(live_rung.c.account_id == account_id)
    row = connection.execute(of_account.order_by(live_rung.c.revision.desc()).limit(1)).first()
    if row is None:
        return None
    return Standing(
        account_id=row.account_id,
        rung=Rung(row.rung),
        revision=row.revision,
        moved_by=row.moved_by,
        why=row.why,
        since_ms=row.since,
    )


def _move(connection: Connection, moved: Standing) -> Standing | None:
    known = _standing(connection, moved.account_id)
    if (known.revision if known else 0) != moved.revision - 1:
        return None
    connection.execute(
        live_rung.insert().values(
            account_id=moved.account_id,
            revision=moved.revision,
            rung=moved.rung,
            moved_by=moved.moved_by,
            why=moved.why,
            since=moved.since_ms,
        )
    )
    events.note(connection, MOVED, moved.told(), at_ms=moved.since_ms)
    return moved


def _noted(connection: Connection, *, codes: Collection[str], since_ms: Millis) -> int:
    event = worker_event.c
    counted = select(func.count()).where(event.code.in_(sorted(codes)), event.at >= since_ms)
    return int(connection.execute(counted).scalar_one())


def _values(shadow: ShadowOrder) -> Values:
    return {
        "attempt_id": shadow.attempt_id,
        "status": shadow.run.status,
        "reason": None if shadow.reason is None else json.dumps(shadow.reason.as_json()),
        "filled_shares": shadow.run.filled_shares,
        "filled_usdc": shadow.run.filled_usdc,
        "placed_at": shadow.placed_at_ms,
        "first_fill_at": shadow.run.first_fill_at_ms,
        "done_at": shadow.done_at_ms,
    }


def _shadow_of(row: Row[Any]) -> ShadowOrder:
    return ShadowOrder(
        attempt_id=row.attempt_id,
        placed_at_ms=row.placed_at,
        run=_run_of(row),
        reason=None if row.reason is None else _reason_of(json.loads(row.reason)),
        done_at_ms=row.done_at,
    )


def _run_of(row: Row[Any]) -> Run:
    return Run(
        status=AttemptStatus(row.status),
        filled_shares=row.filled_shares,
        filled_usdc=row.filled_usdc,
        first_fill_at_ms=row.first_fill_at,
    )


def _reason_of(document: dict[str, str]) -> Reason:
    (_, code), *numbers = document.items()
    return Reason(code=code, numbers=tuple(numbers))
