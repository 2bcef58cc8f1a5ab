"""What was at stake at an earlier time, so that a start need not count a long history again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, func, or_, select, text

from copytrade.adapters.sql.accounts import is_of, settled_in_order
from copytrade.adapters.sql.copied import copied_executions, execution_of, moved_tokens
from copytrade.adapters.sql.money_tables import settlement
from copytrade.adapters.sql.risk_tables import kept_stake
from copytrade.adapters.sql.statements import insert as upsert
from copytrade.adapters.sql.tables import IS_OPEN, execution_attempt, execution_fill
from copytrade.domain.exposure import LineStake
from copytrade.ports.stake_memory import KeptStakes, NumberedMove

if TYPE_CHECKING:
    from copytrade.domain.units import Millis

    Owner = tuple[str, str, str]


def kept(connection: Connection, strategy_id: str, account_id: str, *, since_ms: Millis) -> tuple[KeptStakes, ...]:
    """Return what is kept from before then of the positions that are held or were moved since."""
    tokens = moved_tokens((strategy_id, account_id), since_ms).subquery()
    row = kept_stake.c
    statement = (
        select(kept_stake)
        .where(row.strategy_id == strategy_id, row.account_id == account_id, row.before_at <= since_ms)
        .where(row.token_id.in_(select(tokens.c.token_id)))
        .order_by(row.token_id)
    )
    return tuple(map(_kept_of, connection.execute(statement)))


def moves(
    connection: Connection, owner: Owner, *, after: int, before_ms: Millis, limit: int
) -> tuple[NumberedMove, ...]:
    """Return the first moves of a position after a number that a start from then on does not count one by one."""
    end = _first_to_count(connection, owner, before_ms)
    ordinal = execution_fill.c.position_ordinal
    statement = copied_executions(owner[:2]).where(execution_fill.c.token_id == owner[2], ordinal > after)
    if end is not None:
        statement = statement.where(ordinal < end)
    rows = connection.execute(statement.order_by(ordinal).limit(limit))
    found = [NumberedMove(ordinal=row.position_ordinal, move=execution_of(row)) for row in rows]
    # With as many executions as were asked for, there are more: a settlement behind the last of them has to wait.
    last = found[-1].ordinal if len(found) == limit else None
    found += [
        NumberedMove(ordinal=number, move=one)
        for number, one in settled_in_order(connection, owner)
        if number > after and (end is None or number < end) and (last is None or number < last)
    ]
    return tuple(sorted(found, key=lambda one: one.ordinal)[:limit])


def keep(connection: Connection, kept: KeptStakes) -> None:
    """Write what a position was, over what was kept of it."""
    values = {
        "strategy_id": kept.strategy_id,
        "account_id": kept.account_id,
        "token_id": kept.token_id,
        "position_ordinal": kept.ordinal,
        "before_at": kept.before_ms,
        "shares": kept.shares,
        "cost_usdc": kept.cost_usdc,
        "at_stake_usdc": kept.at_stake_usdc,
        "parts": json.dumps(kept.parts),
    }
    keys = ("strategy_id", "account_id", "token_id")
    statement = upsert(connection, kept_stake).values(values)
    moved = {name: statement.excluded[name] for name in values if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=moved))


def forget(connection: Connection, owner: Owner) -> None:
    """Keep nothing of a position any more: its past has changed."""
    connection.execute(delete(kept_stake).where(*is_of(kept_stake, owner)))


def _first_to_count(connection: Connection, owner: Owner, before_ms: Millis) -> int | None:
    """Return the number of the first entry that a start has to count one by one, None if there is none yet."""
    fill = execution_fill.c
    late = select(fill.attempt_id).where(*is_of(execution_fill, owner), fill.fill_at >= before_ms)
    is_open = select(execution_attempt.c.id).where(text(IS_OPEN), execution_attempt.c.token_id == owner[2])
    counted = or_(fill.attempt_id.in_(late), fill.attempt_id.in_(is_open))
    first = select(func.min(fill.position_ordinal)).where(*is_of(execution_fill, owner), counted)
    settled = select(func.min(settlement.c.position_ordinal)).where(
        *is_of(settlement, owner), settlement.c.settled_at >= before_ms
    )
    ordinals = [connection.execute(one).scalar_one() for one in (first, settled)]
    return min((one for one in ordinals if one is not None), default=None)


def _kept_of(row: Any) -> KeptStakes:
    return KeptStakes(
        strategy_id=row.strategy_id,
        account_id=row.account_id,
        token_id=row.token_id,
        ordinal=row.position_ordinal,
        before_ms=row.before_at,
        shares=row.shares,
        cost_usdc=row.cost_usdc,
        at_stake_usdc=row.at_stake_usdc,
        parts=tuple(LineStake(*part) for part in json.loads(row.parts)),
    )
