"""What people ask of the ledger: plain rows, ready for JSON.

Money, shares and prices are decimal text, times ISO text in UTC, ids text.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Select, func, or_, select, text

from copytrade.adapters.sql import leader_events, money_reports, redeeming, risk_reports
from copytrade.adapters.sql.columns import Instant
from copytrade.adapters.sql.plain import PlainRow, iso, plain, plain_rows
from copytrade.adapters.sql.race import race
from copytrade.adapters.sql.reconciliation_tables import reconciliation
from copytrade.adapters.sql.tables import (
    chain_head,
    execution_attempt,
    leader,
    leader_fill,
    leader_fill_raw,
    market_registry,
    market_token,
    polygon_cursor,
    position,
    worker_event,
)
from copytrade.adapters.sql.views import attempt_summary, pnl_by_day, pnl_by_leader, trade
from copytrade.domain.happenings import FIGURES, POLLING, UNTOLD
from copytrade.domain.units import format_micro

if TYPE_CHECKING:
    from sqlalchemy import Column, ColumnElement

    from copytrade.adapters.sql.engine import Database
    from copytrade.domain.redeeming import Pair, Won
    from copytrade.domain.units import Millis

EVENTS_SHOWN: Final = 10
REASONS_OF_MAX: Final = 100_000
"""The reasons of so many of the newest attempts are counted: to read those of all would take the longest by far."""
_REASONS: Final = {
    "sqlite": "SELECT json_extract(r.value, '$.code') AS code, count(*) AS n FROM "
    "(SELECT decision_reason FROM execution_attempt ORDER BY created_at DESC LIMIT :most) a, "
    "json_each(a.decision_reason) r GROUP BY 1 ORDER BY 1",
    "postgresql": "SELECT r.value ->> 'code' AS code, count(*) AS n FROM "
    "(SELECT decision_reason FROM execution_attempt ORDER BY created_at DESC LIMIT :most) a, "
    "json_array_elements(a.decision_reason) r GROUP BY 1 ORDER BY 1",
}
_NEWEST_EVENT: Final = (worker_event.c.at.desc(), worker_event.c.id.desc())

_RECONCILIATIONS: Final = (
    select(*(column for column in reconciliation.c if column.name not in {"id", "detail"}))
    .order_by(reconciliation.c.at.desc(), reconciliation.c.id.desc())
    .limit(3)
)


class SqlReports:
    """Read models over an open database; nothing here writes or waits for writers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def status(self, *, now_ms: Millis) -> PlainRow:
        """Return counts, the race of the sources and the last events, all as of one instant.

        Reasons are those of the newest `REASONS_OF_MAX` attempts.
        """
        return await self._database.read(partial(_status, now_ms=now_ms))

    async def attempts(self, *, limit: int, leader: str | None = None, status: str | None = None) -> list[PlainRow]:
        """Return `attempt_summary`, newest first; `leader` is an address or a label."""
        view = attempt_summary.c
        statement = select(attempt_summary).order_by(view.created_at.desc(), view.attempt_id).limit(limit)
        if leader is not None:
            statement = statement.where(_is_leader(view.leader_address, view.leader_label, leader))
        if status is not None:
            statement = statement.where(view.status == status.upper())
        return await self._rows(statement)

    async def trades(self, *, limit: int, leader: str | None = None) -> list[PlainRow]:
        """Return `trade`, newest first; `leader` is an address or a label."""
        view = trade.c
        statement = select(trade).order_by(view.fill_ts.desc(), view.leader_fill_id).limit(limit)
        if leader is not None:
            statement = statement.where(_is_leader(view.leader_address, view.leader_label, leader))
        return await self._rows(statement)

    async def positions(self) -> list[PlainRow]:
        """Return every position with its market, its mark and what it waits for, open ones first."""
        return await self._database.read(money_reports.positions)

    async def won(self) -> tuple[Won, ...]:
        """Return what real accounts had of outcomes that paid, redeemed since or not, by account and title."""
        return await self._database.read(redeeming.won)

    async def pairs(self) -> tuple[Pair, ...]:
        """Return the markets of which real accounts hold every outcome, by account and title."""
        return await self._database.read(redeeming.pairs)

    async def accounts(self) -> list[PlainRow]:
        """Return the money of every strategy and account, with what it was worth when it was last valued."""
        return await self._database.read(money_reports.accounts)

    async def pnl_by_market(self) -> list[PlainRow]:
        """Return `pnl_by_market`, best first."""
        return await self._database.read(money_reports.by_market)

    async def pnl_by_category(self) -> list[PlainRow]:
        """Return `pnl_by_category`, best first."""
        return await self._database.read(money_reports.by_category)

    async def leader_positions(self, address: str) -> list[PlainRow]:
        """Return what a leader holds now by token; `unknown` says why an amount cannot be relied on."""
        held = await self._database.read(partial(leader_events.leader_positions, address=address.lower()))
        return [
            {"token_id": token_id, "shares": format_micro(one.shares), "unknown": one.unknown}
            for token_id, one in sorted(held.items())
        ]

    async def pnl_by_leader(self) -> list[PlainRow]:
        """Return `pnl_by_leader`, best first."""
        view = pnl_by_leader.c
        return await self._rows(select(pnl_by_leader).order_by(view.net_pnl_usdc.desc(), view.leader_address))

    async def pnl_by_day(self) -> list[PlainRow]:
        """Return `pnl_by_day`, newest day first."""
        view = pnl_by_day.c
        return await self._rows(select(pnl_by_day).order_by(view.day.desc(), view.strategy_id, view.account_id))

    async def _rows(self, statement: Select[Any]) -> list[PlainRow]:
        return await self._database.read(partial(plain_rows, statement=statement))


def _status(connection: Connection, *, now_ms: Millis) -> PlainRow:
    fill = leader_fill.c
    return {
        "halts": risk_reports.open_halts(connection),
        "gates": risk_reports.gates(connection, now_ms=now_ms),
        "days": risk_reports.days(connection),
        "leaders": {
            "enabled": _count(connection, leader.c.enabled),
            "disabled": _count(connection, leader.c.enabled.is_(False)),
        },
        "fills": {
            "stored": _count(connection, fill.id.is_not(None)),
            "confirmed": _count(connection, fill.confirmed_at.is_not(None)),
            "orphaned": _count(connection, fill.orphaned_at.is_not(None)),
            "undecided": _count(connection, fill.awaits_decision, fill.orphaned_at.is_(None)),
        },
        "fills_by_first_source": _counts(connection, fill.source),
        "reports_by_source": _counts(connection, leader_fill_raw.c.source),
        "race": race(connection, now_ms=now_ms),
        "leader_events_by_kind": leader_events.counts(connection),
        "attempts_by_decision": _counts(connection, execution_attempt.c.decision),
        "attempts_by_status": _counts(connection, execution_attempt.c.status),
        "reasons": _reasons(connection),
        "open_positions": _count(connection, position.c.shares > 0),
        "positions_by_state": money_reports.states(connection),
        "cursors": _cursors(connection, now_ms=now_ms),
        "registry": _registry(connection),
        "reconciliations": plain_rows(connection, _RECONCILIATIONS),
        "events": plain_rows(
            connection,
            select(worker_event).where(worker_event.c.code.not_in(UNTOLD)).order_by(*_NEWEST_EVENT).limit(EVENTS_SHOWN),
        ),
        "books": _last_note(connection, FIGURES),
        "polling": _last_note(connection, POLLING),
    }


def _last_note(connection: Connection, code: str) -> PlainRow:
    """Return the last figures of that kind that a worker noted, nothing before the first."""
    event = worker_event.c
    newest = select(event.at, event.detail).where(event.code == code).order_by(*_NEWEST_EVENT).limit(1)
    return {name: value for row in plain_rows(connection, newest) for name, value in _flat(row).items()}


def _flat(row: PlainRow) -> PlainRow:
    return {"at": row["at"], **row["detail"]}


def _count(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).where(*conditions)).scalar_one())


def _counts(connection: Connection, column: Column[Any]) -> dict[str, int]:
    rows = connection.execute(select(column, func.count()).group_by(column).order_by(column))
    return {str(value): int(count) for value, count in rows}


def _reasons(connection: Connection) -> dict[str, int]:
    rows = connection.execute(text(_REASONS[connection.dialect.name]), {"most": REASONS_OF_MAX})
    return {str(code): int(count) for code, count in rows}


def _cursors(connection: Connection, *, now_ms: Millis) -> list[PlainRow]:
    """Return the cursors: how long ago each moved, how far behind the head it is, and how far its proof is."""
    head = connection.execute(select(func.max(chain_head.c.block_number))).scalar_one()
    found = []
    for row in connection.execute(select(polygon_cursor).order_by(*polygon_cursor.primary_key)):
        read, proved = row.last_processed_block, row.proved_block
        lag = {
            "moved_ms_ago": now_ms - row.updated_at,
            "blocks_behind_head": None if head is None else max(0, head - read),
            "unproved_blocks": None if proved is None else read - proved,
        }
        found.append(plain(row, list(polygon_cursor.c)) | lag)
    return found


def _registry(connection: Connection) -> PlainRow:
    updated_at = connection.execute(select(func.max(market_registry.c.updated_at, type_=Instant()))).scalar_one()
    return {
        "markets": _count(connection, market_registry.c.condition_id.is_not(None)),
        "open_markets": _count(connection, market_registry.c.closed.is_(False)),
        "tokens": _count(connection, market_token.c.token_id.is_not(None)),
        "updated_at": iso(updated_at),
    }


def _is_leader(address: Column[Any], label: Column[Any], wanted: str) -> ColumnElement[bool]:
    return or_(address == wanted.lower(), label == wanted)
