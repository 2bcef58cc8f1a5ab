"""How fills are copied and where the orders go."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import fields
from typing import TYPE_CHECKING

from copytrade.app.outside import Outside, open_http
from copytrade.domain.attempts import ExecutionMode
from copytrade.domain.copy_rules import CopyRules
from copytrade.domain.ids import PAPER_ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    import httpx

    from copytrade.app.live import Signing
    from copytrade.domain.live_gates import LiveFacts
    from copytrade.engine.comparison import Comparison
    from copytrade.engine.halt import Halts
    from copytrade.engine.notes import Notes
    from copytrade.ports.books import BookStore
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.markets import MarketRegistry
    from copytrade.settings import Settings


def build_rules(settings: Settings) -> CopyRules:
    """Return what the operator allows: every rule is a setting of the same name."""
    return CopyRules(**{rule.name: getattr(settings, rule.name) for rule in fields(CopyRules)})


def build_executor(
    settings: Settings,
    outside: Outside,
    *,
    books: BookStore,
    ledger: Ledger,
    registry: MarketRegistry,
    http: httpx.AsyncClient,
    notes: Notes,
    signing: Signing | None,
) -> ExecutionAdapter:
    """Return the account that orders belong to; a real one where there is somebody to sign for it."""
    if signing is None:
        return build_paper(settings, books, outside.clock)
    from copytrade.app.live import build_live_executor

    return build_live_executor(
        settings, outside, signing=signing, ledger=ledger, registry=registry, http=http, notes=notes
    )


@asynccontextmanager
async def open_signing(
    settings: Settings, outside: Outside, *, ledger: Ledger, http: httpx.AsyncClient
) -> AsyncIterator[Signing | None]:
    """Open what signs real orders, None on paper.

    :raises ConfigurationError: it cannot be had, or a gate of live mode is shut.
    """
    if settings.execution_mode is ExecutionMode.PAPER:
        yield None
        return
    from copytrade.app import live

    async with live.open_signing(settings, outside, ledger=ledger, http=http) as signing:
        yield signing


async def look_at_live_gates(settings: Settings, ledger: Ledger) -> LiveFacts:
    """Return what the gates of live mode judge, as `run` would see it now.

    :raises ConfigurationError: the key cannot be had.
    """
    from copytrade.app import live

    outside = Outside()
    async with open_http(outside) as http:
        return await live.look_at_gates(settings, outside, ledger=ledger, http=http)


def build_comparison(
    executor: ExecutionAdapter, halts: Halts, *, ledger: Ledger, notes: Notes, clock: Clock
) -> Comparison | None:
    """Return what holds the ledger to the venue's account; None on paper, where the ledger is the account."""
    if executor.mode is ExecutionMode.PAPER:
        return None
    from copytrade.app.live import compared

    return compared(executor, halts, ledger=ledger, notes=notes, clock=clock)


def build_heartbeat(
    settings: Settings, executor: ExecutionAdapter, *, notes: Notes, clock: Clock
) -> Mapping[str, Callable[[], Coroutine[None, None, None]]]:
    """Return what keeps the venue's dead-man switch from closing; nothing on paper, or where it is not wanted."""
    if executor.mode is ExecutionMode.PAPER:
        return {}
    from copytrade.app import live

    return live.heartbeat(settings, executor, notes=notes, clock=clock)


def build_paper(
    settings: Settings, books: BookStore, clock: Clock, *, account_id: str = PAPER_ACCOUNT_ID
) -> ExecutionAdapter:
    """Return an account on paper."""
    from copytrade.adapters.paper.executor import PaperExecutor

    return PaperExecutor(
        books=books,
        clock=clock,
        decision_latency=settings.decision_latency_ms,
        submit_latency=settings.submit_latency_ms,
        seed=settings.paper_seed,
        quote_stale_ms=settings.quote_stale_ms,
        order_type=settings.order_type,
        effects=settings.paper_effects,
        interruptions=settings.paper_interruptions,
        account_id=account_id,
    )
