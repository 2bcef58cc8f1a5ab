"""The audit trail: rows that are only ever added."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Connection, insert

from copytrade.adapters.sql.tables import risk_event, worker_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Table

    from copytrade.domain.units import Millis


def note(connection: Connection, code: str, detail: Mapping[str, object], *, at_ms: Millis) -> None:
    """Append a `worker_event`; what JSON does not know is kept as its text."""
    _append(connection, worker_event, code, detail, at_ms=at_ms)


def note_risk(connection: Connection, code: str, detail: Mapping[str, object], *, at_ms: Millis) -> None:
    """Append a `risk_event` in the same way."""
    _append(connection, risk_event, code, detail, at_ms=at_ms)


def _append(connection: Connection, table: Table, code: str, detail: Mapping[str, object], *, at_ms: Millis) -> None:
    values = {"id": timed_id(at_ms), "code": code, "detail": json.dumps(detail, default=str), "at": at_ms}
    connection.execute(insert(table).values(values))


def timed_id(at_ms: Millis) -> UUID:
    """Return a random id that sorts by time (RFC 9562, version 7)."""
    random = secrets.randbits(74)
    high, low = random >> 62, random & (1 << 62) - 1
    return UUID(int=(at_ms & (1 << 48) - 1) << 80 | 7 << 76 | high << 64 | 2 << 62 | low)
