"""How fills are copied and where the orders go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copytrade.strategies.copy import CopyRules

if TYPE_CHECKING:
    from copytrade.ports.books import BookStore
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter
    from copytrade.settings import Settings


def build_rules(settings: Settings) -> CopyRules:
    """Return what the operator allows."""
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
    )
