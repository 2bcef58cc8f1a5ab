"""One fill's whole story: who saw it, what was decided and why, what became of it. Plain rows, ready for JSON.

Money, shares and prices are decimal text, times ISO text in UTC, latencies whole milliseconds.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from copytrade.adapters.sql import attempts, attribution
from copytrade.adapters.sql.accounts import settled_in_order
from copytrade.adapters.sql.lookup import Match, find_fills
from copytrade.adapters.sql.plain import iso
from copytrade.adapters.sql.rows import execution_of
from copytrade.adapters.sql.tables import (
    execution_attempt,
    execution_fill,
    leader,
    leader_fill,
    leader_fill_raw,
    market_registry,
    market_token,
)
from copytrade.domain.attempts import OPEN_STATUSES, ExecutionFill
from copytrade.domain.attribution import Attribution, BookTop, Loss, markout
from copytrade.domain.fills import Side
from copytrade.domain.markouts import HORIZONS, FillMarks
from copytrade.domain.positions import Position, fold
from copytrade.domain.units import BPS, format_micro
from copytrade.strategies.copy.verdicts import verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from copytrade.adapters.sql.engine import Database
    from copytrade.adapters.sql.plain import PlainRow
    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.settlement import PositionSettlement
    from copytrade.domain.units import Millis


class SqlStories:
    """Read models over an open database; nothing here writes or waits for writers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, name: str) -> list[Match]:
        """Return the fills a text names; see `find_fills`.

        :raises ValueError: it names nothing of the kind.
        """
        return await self._database.read(partial(find_fills, name=name))

    async def story(self, fill_id: UUID, *, now_ms: Millis) -> PlainRow:
        """Return everything that is known of one fill, and what is still to come after `now_ms`.

        :raises LookupError: there is no such fill.
        """
        return await self._database.read(partial(_story, fill_id=fill_id, now_ms=now_ms))


def _story(connection: Connection, *, fill_id: UUID, now_ms: Millis) -> PlainRow:
    fill = _fill(connection, fill_id)
    made = attempts.select_where(connection, execution_attempt.c.leader_fill_id == fill_id)
    return {
        "fill": _fill_row(fill),
        "sources": _sources(connection, fill),
        "attempts": [_attempt(connection, attempt, fill, now_ms) for attempt in made],
        "no_attempt": "" if made else _why_no_attempt(fill),
    }


def _fill(connection: Connection, fill_id: UUID) -> Any:
    market = market_registry.c
    told = (market.title, market.slug, market.category, market.condition_id, market_token.c.outcome)
    statement = (
        select(leader_fill, leader.c.address, leader.c.label, leader.c.followed_since, *told)
        .join_from(leader_fill, leader)
        .outerjoin(market_token, market_token.c.token_id == leader_fill.c.token_id)
        .outerjoin(market_registry, market.condition_id == market_token.c.condition_id)
        .where(leader_fill.c.id == fill_id)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise LookupError(f"no fill has the id {fill_id}")
    return row


def _fill_row(fill: Any) -> PlainRow:
    state = "orphaned" if fill.orphaned_at else "confirmed" if fill.confirmed_at else "unconfirmed"
    as_it_is = ("dedupe_key", "side", "token_id", "tx_hash", "exchange_address", "block_number", "block_hash",
                "log_index", "order_hash", "title", "outcome", "slug", "category", "condition_id")  # fmt: skip
    return {
        "id": str(fill.id),
        "leader": fill.address,
        "label": fill.label,
        "role": fill.leader_role,
        **{name: getattr(fill, name) for name in as_it_is},
        "price": format_micro(fill.leader_price),
        "size": format_micro(fill.leader_size),
        "usdc": format_micro(fill.leader_usdc),
        "fee": _micro(fill.leader_fee),
        "fill_ts": iso(fill.fill_ts),
        "first_source": fill.source,
        "detected_at": iso(fill.detected_at),
        "detect_ms": fill.detected_at - fill.fill_ts,
        "state": state,
        "confirmed_at": iso(fill.confirmed_at),
        "orphaned_at": iso(fill.orphaned_at),
    }


def _sources(connection: Connection, fill: Any) -> list[PlainRow]:
    """Return every report of the fill, the first one on top."""
    raw = leader_fill_raw.c
    statement = select(raw.source, raw.source_key, raw.received_at).where(raw.leader_fill_id == fill.id)
    rows = connection.execute(statement.order_by(raw.received_at, raw.source, raw.source_key)).all()
    return [
        {
            "source": row.source,
            "source_key": row.source_key,
            "received_at": iso(row.received_at),
            "behind_block_ms": row.received_at - fill.fill_ts,
            "behind_first_ms": row.received_at - rows[0].received_at,
        }
        for row in rows
    ]


def _why_no_attempt(fill: Any) -> str:
    if fill.fill_ts // 1000 < fill.followed_since // 1000:
        return "history: it happened before the leader was followed"
    if fill.orphaned_at is not None:
        return "a reorg took it away before it was decided"
    return "it waits for its decision"


def _attempt(connection: Connection, attempt: ExecutionAttempt, fill: Any, now_ms: Millis) -> PlainRow:
    noted = next(iter(attribution.attributions_of(connection, [attempt.id])), None)
    executions = attribution.executions_of(connection, [attempt.id])
    said = noted.verdicts if noted else verdicts(attempt.reasons, attempt.side)
    return {
        "id": str(attempt.id),
        "strategy_id": attempt.strategy_id,
        "account_id": attempt.account_id,
        "mode": attempt.mode,
        "decision": attempt.decision,
        "reasons": [reason.as_json() for reason in attempt.reasons],
        "verdicts": [{"rule": one.rule, "verdict": one.verdict, **dict(one.numbers)} for one in said],
        "ratio": format_micro(attempt.ratio),
        "size_shares_target": format_micro(attempt.size_shares_target),
        "limit_price": format_micro(attempt.limit_price),
        "ttl_ms": attempt.ttl_ms,
        "status": attempt.status,
        "is_left": attempt.status in OPEN_STATUSES and now_ms > attempt.over_ms,
        "order_hash": attempt.order_hash,
        "filled_shares": format_micro(attempt.filled_shares),
        **_times(attempt, fill),
        "executions": _executions(connection, attempt, executions, leader_price=fill.leader_price),
        "attribution": None if noted is None else _attribution(noted),
        "markouts": [_marks(one.as_known(now_ms), executions) for one in attribution.marks(connection, [attempt.id])],
    }


def _times(attempt: ExecutionAttempt, fill: Any) -> PlainRow:
    """Return each instant and how long after the one before; the ending counts from the placement."""
    placed_ms = attempt.placed_at_ms
    latency = {
        "detect": (fill.detected_at, fill.fill_ts),
        "decide": (attempt.decided_at_ms, fill.detected_at),
        "place": (placed_ms, attempt.decided_at_ms),
        "first_fill": (attempt.first_fill_at_ms, placed_ms),
        "done": (attempt.done_at_ms, placed_ms),
        "total": (attempt.first_fill_at_ms, fill.fill_ts),
    }
    return {
        "decided_at": iso(attempt.decided_at_ms),
        "placed_at": iso(placed_ms),
        "first_fill_at": iso(attempt.first_fill_at_ms),
        "done_at": iso(attempt.done_at_ms),
        "latency_ms": {
            name: None if later is None or earlier is None else later - earlier
            for name, (later, earlier) in latency.items()
        },
    }


def _executions(
    connection: Connection, attempt: ExecutionAttempt, executions: Sequence[ExecutionFill], *, leader_price: int
) -> list[PlainRow]:
    effects = _positions_around(connection, attempt) if executions else {}
    rows = []
    for fill in executions:
        worse = fill.price - leader_price if fill.side is Side.BUY else leader_price - fill.price
        before, after = effects[fill.id]
        rows.append(
            {
                "id": str(fill.id),
                "venue_trade_id": fill.venue_trade_id,
                "side": fill.side,
                "shares": format_micro(fill.shares),
                "price": format_micro(fill.price),
                "fee_usdc": format_micro(fill.fee_usdc),
                "liquidity": fill.liquidity,
                "settlement": fill.settlement,
                "fill_at": iso(fill.fill_at_ms),
                "slippage": format_micro(worse),
                "slippage_bps": (2 * worse * BPS + leader_price) // (2 * leader_price) if leader_price else None,
                "position_before": _position(before),
                "position_after": _position(after),
            }
        )
    return rows


def _positions_around(connection: Connection, attempt: ExecutionAttempt) -> dict[UUID, tuple[Position, Position]]:
    """Fold all that moved the position up to this attempt's last execution; return it around each of these."""
    fill = execution_fill.c
    owner = (attempt.strategy_id, attempt.account_id, attempt.token_id)
    last = select(func.max(fill.position_ordinal)).where(fill.attempt_id == attempt.id).scalar_subquery()
    executed = connection.execute(
        select(execution_fill).where(
            fill.strategy_id == owner[0],
            fill.account_id == owner[1],
            fill.token_id == owner[2],
            fill.position_ordinal <= last,
        )
    ).all()
    moves: list[tuple[int, ExecutionFill | PositionSettlement]] = [
        *((row.position_ordinal, execution_of(row)) for row in executed),
        *settled_in_order(connection, owner),
    ]
    final = max(row.position_ordinal for row in executed)
    position = Position(strategy_id=owner[0], account_id=owner[1], token_id=owner[2])
    around: dict[UUID, tuple[Position, Position]] = {}
    for ordinal, move in sorted(moves, key=itemgetter(0)):
        if ordinal > final:
            break
        after = fold(position, [move])
        if isinstance(move, ExecutionFill) and move.attempt_id == attempt.id:
            around[move.id] = (position, after)
        position = after
    return around


def _position(position: Position) -> PlainRow:
    names = ("shares", "cost_usdc", "realized_pnl_usdc", "fees_usdc")
    return {name: format_micro(getattr(position, name)) for name in names}


def _attribution(noted: Attribution) -> PlainRow:
    outcome = noted.outcome
    return {
        "is_final": noted.is_final,
        "way": {
            "leader": format_micro(noted.way.leader),
            "mid_at_decision": _micro(noted.way.mid_at_decision),
            "touch_at_decision": _micro(noted.way.touch_at_decision),
            "touch_at_placement": _micro(noted.way.touch_at_placement),
            "average_fill": None if outcome is None else format_micro(outcome.price),
        },
        "lost_usdc": None if outcome is None else _loss(outcome.lost_usdc),
        "lost_per_share": None if outcome is None else _loss(outcome.lost_price),
        "book_at_decision": _book(noted.book_at_decision),
        "book_at_placement": _book(noted.book_at_placement),
        "missing": dict(noted.missing),
    }


def _loss(loss: Loss) -> PlainRow:
    return {name: _micro(part) for name, part in asdict(loss).items()} | {"total": format_micro(loss.total)}


def _book(book: BookTop | None) -> PlainRow | None:
    if book is None:
        return None
    sides = {"bids": book.bids, "asks": book.asks}
    levels = {side: [[format_micro(number) for number in level] for level in kept] for side, kept in sides.items()}
    return {"standing_since": iso(book.at_ms), **levels}


def _marks(marks: FillMarks, executions: Sequence[ExecutionFill]) -> PlainRow:
    """Return what was filled at one instant, and for each horizon the mid with the gain, or why there is none."""
    fills = [fill for fill in executions if fill.fill_at_ms == marks.fill_at_ms]
    mids, missing = dict(marks.mids), dict(marks.missing)
    told: PlainRow = {}
    for horizon, after_ms in HORIZONS.items():
        if horizon in mids:
            told[horizon] = {"mid": format_micro(mids[horizon]), "gained_usdc": _gained(fills, mids[horizon])}
        elif horizon in missing:
            told[horizon] = {"unknown": missing[horizon]}
        else:
            told[horizon] = {"due": iso(marks.fill_at_ms + after_ms)}
    if marks.payout is None:
        told["resolution"] = {"due": "when the market is resolved"}
    else:
        told["resolution"] = {"payout": format_micro(marks.payout), "gained_usdc": _gained(fills, marks.payout)}
    shares = sum(fill.shares for fill in fills)
    return {"fill_at": iso(marks.fill_at_ms), "shares": format_micro(shares), **told}


def _gained(fills: Sequence[ExecutionFill], mark: int) -> str:
    exact = sum(fill.shares * markout(fill.side, price=fill.price, mark=mark) for fill in fills)
    return format_micro(exact // 1_000_000)


def _micro(amount: int | None) -> str | None:
    return None if amount is None else format_micro(amount)
