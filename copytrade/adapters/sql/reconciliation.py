"""The part of the ledger that comparisons with the chain use, and what they repair."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection, exists, insert, select, update

from copytrade.adapters.sql import accounts, chain
from copytrade.adapters.sql.audit import ROWS_AT_ONCE
from copytrade.adapters.sql.audit_text import Dialect, statements
from copytrade.adapters.sql.events import timed_id
from copytrade.adapters.sql.executions import positions, save_balance, save_position
from copytrade.adapters.sql.reconciliation_tables import reconciliation
from copytrade.adapters.sql.statements import chunks
from copytrade.adapters.sql.tables import execution_attempt, leader_fill, market_token
from copytrade.domain.folding import refold
from copytrade.domain.money import Balance
from copytrade.domain.positions import Position
from copytrade.domain.reconciliation import Summary
from copytrade.ports.audit import EntryRow
from copytrade.ports.reconciliation import ReconciliationStore

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from uuid import UUID

    from copytrade.adapters.sql.engine import Database
    from copytrade.domain.units import Millis
    from copytrade.ports.ledger import Orphaned


class SqlReconciliationStore(ReconciliationStore):
    """An open database whose schema is current."""

    _database: Database

    async def mapped(self, token_ids: Collection[str]) -> frozenset[str]:
        return await self._database.read(partial(_mapped, token_ids=token_ids))

    async def await_decisions(self, fill_ids: Sequence[UUID]) -> int:
        return await self._database.write_alone(partial(_await_decisions, fill_ids=fill_ids))

    async def take_away(self, fill_ids: Sequence[UUID], *, now_ms: Millis) -> Orphaned:
        return await self._database.write_alone(partial(chain.take_away, fill_ids=fill_ids, now_ms=now_ms))

    async def refold(self, *, now_ms: Millis) -> int:
        return await self._database.write_alone(partial(_refold, now_ms=now_ms))

    async def keep_summary(self, summary: Summary) -> None:
        await self._database.write_alone(partial(_keep_summary, summary=summary))

    async def summaries(self, *, limit: int) -> tuple[Summary, ...]:
        return await self._database.read(partial(_summaries, limit=limit))


def _mapped(connection: Connection, *, token_ids: Collection[str]) -> frozenset[str]:
    token = market_token.c.token_id
    return frozenset(
        found
        for ids in chunks(token_ids)
        for found in connection.execute(select(token).where(token.in_(ids))).scalars()
    )


def _await_decisions(connection: Connection, *, fill_ids: Sequence[UUID]) -> int:
    fill = leader_fill.c
    has_attempt = exists().where(execution_attempt.c.leader_fill_id == fill.id)
    forgotten = (fill.awaits_decision.is_(False), fill.orphaned_at.is_(None), ~has_attempt)
    return sum(
        connection.execute(
            update(leader_fill).where(fill.id.in_(ids), *forgotten).values(awaits_decision=True)
        ).rowcount
        for ids in chunks(fill_ids)
    )


def _refold(connection: Connection, *, now_ms: Millis) -> int:
    """Fold everything anew; write only what differs."""
    stored = {(one.strategy_id, one.account_id, one.token_id): one for one in positions(connection)}
    moved: dict[tuple[str, str], int] = defaultdict(int)
    wrong = []
    with _entries(connection) as entries:
        for owner, fold, cash in refold(entries):
            moved[owner[:2]] += cash
            follows = Position(
                strategy_id=owner[0],
                account_id=owner[1],
                token_id=owner[2],
                shares=fold.shares,
                cost_usdc=fold.cost,
                realized_pnl_usdc=fold.realized,
                fees_usdc=fold.fees,
            )
            if stored.pop(owner, None) != follows:
                wrong.append(follows)
    wrong += [empty for one in stored.values() if (empty := _nothing_of(one)) != one]
    for follows in wrong:
        save_position(connection, follows, at_ms=now_ms)
    return len(wrong) + _refold_cash(connection, moved, now_ms=now_ms)


@contextmanager
def _entries(connection: Connection) -> Iterator[Iterator[EntryRow]]:
    """Stream what moved every position; the cursor is closed whatever becomes of the fold."""
    statement = statements(Dialect(is_sqlite=connection.dialect.name == "sqlite"))["entries"]
    with connection.exec_driver_sql(statement, execution_options={"yield_per": ROWS_AT_ONCE}) as rows:
        yield map(EntryRow._make, rows)


def _nothing_of(held: Position) -> Position:
    return Position(strategy_id=held.strategy_id, account_id=held.account_id, token_id=held.token_id)


def _refold_cash(connection: Connection, moved: dict[tuple[str, str], int], *, now_ms: Millis) -> int:
    known = {(one.strategy_id, one.account_id): one for one in accounts.balances(connection)}
    wrong = 0
    for owner in sorted({*known, *moved}):
        start = known[owner].start_cash_usdc if owner in known else 0
        follows = Balance(
            strategy_id=owner[0], account_id=owner[1], start_cash_usdc=start, cash_usdc=start + moved[owner]
        )
        if known.get(owner) != follows:
            save_balance(connection, follows, at_ms=now_ms)
            wrong += 1
    return wrong


def _keep_summary(connection: Connection, *, summary: Summary) -> None:
    connection.execute(
        insert(reconciliation).values(
            id=timed_id(summary.at_ms),
            at=summary.at_ms,
            from_at=summary.from_ms,
            to_at=summary.to_ms,
            leaders=summary.leaders,
            errors=summary.errors,
            pending=summary.pending,
            detail=json.dumps(list(summary.differences)),
        )
    )


def _summaries(connection: Connection, *, limit: int) -> tuple[Summary, ...]:
    kept = reconciliation.c
    rows = connection.execute(select(reconciliation).order_by(kept.at.desc(), kept.id.desc()).limit(limit))
    return tuple(
        Summary(
            at_ms=row.at,
            from_ms=row.from_at,
            to_ms=row.to_at,
            leaders=row.leaders,
            errors=row.errors,
            pending=row.pending,
            differences=tuple(json.loads(row.detail)),
        )
        for row in rows
    )
