"""Limits, halts and gates for the stage: the real ones, with fakes where they touch the outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from copytrade.domain.risk import LimitName
from copytrade.engine.gate_readings import (
    BooksGate,
    ChainLagGate,
    ChainWatch,
    ClockGate,
    DatabaseGate,
    ProvedLagGate,
    RegistryAgeGate,
    SourcesGate,
    WatchedSource,
)
from copytrade.engine.gates import Gates
from copytrade.engine.halt import Halts
from copytrade.engine.listeners import Listeners
from copytrade.engine.marks import BookMarks
from copytrade.engine.risk import Risk
from copytrade.engine.risk_day import RiskDay
from copytrade.engine.risk_events import RiskEvents
from copytrade.engine.risk_limits import LimitBook
from copytrade.ports.leader_fills import LeaderFillSource
from tests.fakes import FakeSwitch, FakeVenueTime

HALT_AFTER_MS = 60_000
CHAIN_LAG_MAX_MS = 15_000
PROVED_LAG_MAX_MS = 600_000
REGISTRY_AGE_MAX_MS = 2_700_000
DATABASE_LATENCY_MAX_MS = 1_000
CLOCK_SKEW_MAX_MS = 5_000
DISAGREEMENT_HOLD_MS = 60_000
QUOTE_STALE_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What stands between a decision and its order."""

    risk: Risk
    events: RiskEvents
    polygon: LeaderFillSource
    switch: FakeSwitch
    venue_time: FakeVenueTime
    clock_gate: ClockGate


def a_guard(
    *,
    ledger: Any,
    portfolio: Any,
    executor: Any,
    registry: Any,
    books: Any,
    roll: Any,
    notifier: Listeners,
    clock: Any,
    polygon: LeaderFillSource,
    limits: Mapping[LimitName, int],
    reset_hour: int = 0,
    reads_chain: bool = False,
    **_other_stages: Any,
) -> Guard:
    """Wire the gates; those of the chain only if its heads are reported."""
    events = RiskEvents(ledger=ledger, notifier=notifier, clock=clock)
    switch, venue_time = FakeSwitch(), FakeVenueTime()
    halts = Halts(store=ledger, switch=switch, portfolio=portfolio, executor=executor, notifier=notifier, clock=clock)
    book = LimitBook(limits, ledger)
    database = DatabaseGate(limit_ms=DATABASE_LATENCY_MAX_MS, clock=clock)
    books_gate = BooksGate(books=books, registry=registry, portfolio=portfolio, stale_ms=QUOTE_STALE_MS, clock=clock)
    clock_gate = ClockGate(venue_time, limit_ms=CLOCK_SKEW_MAX_MS, clock=clock)
    watch = ChainWatch(roll=roll, clock=clock)
    contradictions = SourcesGate(hold_ms=DISAGREEMENT_HOLD_MS, clock=clock)
    notifier.add(books_gate, contradictions)
    gates = [
        books_gate,
        RegistryAgeGate(registry, limit_ms=REGISTRY_AGE_MAX_MS, clock=clock),
        database,
        clock_gate,
        contradictions,
    ]
    if reads_chain:
        gates += [
            ChainLagGate(watch, limit_ms=CHAIN_LAG_MAX_MS),
            ProvedLagGate(watch, limit_ms=PROVED_LAG_MAX_MS),
        ]
    day = RiskDay(
        store=ledger,
        portfolio=portfolio,
        mark=BookMarks(books, registry).price,
        limits=book,
        halts=halts,
        events=events,
        reset_hour=reset_hour,
        clock=clock,
    )
    risk = Risk(
        ledger=ledger,
        portfolio=portfolio,
        registry=registry,
        limits=book,
        halts=halts,
        gates=Gates(gates, halt_after_ms=HALT_AFTER_MS, halts=halts, events=events, clock=clock),
        day=day,
        database=database,
        events=events,
        clock=clock,
    )
    return Guard(
        risk=risk,
        events=events,
        polygon=WatchedSource(polygon, watch.see),
        switch=switch,
        venue_time=venue_time,
        clock_gate=clock_gate,
    )
