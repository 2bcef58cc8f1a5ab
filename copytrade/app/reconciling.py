"""The composition root of `reconcile`: settings in, what compares and what repairs out."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from copytrade.app.auditing import OwnProcessAudit, ThreadAudit
from copytrade.app.markets import build_registry
from copytrade.app.outside import Outside, open_http
from copytrade.app.verification import LedgerWitness, open_witnesses
from copytrade.engine.listeners import Listeners
from copytrade.engine.notes import Notes
from copytrade.engine.reconcile import Reconcile
from copytrade.engine.reconciling import Reconciling
from copytrade.engine.repair import Repair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from copytrade.app.parts import Parts
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.reconciliation import LedgerAudit
    from copytrade.settings import Settings


class Reconciler:
    """Both halves, over the same witnesses."""

    def __init__(self, reconcile: Reconcile, repair: Repair) -> None:
        self.reconcile: Final = reconcile
        self.repair: Final = repair


@asynccontextmanager
async def open_reconciler(
    settings: Settings,
    ledger: Ledger,
    outside: Outside | None = None,
    *,
    tell: Callable[[int, int], None],
    audit: LedgerAudit | None = None,
) -> AsyncIterator[Reconciler]:
    """Open the witnesses at the URLs that `run` uses; `tell` hears how many blocks are read and how many are left.

    The database is audited in a thread where nothing else is given.

    :raises ConfigurationError: there is no URL to read the chain from.
    """
    outside = outside or Outside()
    clock = outside.clock
    notes = Notes(ledger=ledger, notifier=Listeners(), clock=clock)
    async with (
        open_http(outside) as http,
        open_witnesses(settings, outside, wanted_by="reconcile") as (chain, api),
    ):
        registry = build_registry(settings, ledger, clock, http=http, notes=notes)
        yield Reconciler(
            Reconcile(
                ledger=ledger,
                chain=chain,
                api=api,
                ours=LedgerWitness(ledger),
                audit=audit or ThreadAudit(settings, clock),
                clock=clock,
                tell=tell,
            ),
            Repair(ledger=ledger, chain=chain, fetch_market=registry.fetch, clock=clock),
        )


def build_chores(
    settings: Settings, parts: Parts, outside: Outside
) -> Mapping[str, Callable[[], Coroutine[None, None, None]]]:
    """Return what compares on a schedule; nothing where no node is known or nobody wants it."""
    if not settings.polygon_http_url or not settings.reconcile_interval_ms:
        return {}
    reconciling = Reconciling(
        open_reconcile=lambda: _open(settings, parts.ledger, outside),
        ledger=parts.ledger,
        roll=parts.roll,
        notes=parts.notes,
        clock=parts.clock,
        interval_ms=settings.reconcile_interval_ms,
    )
    return {"reconcile": reconciling.run}


@asynccontextmanager
async def _open(settings: Settings, ledger: Ledger, outside: Outside) -> AsyncIterator[Reconcile]:
    audit = outside.audit or OwnProcessAudit(settings, outside.clock)
    async with open_reconciler(settings, ledger, outside, tell=_nobody, audit=audit) as reconciler:
        yield reconciler.reconcile


def _nobody(_done: int, _left: int) -> None:
    return
