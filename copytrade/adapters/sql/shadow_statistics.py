"""Real orders against their shadows on paper, one by one and in all. Plain rows, ready for JSON.

Counts are numbers, shares of a whole fractions, differences in basis points with plus where the real order was worse,
times whole milliseconds after the decision, money, shares and prices decimal text.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from copytrade.adapters.sql.ladder import shadowed
from copytrade.adapters.sql.plain import iso
from copytrade.adapters.sql.race import percentile
from copytrade.adapters.sql.tables import execution_attempt
from copytrade.adapters.sql.views import attempt_summary
from copytrade.domain.shadow import Run, ShadowedAttempt, mean_difference_bps
from copytrade.domain.units import format_micro

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement

    from copytrade.adapters.sql.engine import Database
    from copytrade.adapters.sql.plain import PlainRow
    from copytrade.domain.units import Millis

SHADOWED_MAX: Final = 10_000
"""So many of the newest attempts are compared."""
PERCENTILES: Final = (50, 95)


class SqlShadowStatistics:
    """Read models over an open database; nothing here writes or waits for writers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def figures(self, *, since_ms: Millis | None = None, leader: str | None = None) -> PlainRow:
        """Return the attempts that have a shadow, stored since then, newest first; `leader` is an address.

        `all` counts those that became orders and are over on both sides; `only_shadow` were never to be sent.
        """
        asked = [*_asked(since_ms, leader)]
        found = await self._database.read(partial(shadowed, asked=asked, limit=SHADOWED_MAX))
        sent = [one for one in found if one.is_sent]
        return {
            "attempts_max": SHADOWED_MAX,
            "all": _totals([one for one in sent if one.is_over]),
            "open": sum(not one.is_over for one in sent),
            "only_shadow": len(found) - len(sent),
            "attempts": [_plain(one) for one in found],
        }


def _asked(since_ms: Millis | None, leader: str | None) -> Iterator[ColumnElement[bool]]:
    if since_ms is not None:
        yield execution_attempt.c.created_at >= since_ms
    if leader is not None:
        view = attempt_summary.c
        yield execution_attempt.c.id.in_(select(view.attempt_id).where(view.leader_address == leader))


def _totals(over: list[ShadowedAttempt]) -> PlainRow:
    filled = [(one.live.filled_shares > 0, one.paper.filled_shares > 0) for one in over]
    return {
        "attempts": len(over),
        "both_filled": filled.count((True, True)),
        "only_live_filled": filled.count((True, False)),
        "only_paper_filled": filled.count((False, True)),
        "neither_filled": filled.count((False, False)),
        "price_difference_bps": mean_difference_bps(over),
        "live": _sums(over, [one.live for one in over]),
        "paper": _sums(over, [one.paper for one in over]),
    }


def _sums(over: list[ShadowedAttempt], runs: list[Run]) -> PlainRow:
    waits = [one.first_fill_after_ms(run) for one, run in zip(over, runs, strict=True)]
    known = sorted(wait for wait in waits if wait is not None)
    return {
        "fill_rate": _share(sum(run.filled_shares > 0 for run in runs), len(runs)),
        "filled_share": _share(sum(run.filled_shares for run in runs), sum(one.target_shares for one in over)),
        "filled_shares": format_micro(sum(run.filled_shares for run in runs)),
        "filled_usdc": format_micro(sum(run.filled_usdc for run in runs)),
        "first_fill_ms": {f"p{one}": percentile(known, one) if known else None for one in PERCENTILES},
    }


def _plain(one: ShadowedAttempt) -> PlainRow:
    return {
        "attempt_id": str(one.attempt_id),
        "decided_at": iso(one.decided_at_ms),
        "token_id": one.token_id,
        "side": one.side,
        "target_shares": format_micro(one.target_shares),
        "price_difference_bps": one.price_difference_bps,
        "live": _plain_run(one, one.live) if one.is_sent else None,
        "paper": _plain_run(one, one.paper),
    }


def _plain_run(one: ShadowedAttempt, run: Run) -> PlainRow:
    return {
        "status": run.status,
        "filled_shares": format_micro(run.filled_shares),
        "filled_share": _share(run.filled_shares, one.target_shares),
        "price": None if run.price is None else format_micro(run.price),
        "first_fill_ms": one.first_fill_after_ms(run),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
