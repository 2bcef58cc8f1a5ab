"""The composition root of `audit`: the whole database as evidence."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from typing import TYPE_CHECKING, Final

from copytrade.domain.invariants import AuditRules
from copytrade.engine.audit import GRACE_MS, audit
from copytrade.ports.ledger import LedgerUnavailableError
from copytrade.ports.reconciliation import LedgerAudit

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from copytrade.domain.invariants import Breach, Verdict
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock
    from copytrade.settings import Settings

NICENESS: Final = 10


def audit_ledger(settings: Settings, *, now_ms: Millis, tell: Callable[[str, int], None]) -> tuple[Verdict, ...]:
    """Judge a whole database, as it was at one instant, and change nothing; `tell` hears how far it has come.

    :raises LedgerUnavailableError: the database cannot be read.
    :raises SchemaOutdatedError: there is none, or it is another version's.
    """
    from copytrade.adapters.sql import schema

    url = settings.database_url.get_secret_value()
    schema.require_current(url)
    return _audit_at(url, _rules(settings, now_ms), tell)


class ThreadAudit(LedgerAudit):
    """Audits a database beside whatever else this process does."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings: Final = settings
        self._clock: Final = clock

    async def breaches(self) -> tuple[Breach, ...]:
        url, rules = self._settings.database_url.get_secret_value(), _rules(self._settings, self._clock.now_ms())
        return _breaches(await asyncio.to_thread(_audit_at, url, rules))


class OwnProcessAudit(LedgerAudit):
    """Audits a database in a process of its own, so that nothing here waits for it; it ends when this one does."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings: Final = settings
        self._clock: Final = clock

    async def breaches(self) -> tuple[Breach, ...]:
        context = multiprocessing.get_context("spawn")
        answer, theirs = context.Pipe(duplex=False)
        url, rules = self._settings.database_url.get_secret_value(), _rules(self._settings, self._clock.now_ms())
        process = context.Process(target=_answer, args=(url, rules, theirs), name="audit", daemon=True)
        await asyncio.to_thread(process.start)
        theirs.close()
        try:
            found = await asyncio.to_thread(answer.recv)
        except EOFError:
            raise LedgerUnavailableError("the audit ended before it was through") from None
        finally:
            process.kill()
            answer.close()
        if isinstance(found, str):
            raise LedgerUnavailableError(found)
        return tuple(found)


def _rules(settings: Settings, now_ms: Millis) -> AuditRules:
    return AuditRules(now_ms=now_ms, book_age_ms_max=settings.quote_stale_ms, grace_ms=GRACE_MS)


def _audit_at(url: str, rules: AuditRules, tell: Callable[[str, int], None] | None = None) -> tuple[Verdict, ...]:
    from copytrade.adapters.sql.audit import open_evidence

    with open_evidence(url) as evidence:
        return audit(evidence, rules, tell=tell)


def _breaches(verdicts: tuple[Verdict, ...]) -> tuple[Breach, ...]:
    return tuple(breach for verdict in verdicts for breach in verdict.breaches)


def _answer(url: str, rules: AuditRules, asker: Connection) -> None:
    """Audit and send what was found, or in words why that failed; Ctrl-C is for the process that asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    try:
        found: tuple[Breach, ...] | str = _breaches(_audit_at(url, rules))
    except LedgerUnavailableError as error:
        found = str(error)
    asker.send(found)
