"""What the ledger says real accounts won and hold in pairs; whether the venue still has it is asked elsewhere."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from copytrade.adapters.sql.columns import JsonText
from copytrade.adapters.sql.money_tables import resolution, settlement
from copytrade.adapters.sql.rows import payouts_of
from copytrade.adapters.sql.tables import market_registry, market_token, position
from copytrade.domain.ids import LIVE_ACCOUNT_PREFIX
from copytrade.domain.redeeming import Pair, Won
from copytrade.domain.settlement import SettlementKind

if TYPE_CHECKING:
    from sqlalchemy import Select, Table

    from copytrade.domain.units import Shares


def won(connection: Connection) -> tuple[Won, ...]:
    """Return what each real account had of each outcome that paid, settled in the ledger or about to be, by title."""
    settled = _of(settlement).where(settlement.c.kind == SettlementKind.RESOLUTION)
    shares: defaultdict[Won, Shares] = defaultdict(int)
    for statement in (settled, _of(position)):
        for row in connection.execute(statement):
            if (paid := _paid(row)) is not None:
                shares[paid] += row.shares
    found = (replace(one, shares=amount) for one, amount in shares.items() if amount)
    return tuple(sorted(found, key=lambda one: (one.account_id, one.title, one.token_id)))


def pairs(connection: Connection) -> tuple[Pair, ...]:
    """Return the markets of which a real account holds every outcome, those that are resolved left out, by title."""
    held: defaultdict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for row in connection.execute(_of(position).where(position.c.shares > 0)):
        if row.payouts is None:
            held[row.account_id, row.title, row.condition_id].append(row)
    found = []
    for (account_id, title, condition_id), rows in sorted(held.items()):
        tokens = tuple(sorted(row.token_id for row in rows))
        if tokens == _tokens(connection, condition_id):
            sets = min(row.shares for row in rows)
            found.append(
                Pair(account_id=account_id, token_ids=tokens, condition_id=condition_id, title=title, sets=sets)
            )
    return tuple(found)


def _of(held: Table) -> Select[Any]:
    """Return what real accounts held, each with its outcome and what its market pays, None before that is known."""
    market, token = market_registry.c, market_token.c
    return (
        select(
            held.c.account_id,
            held.c.token_id,
            held.c.shares,
            market.condition_id,
            market.title,
            token.outcome,
            token.outcome_index,
            func.coalesce(resolution.c.payouts, market.payouts, type_=JsonText()).label("payouts"),
        )
        .join_from(held, market_token, token.token_id == held.c.token_id)
        .join(market_registry, market.condition_id == token.condition_id)
        .outerjoin(resolution, resolution.c.condition_id == token.condition_id)
        .where(held.c.account_id.startswith(LIVE_ACCOUNT_PREFIX))
    )


def _paid(row: Any) -> Won | None:
    payouts = payouts_of(row.payouts)
    if payouts is None or not payouts[row.outcome_index]:
        return None
    return Won(
        account_id=row.account_id,
        token_id=row.token_id,
        condition_id=row.condition_id,
        title=row.title,
        outcome=row.outcome,
        shares=0,
        payout=payouts[row.outcome_index],
    )


def _tokens(connection: Connection, condition_id: str) -> tuple[str, ...]:
    token = market_token.c
    every = select(token.token_id).where(token.condition_id == condition_id)
    return tuple(sorted(connection.execute(every).scalars()))
