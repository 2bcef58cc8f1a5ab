"""Limits, halts and health gates, wired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from copytrade.domain.attempts import ExecutionMode
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
from copytrade.engine.live_start import LiveEntrants
from copytrade.engine.marks import BookMarks
from copytrade.engine.risk import Risk
from copytrade.engine.risk_day import RiskDay
from copytrade.engine.risk_events import RiskEvents
from copytrade.engine.risk_limits import LimitBook

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    import httpx

    from copytrade.app.parts import Parts
    from copytrade.engine.gates import Gate
    from copytrade.ports.leader_fills import LeaderFillSource


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskParts:
    """What the worker needs of this: the rules, their audit, the sources as they are watched, loops of its own."""

    risk: Risk
    events: RiskEvents
    sources: Mapping[str, LeaderFillSource]
    chores: Mapping[str, Callable[[], Coroutine[None, None, None]]]


def build_risk(parts: Parts, sources: Mapping[str, LeaderFillSource], http: httpx.AsyncClient) -> RiskParts:
    """Wire the gates whose source runs in this mode, and everything that may refuse an attempt."""
    from copytrade.adapters.halt_file import HaltFile

    settings, ledger, portfolio, clock = parts.settings, parts.ledger, parts.portfolio, parts.clock
    events = RiskEvents(ledger=ledger, notifier=parts.listeners, clock=clock)
    halts = Halts(
        store=ledger,
        switch=HaltFile(settings.halt_file),
        portfolio=portfolio,
        executor=parts.executor,
        notifier=parts.listeners,
        clock=clock,
    )
    limits = LimitBook(settings.start_limits(), ledger)
    database = DatabaseGate(limit_ms=settings.gate_database_latency_max_ms, clock=clock)
    clock_gate = _clock_gate(parts, http)
    chain_gates, sources = _watched(parts, sources)
    gates = [*_market_gates(parts), database, clock_gate, *chain_gates]
    risk = Risk(
        ledger=ledger,
        portfolio=portfolio,
        registry=parts.registry,
        limits=limits,
        halts=halts,
        gates=Gates(gates, halt_after_ms=settings.gate_halt_after_ms, halts=halts, events=events, clock=clock),
        day=RiskDay(
            store=ledger,
            portfolio=portfolio,
            mark=BookMarks(parts.books, parts.registry).price,
            limits=limits,
            halts=halts,
            events=events,
            reset_hour=settings.risk_day_reset_hour_utc,
            clock=clock,
        ),
        database=database,
        events=events,
        clock=clock,
        entrants=_entrants(parts),
    )
    return RiskParts(risk=risk, events=events, sources=sources, chores={"venue-time": clock_gate.run})


def _entrants(parts: Parts) -> LiveEntrants | None:
    if parts.executor.mode is ExecutionMode.PAPER:
        return None
    return LiveEntrants(parts.roll, frozenset(parts.settings.live_leaders))


def _market_gates(parts: Parts) -> list[Gate]:
    settings, clock = parts.settings, parts.clock
    books = BooksGate(
        books=parts.books,
        registry=parts.registry,
        portfolio=parts.portfolio,
        stale_ms=settings.quote_stale_ms,
        clock=clock,
    )
    parts.listeners.add(books)
    return [books, RegistryAgeGate(parts.registry, limit_ms=settings.gate_registry_age_max_ms, clock=clock)]


def _clock_gate(parts: Parts, http: httpx.AsyncClient) -> ClockGate:
    from copytrade.adapters.clob.venue_time import ClobTime

    venue = ClobTime(url=parts.settings.clob_http_url, http=http, clock=parts.clock)
    return ClockGate(venue, limit_ms=parts.settings.gate_clock_skew_max_ms, clock=parts.clock)


def _watched(
    parts: Parts, sources: Mapping[str, LeaderFillSource]
) -> tuple[list[Gate], Mapping[str, LeaderFillSource]]:
    """Return the gates of the chain, where it is read, and the sources as these watch them."""
    if "polygon" not in sources:
        return [], sources
    settings, clock = parts.settings, parts.clock
    watch = ChainWatch(roll=parts.roll, clock=clock)
    contradictions = SourcesGate(hold_ms=settings.gate_disagreement_hold_ms, clock=clock)
    parts.listeners.add(contradictions)
    gates: list[Gate] = [
        ChainLagGate(watch, limit_ms=settings.chain_lag_max_ms),
        ProvedLagGate(watch, limit_ms=settings.gate_proved_lag_max_ms),
        contradictions,
    ]
    return gates, {**sources, "polygon": WatchedSource(sources["polygon"], watch.see)}
