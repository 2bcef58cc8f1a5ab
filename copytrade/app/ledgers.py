"""The database: its schema, the ledger and the read models on it, and who is written there first."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from copytrade.app.outside import system_clock
from copytrade.app.redacting import process_redaction
from copytrade.domain.ids import leader_id
from copytrade.domain.leaders import Leader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from copytrade.adapters.sql.engine import Database
    from copytrade.adapters.sql.reports import SqlReports
    from copytrade.domain.units import Millis
    from copytrade.ports.ledger import Ledger
    from copytrade.settings import Settings


def new_leader(
    address: str,
    *,
    since_ms: Millis,
    now_ms: Millis,
    label: str = "",
) -> Leader:
    """Return an enabled leader without rules of his own."""
    return Leader(
        id=leader_id(address),
        address=address,
        label=label,
        enabled=True,
        copy_ratio=None,
        max_usdc_per_trade=None,
        live_allowed=False,
        followed_since_ms=since_ms,
        created_at_ms=now_ms,
    )


def upgrade_schema(settings: Settings) -> tuple[str | None, str]:
    """Bring the schema up to date; return its revision before (None: there was none) and after."""
    from copytrade.adapters.sql import schema

    return schema.upgrade(settings.database_url.get_secret_value())


def schema_state(settings: Settings) -> tuple[str | None, str]:
    """Return the revision the database has and the one this program needs."""
    from copytrade.adapters.sql import schema

    return schema.current(settings.database_url.get_secret_value()), schema.head()


@asynccontextmanager
async def open_ledger(
    settings: Settings, *, creates: bool = False, committed: Callable[[str, Millis], None] | None = None
) -> AsyncIterator[Ledger]:
    """Open the ledger; a SQLite schema is upgraded, an old one on PostgreSQL is refused.

    A missing SQLite file is made only if that is said: who looks in the wrong folder must not find an empty ledger.
    `committed` is told of each write what kind it was and how long it took.

    :raises LedgerUnavailableError: the database cannot be used.
    :raises NoLedgerYetError: there is no file.
    :raises SchemaOutdatedError: the schema must be upgraded first.
    """
    from copytrade.adapters.sql.ledger import SqlLedger
    from copytrade.adapters.sql.measuring import MeasuredDatabase

    async with open_database(settings, creates=creates) as database:
        timed = None if committed is None else MeasuredDatabase(database, system_clock(), committed)
        yield SqlLedger(timed or database, redact=process_redaction().value)


@asynccontextmanager
async def sole_worker(settings: Settings) -> AsyncIterator[None]:
    """Be the only worker on the database, in any process.

    :raises LedgerInUseError: another worker is.
    :raises LedgerUnavailableError: the database cannot be reached.
    """
    from copytrade.adapters.sql import sole

    async with sole.sole_worker(settings.database_url.get_secret_value()):
        yield


@asynccontextmanager
async def open_reports(settings: Settings) -> AsyncIterator[SqlReports]:
    """Open the read models, as `open_ledger` does the ledger."""
    from copytrade.adapters.sql.reports import SqlReports

    async with open_database(settings) as database:
        yield SqlReports(database)


@asynccontextmanager
async def open_database(settings: Settings, *, creates: bool = False) -> AsyncIterator[Database]:
    """Open the database; a SQLite schema is upgraded, an old one on PostgreSQL is refused.

    :raises NoLedgerYetError: there is no SQLite file, and none is to be made.
    """
    from copytrade.adapters.sql import engine, schema

    url = settings.database_url.get_secret_value()
    if not creates:
        schema.require_file(url)
    if engine.is_sqlite(engine.parse_url(url)):
        await asyncio.to_thread(schema.upgrade, url)
    else:
        await asyncio.to_thread(schema.require_current, url)
    async with engine.open_database(url) as database:
        yield database
