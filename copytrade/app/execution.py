"""How fills are copied and where the orders go."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from copytrade.domain.copy_rules import CopyRules

if TYPE_CHECKING:
    from copytrade.ports.books import BookStore
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter
    from copytrade.settings import Settings


def build_rules(settings: Settings) -> CopyRules:
    """Return what the operator allows: every rule is a setting of the same name."""
    return CopyRules(**{rule.name: getattr(settings, rule.name) for rule in fields(CopyRules)})


def build_executor(settings: Settings, books: BookStore, clock: Clock) -> ExecutionAdapter:
    """Return the account that orders belong to."""
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
    )
