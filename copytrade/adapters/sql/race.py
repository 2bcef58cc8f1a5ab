"""The race of the sources: who saw a fill first, how far behind the others were, and what they never saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, select

from copytrade.adapters.sql.tables import leader, leader_fill, leader_fill_raw
from copytrade.domain.fills import Source
from copytrade.domain.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from copytrade.domain.units import Millis

RACE_FILLS: Final = 10_000
"""So many of the newest fills are compared, less the history among them: what was read in later is no race."""
GAP_AFTER_MS: Final = 60_000
"""What a source has not seen a minute after another did counts as missed, until it comes."""


@dataclass(slots=True, kw_only=True)
class _Fill:
    """One fill: its block's time, which source made it known, and when each first reported it."""

    fill_ts_ms: Millis
    first_source: str
    role: str
    seen_ms: dict[str, Millis] = field(default_factory=dict)


def race(connection: Connection, *, now_ms: Millis) -> list[dict[str, Any]]:
    """Return one row for each source that reported any of the newest fills, the one first most often on top.

    A source's gaps are fills of others since its own first report. Lags behind the block may be negative: a
    block can be told before its stamp.
    """
    return _rows(_fills(connection), now_ms=now_ms)


def races(connection: Connection, *, now_ms: Millis) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """Return the same in all, and of the fills of each role that leaders had."""
    fills = _fills(connection)
    roles = sorted({fill.role for fill in fills})
    by_role = {role: _rows([fill for fill in fills if fill.role == role], now_ms=now_ms) for role in roles}
    return _rows(fills, now_ms=now_ms), by_role


def _rows(fills: Sequence[_Fill], *, now_ms: Millis) -> list[dict[str, Any]]:
    sources = {source for fill in fills for source in fill.seen_ms}
    rows = [_row(source, fills, now_ms=now_ms) for source in sources]
    return sorted(rows, key=lambda row: (-row["first"], row["source"]))


def _fills(connection: Connection) -> list[_Fill]:
    fill, raw = leader_fill.c, leader_fill_raw.c
    newest = (
        select(fill.id, fill.fill_ts, fill.source.label("first_source"), fill.leader_role, leader.c.followed_since)
        .join_from(leader_fill, leader)
        .where(fill.orphaned_at.is_(None), fill.source != Source.LEADER_EVENT)
        .order_by(fill.fill_ts.desc())
        .limit(RACE_FILLS)
        .subquery()
    )
    statement = select(newest, raw.source, raw.received_at).join_from(
        newest, leader_fill_raw, raw.leader_fill_id == newest.c.id
    )
    found: dict[UUID, _Fill] = {}
    for row in connection.execute(statement):
        if row.fill_ts // 1000 < row.followed_since // 1000:
            continue
        one = found.setdefault(row.id, _new_fill(row))
        one.seen_ms[row.source] = min(row.received_at, one.seen_ms.get(row.source, row.received_at))
    return list(found.values())


def _new_fill(row: Any) -> _Fill:
    return _Fill(fill_ts_ms=row.fill_ts, first_source=row.first_source, role=row.leader_role)


def _row(source: str, fills: Sequence[_Fill], *, now_ms: Millis) -> dict[str, Any]:
    seen = [fill for fill in fills if source in fill.seen_ms]
    first = sum(1 for fill in seen if fill.first_source == source)
    since_ms = min(fill.seen_ms[source] for fill in seen)
    told_ms = [min(fill.seen_ms.values()) for fill in fills if source not in fill.seen_ms]
    behind_block = [fill.seen_ms[source] - fill.fill_ts_ms for fill in seen]
    behind_first = [fill.seen_ms[source] - min(fill.seen_ms.values()) for fill in seen]
    return {
        "source": source,
        "fills": len(seen),
        "first": first,
        "first_share": round(first / len(fills), 3),
        "behind_block_p50_ms": percentile(behind_block, 50),
        "behind_block_p95_ms": percentile(behind_block, 95),
        "behind_first_p50_ms": percentile(behind_first, 50),
        "behind_first_p95_ms": percentile(behind_first, 95),
        "gaps": sum(1 for at_ms in told_ms if since_ms <= at_ms <= now_ms - GAP_AFTER_MS),
    }
