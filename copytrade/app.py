"""The composition root: settings in, a wired worker out. The only file that names adapters."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx
import structlog

from copytrade.adapters.notify.lines import LineNotifier
from copytrade.adapters.notify.table import TableNotifier
from copytrade.adapters.notify.tally import Tally
from copytrade.adapters.system import SystemClock
from copytrade.domain.ids import COPY_STRATEGY_ID, leader_id
from copytrade.domain.leaders import Leader
from copytrade.engine.account import Account
from copytrade.engine.decide import Approved, Decide, Waits
from copytrade.engine.execute import Execute
from copytrade.engine.inbox import Inbox
from copytrade.engine.ingest import Ingest
from copytrade.engine.leader_events import LeaderEvents
from copytrade.engine.listeners import Listeners
from copytrade.engine.notes import Notes
from copytrade.engine.portfolio import Portfolio
from copytrade.engine.roll import LedgerRoll
from copytrade.engine.tracking import Tracking
from copytrade.engine.worker import Worker
from copytrade.settings import Settings
from copytrade.strategies.copy import CopyRules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from typing import Any

    from copytrade.adapters.gamma.registry import GammaRegistry
    from copytrade.adapters.sql.engine import Database
    from copytrade.adapters.sql.reports import SqlReports
    from copytrade.domain.market_events import MarketEvent
    from copytrade.domain.units import Millis, Ratio, Usdc
    from copytrade.ports.books import BookStore
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter
    from copytrade.ports.leader_fills import LeaderFillSource
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.markets import MarketRegistry

POLYGON_CHAIN_ID: Final = 137
ORDERS_WAITING_MAX: Final = 1_000
"""Approved attempts waiting to be sent; beyond it decisions wait."""
HOUR_MS: Final = 3_600_000
VENUE_TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
USER_AGENT: Final = "copytrade/0 (+python-httpx)"
"""The venue's front refuses clients that do not name themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a worker reaches the world by: the host's clock and network where nothing else is given."""

    clock: Clock = field(default_factory=SystemClock)
    transport: httpx.AsyncBaseTransport | None = None
    connect: Callable[[str], Awaitable[Any]] | None = None


def system_clock() -> Clock:
    """Return the host's clock."""
    return SystemClock()


def configure_logging(*, level: int = logging.INFO) -> None:
    """Send log events from `level` up to standard error, one line each; tracebacks come at debug level."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=False) if sys.stderr.isatty() else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def log_traceback(error: BaseException) -> None:
    """Log where an unexpected error came from, at debug level only."""
    structlog.get_logger(__name__).debug("process.failed", exc_info=error)


def line_notifier(write: Callable[[str], None]) -> LineNotifier:
    """Return a listener that writes one line for each happening."""
    return LineNotifier(write, SystemClock())


def table_notifier(score: Tally, *, title: str) -> TableNotifier:
    """Return a listener that draws a live table."""
    return TableNotifier(score, title=title, now_ms=SystemClock().now_ms)


def tally() -> Tally:
    """Return a listener that keeps the score."""
    return Tally()


def new_leader(
    address: str,
    *,
    since_ms: Millis,
    now_ms: Millis,
    label: str = "",
    copy_ratio: Ratio | None = None,
    max_usdc_per_trade: Usdc | None = None,
) -> Leader:
    """Return an enabled leader with his own ratio and cap, or none."""
    return Leader(
        id=leader_id(address),
        address=address,
        label=label,
        enabled=True,
        copy_ratio=copy_ratio,
        max_usdc_per_trade=max_usdc_per_trade,
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
async def open_ledger(settings: Settings) -> AsyncIterator[Ledger]:
    """Open the ledger; a SQLite schema is upgraded, an old one on PostgreSQL is refused.

    :raises LedgerUnavailableError: the database cannot be used.
    :raises SchemaOutdatedError: the schema must be upgraded first.
    """
    from copytrade.adapters.sql.ledger import SqlLedger

    async with _database(settings) as database:
        yield SqlLedger(database)


@asynccontextmanager
async def open_reports(settings: Settings) -> AsyncIterator[SqlReports]:
    """Open the read models, as `open_ledger` does the ledger."""
    from copytrade.adapters.sql.reports import SqlReports

    async with _database(settings) as database:
        yield SqlReports(database)


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    from copytrade.adapters.sql import engine, schema

    url = settings.database_url.get_secret_value()
    if engine.is_sqlite(engine.parse_url(url)):
        await asyncio.to_thread(schema.upgrade, url)
    else:
        await asyncio.to_thread(schema.require_current, url)
    async with engine.open_database(url) as database:
        yield database


@asynccontextmanager
async def build_worker(settings: Settings, ledger: Ledger, outside: Outside | None = None) -> AsyncIterator[Worker]:
    """Wire a worker. The leaders named in the settings are added; those known already stay as they are."""
    outside = outside or Outside()
    clock = outside.clock
    now_ms = clock.now_ms()
    for address in sorted(set(settings.leaders) - {known.address for known in await ledger.leaders()}):
        await ledger.add_leader(new_leader(address, since_ms=now_ms, now_ms=now_ms))
    roll = LedgerRoll(ledger, clock)
    listeners = Listeners()
    notes = Notes(ledger=ledger, notifier=listeners, clock=clock)
    headers = {"User-Agent": USER_AGENT}
    async with httpx.AsyncClient(timeout=VENUE_TIMEOUT, headers=headers, transport=outside.transport) as http:
        registry = _registry(settings, ledger, clock, http=http, notes=notes)
        books = _books(settings, outside, http=http, notes=notes, on_market_event=registry.apply_event)
        yield _worker(
            settings, ledger, outside, http, roll=roll, listeners=listeners, notes=notes, registry=registry, books=books
        )


def _worker(
    settings: Settings,
    ledger: Ledger,
    outside: Outside,
    http: httpx.AsyncClient,
    *,
    roll: LedgerRoll,
    listeners: Listeners,
    notes: Notes,
    registry: MarketRegistry,
    books: BookStore,
) -> Worker:
    clock = outside.clock
    executor = _paper(settings, books, clock)
    portfolio = Portfolio(strategy_id=COPY_STRATEGY_ID, account_id=executor.account_id)
    inbox = Inbox()
    orders: asyncio.Queue[Approved] = asyncio.Queue(maxsize=ORDERS_WAITING_MAX)
    leader_events = _leader_events(settings, ledger, clock, http, roll=roll, listeners=listeners, notes=notes)
    return Worker(
        ledger=ledger,
        roll=roll,
        registry=registry,
        books=books,
        tracking=Tracking(
            ledger=ledger,
            registry=registry,
            books=books,
            portfolio=portfolio,
            clock=clock,
            lookback_ms=settings.track_leader_hours * HOUR_MS,
            top_markets=settings.track_top_markets,
        ),
        portfolio=portfolio,
        sources=_sources(settings, ledger, roll, outside),
        ingest=Ingest(
            ledger=ledger,
            roll=roll,
            registry=registry,
            portfolio=portfolio,
            inbox=inbox,
            notifier=listeners,
            clock=clock,
        ),
        leader_events=leader_events,
        decide=Decide(
            strategy_id=COPY_STRATEGY_ID,
            rules=_rules(settings),
            waits=Waits(unmapped_ms=settings.unmapped_wait_ms, book_ms=settings.book_wait_ms),
            ledger=ledger,
            roll=roll,
            registry=registry,
            books=books,
            portfolio=portfolio,
            leader_events=leader_events,
            executor=executor,
            inbox=inbox,
            orders=orders,
            notifier=listeners,
            clock=clock,
        ),
        execute=Execute(
            ledger=ledger, executor=executor, portfolio=portfolio, orders=orders, notifier=listeners, clock=clock
        ),
        account=Account(ledger=ledger, executor=executor, portfolio=portfolio, notifier=listeners),
        executor=executor,
        listeners=listeners,
        notes=notes,
        clock=clock,
    )


def _registry(
    settings: Settings, ledger: Ledger, clock: Clock, *, http: httpx.AsyncClient, notes: Notes
) -> GammaRegistry:
    from copytrade.adapters.gamma.registry import GammaRegistry

    return GammaRegistry(
        gamma_url=settings.gamma_http_url,
        clob_url=settings.clob_http_url,
        data_api_url=settings.data_api_http_url,
        http=http,
        sync_interval_ms=settings.registry_sync_interval_ms,
        clock=clock,
        store=ledger,
        note=notes.take,
    )


def _books(
    settings: Settings,
    outside: Outside,
    *,
    http: httpx.AsyncClient,
    notes: Notes,
    on_market_event: Callable[[MarketEvent], None],
) -> BookStore:
    from copytrade.adapters.clob.bookstore import BookSource, ClobBookStore
    from copytrade.adapters.clob.socket import connect_to_market

    return ClobBookStore(
        source=BookSource(settings.bookstore_mode),
        http_url=settings.clob_http_url,
        ws_url=settings.clob_market_ws_url,
        http=http,
        clock=outside.clock,
        quote_fresh_ms=settings.quote_fresh_ms,
        quote_stale_ms=settings.quote_stale_ms,
        history_ms=settings.book_history_ms,
        resync_interval_ms=settings.book_resync_interval_ms,
        tokens_max=settings.track_max_tokens,
        note=notes.take,
        on_market_event=on_market_event,
        open_connection=outside.connect or connect_to_market,
    )


def _leader_events(
    settings: Settings,
    ledger: Ledger,
    clock: Clock,
    http: httpx.AsyncClient,
    *,
    roll: LedgerRoll,
    listeners: Listeners,
    notes: Notes,
) -> LeaderEvents:
    from copytrade.adapters.data_api.activity import DataApiActivity

    activity = DataApiActivity(url=settings.data_api_http_url, http=http, clock=clock, note=notes.take)
    interval_ms = settings.data_api_activity_interval_ms
    return LeaderEvents(
        ledger=ledger, roll=roll, activity=activity, notifier=listeners, clock=clock, interval_ms=interval_ms
    )


def _rules(settings: Settings) -> CopyRules:
    return CopyRules(
        copy_ratio=settings.copy_ratio,
        max_usdc_per_trade=settings.max_usdc_per_trade,
        maker_leader_ratio=settings.maker_leader_ratio,
        sizing_mode=settings.sizing_mode,
        slippage_bps_max=settings.slippage_bps_max,
        order_ttl_ms=settings.order_ttl_ms,
        fill_max_age_ms=settings.fill_max_age_ms,
        exit_mode=settings.exit_mode,
    )


def _paper(settings: Settings, books: BookStore, clock: Clock) -> ExecutionAdapter:
    from copytrade.adapters.paper.executor import PaperExecutor

    return PaperExecutor(
        books=books,
        clock=clock,
        decision_latency=settings.decision_latency_ms,
        submit_latency=settings.submit_latency_ms,
        seed=settings.paper_seed,
        quote_stale_ms=settings.quote_stale_ms,
    )


def _sources(settings: Settings, ledger: Ledger, roll: LedgerRoll, outside: Outside) -> Mapping[str, LeaderFillSource]:
    """Return the sources the trigger mode asks for, by name."""
    from copytrade.adapters.data_api.source import DataApiSource
    from copytrade.adapters.polygon.source import PolygonSource
    from copytrade.adapters.polygon.websocket import open_socket
    from copytrade.adapters.rtds import socket as rtds_socket
    from copytrade.adapters.rtds.source import RtdsSource

    clock = outside.clock
    sources: dict[str, LeaderFillSource] = {}
    if settings.trigger_mode.uses_polygon:
        sources["polygon"] = PolygonSource(
            http_urls=settings.polygon_http_url,
            ws_urls=settings.polygon_ws_url,
            exchanges=(settings.poly_exchange_ctf, settings.poly_exchange_negrisk, settings.poly_exchange_v3),
            exchanges_v1=(settings.poly_exchange_ctf_v1, settings.poly_exchange_negrisk_v1),
            chain_id=POLYGON_CHAIN_ID,
            poll_interval_ms=settings.polygon_poll_interval_ms,
            clock=clock,
            roll=roll,
            cursors=ledger,
            stored=ledger,
            transport=outside.transport,
            connector=outside.connect or open_socket,
        )
    if settings.trigger_mode.uses_data_api:
        sources["data_api"] = DataApiSource(
            url=settings.data_api_http_url,
            poll_interval_ms=settings.data_api_poll_interval_ms,
            clock=clock,
            roll=roll,
            transport=outside.transport,
        )
    if settings.trigger_mode.uses_rtds:
        connector = outside.connect or rtds_socket.open_socket
        sources["rtds"] = RtdsSource(url=settings.rtds_ws_url, clock=clock, roll=roll, connector=connector)
    return sources
