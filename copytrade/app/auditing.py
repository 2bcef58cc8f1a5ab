"""The composition root of `audit`: the whole database as evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copytrade.domain.invariants import AuditRules
from copytrade.engine.audit import GRACE_MS, audit

if TYPE_CHECKING:
    from collections.abc import Callable

    from copytrade.domain.invariants import Verdict
    from copytrade.domain.units import Millis
    from copytrade.settings import Settings


def audit_ledger(settings: Settings, *, now_ms: Millis, tell: Callable[[str, int], None]) -> tuple[Verdict, ...]:
    """Judge a whole database, as it was at one instant, and change nothing; `tell` hears how far it has come.

    :raises LedgerUnavailableError: the database cannot be read.
    :raises SchemaOutdatedError: there is none, or it is another version's.
    """
    from copytrade.adapters.sql import schema
    from copytrade.adapters.sql.audit import open_evidence

    url = settings.database_url.get_secret_value()
    schema.require_current(url)
    rules = AuditRules(now_ms=now_ms, book_age_ms_max=settings.quote_stale_ms, grace_ms=GRACE_MS)
    with open_evidence(url) as evidence:
        return audit(evidence, rules, tell=tell)
