"""Every stage, wired."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from copytrade.app.execution import build_comparison, build_executor, build_rules, open_signing
from copytrade.app.ledgers import new_leader
from copytrade.app.markets import build_books, build_registry
from copytrade.app.money import build_money, open_feed
from copytrade.app.outside import Outside, open_http
from copytrade.app.parts import Parts
from copytrade.app.sources import build_leader_events, build_leader_values, build_sources
from copytrade.domain.ids import COPY_STRATEGY_ID
from copytrade.engine.account import Account
from copytrade.engine.decide import Approved, Decide, Waits
from copytrade.engine.execute import Execute
from copytrade.engine.inbox import Inbox
from copytrade.engine.ingest import Ingest
from copytrade.engine.listeners import Listeners
from copytrade.engine.notes import Notes
from copytrade.engine.portfolio import Portfolio
from copytrade.engine.roll import LedgerRoll
from copytrade.engine.tracking import Tracking
from copytrade.engine.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from copytrade.app.live import Signing
    from copytrade.engine.leader_events import LeaderEvents
    from copytrade.engine.leader_values import LeaderValues
    from copytrade.ports.books import BookStore
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.markets import MarketRegistry
    from copytrade.ports.resolutions import ResolutionFeed
    from copytrade.settings import Settings

ORDERS_WAITING_MAX: Final = 1_000
"""Approved attempts waiting to be sent; beyond it decisions wait."""
HOUR_MS: Final = 3_600_000


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
    async with (
        open_http(outside) as http,
        open_feed(settings, outside) as feed,
        open_signing(settings, outside) as signing,
    ):
        registry = build_registry(settings, ledger, clock, http=http, notes=notes)
        books = build_books(settings, outside, http=http, notes=notes, on_market_event=registry.apply_event)
        yield _worker(
            settings,
            ledger,
            outside,
            http,
            roll=roll,
            listeners=listeners,
            notes=notes,
            registry=registry,
            books=books,
            feed=feed,
            signing=signing,
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
    feed: ResolutionFeed | None,
    signing: Signing | None,
) -> Worker:
    clock = outside.clock
    executor = build_executor(
        settings, outside, books=books, ledger=ledger, registry=registry, http=http, notes=notes, signing=signing
    )
    portfolio = Portfolio(strategy_id=COPY_STRATEGY_ID, account_id=executor.account_id)
    inbox = Inbox()
    orders: asyncio.Queue[Approved] = asyncio.Queue(maxsize=ORDERS_WAITING_MAX)
    leader_events = build_leader_events(settings, ledger, clock, http, roll=roll, listeners=listeners, notes=notes)
    rules = build_rules(settings)
    leader_values = build_leader_values(settings, clock, http, roll=roll, rules=rules, notes=notes)
    parts = Parts(
        ledger=ledger,
        registry=registry,
        books=books,
        portfolio=portfolio,
        executor=executor,
        listeners=listeners,
        notes=notes,
        clock=clock,
    )
    decide = _decide(
        settings, parts, roll=roll, leader_events=leader_events, leader_values=leader_values, inbox=inbox, orders=orders
    )
    return Worker(
        ledger=ledger,
        roll=roll,
        registry=registry,
        books=books,
        tracking=_tracking(settings, parts),
        portfolio=portfolio,
        money=build_money(settings, parts, in_turn=decide.turn, feed=feed),
        sources=build_sources(settings, ledger, roll, outside),
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
        leader_values=leader_values,
        decide=decide,
        execute=Execute(
            ledger=ledger, executor=executor, portfolio=portfolio, orders=orders, notifier=listeners, clock=clock
        ),
        account=Account(ledger=ledger, executor=executor, portfolio=portfolio, notifier=listeners),
        executor=executor,
        listeners=listeners,
        notes=notes,
        clock=clock,
        comparison=build_comparison(executor, ledger=ledger, notes=notes, clock=clock),
    )


def _decide(
    settings: Settings,
    parts: Parts,
    *,
    roll: LedgerRoll,
    leader_events: LeaderEvents,
    leader_values: LeaderValues,
    inbox: Inbox,
    orders: asyncio.Queue[Approved],
) -> Decide:
    return Decide(
        strategy_id=COPY_STRATEGY_ID,
        rules=build_rules(settings),
        waits=Waits(unmapped_ms=settings.unmapped_wait_ms, book_ms=settings.book_wait_ms),
        ledger=parts.ledger,
        roll=roll,
        registry=parts.registry,
        books=parts.books,
        portfolio=parts.portfolio,
        leader_events=leader_events,
        leader_values=leader_values,
        executor=parts.executor,
        inbox=inbox,
        orders=orders,
        notifier=parts.listeners,
        clock=parts.clock,
    )


def _tracking(settings: Settings, parts: Parts) -> Tracking:
    return Tracking(
        ledger=parts.ledger,
        registry=parts.registry,
        books=parts.books,
        portfolio=parts.portfolio,
        clock=parts.clock,
        lookback_ms=settings.track_leader_hours * HOUR_MS,
        top_markets=settings.track_top_markets,
    )
