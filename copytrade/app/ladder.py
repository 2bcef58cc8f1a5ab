"""The way to real orders, wired: their shadows on paper, and how far the account may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copytrade.app.execution import build_paper
from copytrade.domain.attempts import ExecutionMode
from copytrade.domain.risk import LimitName
from copytrade.engine.ladder import Ladder
from copytrade.engine.shadow import Shadow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.app.parts import Parts
    from copytrade.engine.risk_limits import LimitBook
    from copytrade.engine.worker import Onlooker, Worker
    from copytrade.settings import Settings


def build_ladder(parts: Parts, limits: LimitBook) -> Ladder | None:
    """Return what keeps a real account to its rung; None on paper."""
    if parts.executor.mode is ExecutionMode.PAPER:
        return None
    caps = {
        LimitName.MAX_USDC_PER_TRADE: parts.settings.live_max_usdc_per_order,
        LimitName.MAX_USDC_PER_DAY: parts.settings.live_max_usdc_per_day,
    }
    return Ladder(
        store=parts.ledger,
        account_id=parts.executor.account_id,
        caps={name: cap for name, cap in caps.items() if cap is not None},
        limits=limits,
        notifier=parts.listeners,
        clock=parts.clock,
    )


def build_shadow(settings: Settings, worker: Worker) -> Mapping[str, Onlooker]:
    """Return who runs real orders on paper too, listening from now on; nobody where orders are on paper anyway."""
    if worker.executor.mode is ExecutionMode.PAPER:
        return {}
    paper = build_paper(settings, worker.books, worker.clock)
    shadow = Shadow(store=worker.ledger, paper=paper, clock=worker.clock, note=worker.notes.take)
    worker.listeners.add(shadow)
    return {"shadow": shadow}


async def live_account(settings: Settings) -> str:
    """Return the name of the real account; the key is opened where LIVE_WALLET does not say whose it is.

    :raises ConfigurationError: the key cannot be had.
    """
    from copytrade.app import live

    return live.account_of_wallet(settings.live_wallet or (await live.open_signer(settings)).address)
