"""What the account holds: valued, and settled when it ends without a trade."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from copytrade.domain.attempts import ExecutionMode
from copytrade.engine.equity import Equity
from copytrade.engine.marks import BookMarks
from copytrade.engine.money import Money
from copytrade.engine.settle import Settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from copytrade.app.outside import Outside
    from copytrade.app.parts import Parts
    from copytrade.ports.resolutions import ResolutionFeed
    from copytrade.settings import Settings


@asynccontextmanager
async def open_feed(settings: Settings, outside: Outside) -> AsyncIterator[ResolutionFeed | None]:
    """Open the chain's record of resolutions; None where no node is known."""
    if not settings.polygon_http_url:
        yield None
        return
    from copytrade.adapters.polygon.resolutions import open_resolutions

    async with open_resolutions(
        settings.polygon_http_url,
        contract=settings.poly_conditional_tokens,
        clock=outside.clock,
        transport=outside.transport,
    ) as feed:
        yield feed


def build_money(
    settings: Settings,
    parts: Parts,
    *,
    in_turn: Callable[[str], AbstractAsyncContextManager[None]],
    feed: ResolutionFeed | None,
) -> Money:
    """Return what values the account and settles its positions."""
    marks = BookMarks(parts.books, parts.registry)
    equity = Equity(
        ledger=parts.ledger,
        portfolio=parts.portfolio,
        marks=marks,
        notes=parts.notes,
        clock=parts.clock,
        start_cash=settings.paper_cash_usdc if parts.executor.mode is ExecutionMode.PAPER else None,
        wallet=parts.wallet,
        interval_ms=settings.equity_interval_ms,
    )
    settle = Settle(
        ledger=parts.ledger,
        registry=parts.registry,
        portfolio=parts.portfolio,
        executor=parts.executor,
        in_turn=in_turn,
        notifier=parts.listeners,
        notes=parts.notes,
        clock=parts.clock,
        merges_sets=settings.paper_merge_sets,
        feed=feed,
    )
    return Money(marks=marks, equity=equity, settle=settle)
