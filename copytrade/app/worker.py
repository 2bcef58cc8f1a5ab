"""Every stage, wired."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from copytrade.app.execution import build_comparison, build_executor, build_heartbeat, build_rules, open_signing
from copytrade.app.ladder import build_ladder, build_shadow
from copytrade.app.ledgers import new_leader
from copytrade.app.markets import build_books, build_registry
from copytrade.app.money import build_money, open_feed
from copytrade.app.notifying import build_alerts
from copytrade.app.outside import Outside, open_http
from copytrade.app.parts import Parts
from copytrade.app.reconciling import build_chores
from copytrade.app.redacting import process_redaction
from copytrade.app.risk import build_risk
from copytrade.app.sources import (
    build_leader_events,
    build_leader_values,
    build_sources,
    build_transfers,
    build_unmatched,
)
from copytrade.app.stories import build_stories
from copytrade.domain.ids import COPY_STRATEGY_ID
from copytrade.engine.account import Account
from copytrade.engine.decide import Approved, Decide, Waits
from copytrade.engine.execute import Execute
from copytrade.engine.inbox import Inbox
from copytrade.engine.ingest import Ingest
from copytrade.engine.listeners import Listeners
from copytrade.engine.mirror import Mirror
from copytrade.engine.notes import Notes
from copytrade.engine.portfolio import Portfolio
from copytrade.engine.roll import LedgerRoll
from copytrade.engine.stake_keeping import StakeKeeping
from copytrade.engine.tracking import Tracking
from copytrade.engine.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from copytrade.app.recording import Recording
    from copytrade.domain.attempts import ExecutionAttempt, Reason
    from copytrade.engine.ladder import Ladder
    from copytrade.engine.leader_events import LeaderEvents
    from copytrade.engine.leader_values import LeaderValues
    from copytrade.engine.risk import Risk
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.resolutions import ResolutionFeed
    from copytrade.settings import Settings

ORDERS_WAITING_MAX: Final = 1_000
"""Approved attempts waiting to be sent; beyond it decisions wait."""
HOUR_MS: Final = 3_600_000


@asynccontextmanager
async def build_worker(
    settings: Settings, ledger: Ledger, outside: Outside | None = None, *, recording: Recording | None = None
) -> AsyncIterator[Worker]:
    """Wire a worker. The leaders named in the settings are added; those known already stay as they are."""
    outside = outside or Outside()
    clock = outside.clock
    now_ms = clock.now_ms()
    for address in sorted(set(settings.leaders) - {known.address for known in await ledger.leaders()}):
        await ledger.add_leader(new_leader(address, since_ms=now_ms, now_ms=now_ms))
    roll = LedgerRoll(ledger, clock)
    listeners = Listeners(redact=process_redaction().value)
    notes = Notes(ledger=ledger, notifier=listeners, clock=clock)
    async with (
        open_http(outside) as http,
        open_feed(settings, outside) as feed,
        open_signing(settings, outside, ledger=ledger, http=http) as signing,
    ):
        registry = build_registry(settings, ledger, clock, http=http, notes=notes)
        books = build_books(settings, outside, http=http, notes=notes, registry=registry)
        traded_books = books if recording is None else recording.traded_books(books)
        ledger = ledger if recording is None else recording.ledger(ledger)
        executor = build_executor(
            settings,
            outside,
            books=traded_books,
            ledger=ledger,
            registry=registry,
            http=http,
            notes=notes,
            signing=signing,
        )
        parts = Parts(
            settings=settings,
            ledger=ledger,
            roll=roll,
            registry=registry,
            books=books,
            portfolio=Portfolio(strategy_id=COPY_STRATEGY_ID, account_id=executor.account_id),
            executor=executor,
            listeners=listeners,
            notes=notes,
            clock=clock,
            wallet=None if signing is None else signing.wallet,
        )
        worker = _worker(parts, outside, http, feed=feed)
        onlookers = {**build_stories(settings, worker), **build_shadow(settings, worker)}
        onlookers |= {} if recording is None else recording.begin(worker)
        yield replace(worker, onlookers=onlookers, book_figures=books.figures)


def _worker(parts: Parts, outside: Outside, http: httpx.AsyncClient, *, feed: ResolutionFeed | None) -> Worker:
    settings, ledger, roll, clock = parts.settings, parts.ledger, parts.roll, parts.clock
    listeners, notes = parts.listeners, parts.notes
    inbox = Inbox()
    orders: asyncio.Queue[Approved] = asyncio.Queue(maxsize=ORDERS_WAITING_MAX)
    ingest = _ingest(parts, inbox)
    mirror = Mirror(ingest=ingest, portfolio=parts.portfolio, registry=parts.registry, books=parts.books)
    leader_events = build_leader_events(
        settings, ledger, clock, http, roll=roll, listeners=listeners, notes=notes, mirror=mirror
    )
    rules = build_rules(settings)
    leader_values = build_leader_values(settings, clock, http, roll=roll, rules=rules, notes=notes)
    guard = build_risk(parts, build_sources(settings, ledger, roll, outside), http)
    ladder = build_ladder(parts, guard.risk.limits)
    alerts = build_alerts(settings, http, notes=notes, clock=clock)
    listeners.add(alerts)
    decide = _decide(
        parts, guard.risk, leader_events=leader_events, leader_values=leader_values, inbox=inbox, orders=orders
    )
    return Worker(
        ledger=ledger,
        roll=roll,
        registry=parts.registry,
        books=parts.books,
        tracking=_tracking(settings, parts),
        portfolio=parts.portfolio,
        money=build_money(settings, parts, in_turn=decide.turn, feed=feed),
        risk=guard.risk,
        risk_events=guard.events,
        sources=guard.sources,
        ingest=ingest,
        leader_events=leader_events,
        leader_values=leader_values,
        decide=decide,
        execute=_execute(parts, guard.risk, ladder, orders),
        ladder=ladder,
        account=Account(ledger=ledger, executor=parts.executor, portfolio=parts.portfolio, notifier=listeners),
        executor=parts.executor,
        listeners=listeners,
        notes=notes,
        transfers=build_transfers(settings, ledger, roll, outside, notes=notes),
        unmatched=build_unmatched(settings, parts, http),
        clock=clock,
        comparison=build_comparison(parts.executor, guard.risk.halts, ledger=ledger, notes=notes, clock=clock),
        chores={
            **guard.chores,
            "alerts": alerts.run,
            "stakes": StakeKeeping(ledger, portfolio=parts.portfolio, clock=clock).run,
            **build_chores(settings, parts, outside),
            **build_heartbeat(settings, parts.executor, notes=notes, clock=clock),
        },
        depths={"inbox": inbox.__len__, "orders": orders.qsize, "notes": notes.__len__},
    )


def _ingest(parts: Parts, inbox: Inbox) -> Ingest:
    return Ingest(
        ledger=parts.ledger,
        roll=parts.roll,
        registry=parts.registry,
        portfolio=parts.portfolio,
        inbox=inbox,
        notifier=parts.listeners,
        clock=parts.clock,
    )


def _execute(parts: Parts, risk: Risk, ladder: Ladder | None, orders: asyncio.Queue[Approved]) -> Execute:
    def stopped_by(attempt: ExecutionAttempt) -> Reason | None:
        return risk.halts.stops(attempt) or (None if ladder is None else ladder.stops(attempt))

    return Execute(
        ledger=parts.ledger,
        executor=parts.executor,
        portfolio=parts.portfolio,
        orders=orders,
        notifier=parts.listeners,
        clock=parts.clock,
        stopped_by=stopped_by,
    )


def _decide(
    parts: Parts,
    risk: Risk,
    *,
    leader_events: LeaderEvents,
    leader_values: LeaderValues,
    inbox: Inbox,
    orders: asyncio.Queue[Approved],
) -> Decide:
    settings = parts.settings
    return Decide(
        strategy_id=COPY_STRATEGY_ID,
        rules=build_rules(settings),
        waits=Waits(unmapped_ms=settings.unmapped_wait_ms, book_ms=settings.book_wait_ms),
        ledger=parts.ledger,
        roll=parts.roll,
        registry=parts.registry,
        books=parts.books,
        portfolio=parts.portfolio,
        risk=risk,
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
