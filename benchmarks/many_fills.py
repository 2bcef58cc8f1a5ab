"""A ledger of very many fills, each decided and executed, as a worker would have left it: consistent to the micro-unit.

Rows are made by the adapter's own functions and put in with as little between them and the driver as there is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Table, insert

from copytrade.adapters.sql import copying
from copytrade.adapters.sql.engine import open_database
from copytrade.adapters.sql.ingest import raw_values
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.money_tables import account_balance
from copytrade.adapters.sql.prepared import Prepared
from copytrade.adapters.sql.rows import attempt_values, position_values, recorded_fill_values
from copytrade.adapters.sql.tables import (
    execution_attempt,
    execution_fill,
    leader_fill,
    leader_fill_raw,
    position,
)
from copytrade.domain.attempts import (
    AttemptStatus,
    Decision,
    ExecutionAttempt,
    ExecutionFill,
    ExecutionMode,
    Liquidity,
    Settlement,
    reason,
)
from copytrade.domain.fills import LeaderFill, LeaderRole, LogPlace, RecordedFill, Side, Sighting, Source
from copytrade.domain.ids import attempt_id, execution_fill_id, leader_fill_id
from copytrade.domain.market import OutcomeToken
from copytrade.domain.positions import Position, apply_fill, cash_flow
from copytrade.domain.settlement import Resolution, ResolutionSource
from copytrade.domain.units import LOT, MICRO, notional_down
from copytrade.ports.leader_fills import Cursor, CursorScope, FillsSeen, ProofMethod, ProvedRange
from tests.makers import EXCHANGE, NOW_MS, a_leader, a_market

LEADERS: Final = 100
MARKETS: Final = 1_000
RESOLVED_MARKETS: Final = 20
BATCH: Final = 5_000
START_CASH: Final = 10_000_000 * MICRO
FIRST_BLOCK: Final = 90_000_000
FILLS_PER_SECOND: Final = 2
PAYLOAD: Final = '{"data":"0x%s"}' % ("0" * 448)

Rows = dict[Table, list[dict[str, Any]]]
TABLES: Final = (leader_fill, leader_fill_raw, execution_attempt, execution_fill)


@dataclass(slots=True, kw_only=True)
class Maker:
    """What was made so far: positions with how many entries each has, and the cash that moved."""

    fills: int
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    positions: dict[str, Position] = field(default_factory=dict)
    ordinals: dict[str, int] = field(default_factory=dict)
    cash: int = START_CASH

    def batch(self, numbers: range) -> Iterator[tuple[Table, dict[str, Any]]]:
        """Yield the rows of some fills."""
        for number in numbers:
            recorded, sighting = self._seen(number)
            at_ms = recorded.fill.fill_ts_ms + 800
            filled = recorded_fill_values(recorded)
            stored = {"confirmed_at": at_ms + 5_000, "orphaned_at": None, "awaits_decision": False, "created_at": at_ms}
            yield leader_fill, filled | stored
            yield leader_fill_raw, raw_values(sighting, recorded.id, now_ms=at_ms)
            yield from self._copied(recorded, at_ms)

    def _seen(self, number: int) -> tuple[RecordedFill, Sighting]:
        market, outcome = self.rng.randrange(MARKETS), self.rng.randrange(2)
        token_id, leader = token(market, outcome), address(self.rng.randrange(LEADERS))
        held = self.positions.get(token_id)
        side = Side.SELL if held is not None and held.shares >= 10 * MICRO and self.rng.random() < 0.4 else Side.BUY
        size = self.rng.randrange(500, 5_000) * LOT
        price = self.rng.randrange(2, 99) * 10_000
        ts_ms = first_ms(self.fills) + number * 1_000 // FILLS_PER_SECOND // 1_000 * 1_000
        place = LogPlace(
            exchange_address=EXCHANGE,
            block_number=FIRST_BLOCK + number // 4,
            block_hash=f"0x{number // 4:064x}",
            log_index=number % 4,
            order_hash=f"0x{number + (1 << 200):064x}",
            maker=leader,
            taker=EXCHANGE,
        )
        fill = LeaderFill(
            leader=leader,
            source=Source.POLYGON,
            tx_hash=f"0x{number + (1 << 128):064x}",
            token_id=token_id,
            side=side,
            role=LeaderRole.TAKER,
            price=price,
            size=size,
            usdc=notional_down(size, price),
            fee=0,
            fill_ts_ms=ts_ms,
            detected_at_ms=ts_ms + 700,
            place=place,
        )
        key = place.dedupe_key(fill.tx_hash)
        owner = a_leader(address=leader).id
        recorded = RecordedFill(id=leader_fill_id(key), leader_id=owner, dedupe_key=key, fill=fill)
        report = f"{place.block_hash}|{fill.tx_hash}|{place.log_index}"
        return recorded, Sighting(fill=fill, source_key=report, payload=PAYLOAD)

    def _copied(self, recorded: RecordedFill, at_ms: int) -> Iterator[tuple[Table, dict[str, Any]]]:
        """Yield the attempt on a fill and its one execution; one in ten is skipped."""
        fill = recorded.fill
        known = self.positions.get(fill.token_id)
        held = known or Position(strategy_id="copy", account_id="paper", token_id=fill.token_id)
        size = min(fill.size, held.shares) if fill.side is Side.SELL else fill.size
        is_skip = self.rng.random() < 0.1
        attempt = _attempt(recorded, size=0 if is_skip else size, at_ms=at_ms)
        yield execution_attempt, attempt_values(attempt)
        if is_skip:
            return
        execution = _execution(attempt, fill, size)
        after = apply_fill(held, execution)
        ordinal = self.ordinals.get(fill.token_id, 0)
        self.positions[fill.token_id], self.ordinals[fill.token_id] = after, ordinal + 1
        self.cash += cash_flow(execution)
        yield execution_fill, _execution_values(execution, after.realized_pnl_usdc - held.realized_pnl_usdc, ordinal)


async def store(url: str, fills: int, *, tell: Callable[[int], None]) -> None:
    """Put so many fills into an empty, migrated database; `tell` hears how many are in."""
    maker = Maker(fills=fills)
    async with open_database(url) as database:
        ledger = SqlLedger(database)
        for number in range(LEADERS):
            since = {"followed_since_ms": first_ms(fills), "created_at_ms": first_ms(fills)}
            await ledger.add_leader(a_leader(address=address(number), label=f"leader {number}", **since))
        await ledger.save_markets([market(number) for number in range(MARKETS)])
        await ledger.fund_account("copy", "paper", start_cash=START_CASH, now_ms=first_ms(fills))
        for start in range(0, fills, BATCH):
            numbers = range(start, min(start + BATCH, fills))
            await database.write(partial(_store, rows=_sorted(maker.batch(numbers))))
            tell(numbers.stop)
        await database.write(partial(_store_money, maker=maker))
        await database.write_alone(_analyze)
        await ledger.ingest(_read_to(FIRST_BLOCK + fills // 4), now_ms=NOW_MS)
        for number in range(RESOLVED_MARKETS):
            await ledger.settle(
                Resolution(
                    condition_id=market(number).condition_id,
                    payouts=(MICRO, 0),
                    source=ResolutionSource.CHAIN,
                    at_ms=NOW_MS,
                )
            )


def first_ms(fills: int) -> int:
    """Return when the first of so many fills happened, the last just now."""
    return NOW_MS - (fills // FILLS_PER_SECOND + 60) * 1_000


def address(number: int) -> str:
    """Return a leader's address."""
    return f"0x{number + (1 << 150):040x}"


def token(number: int, outcome: int) -> str:
    """Return a token of a market."""
    return str((1 << 250) + number * 2 + outcome)


def market(number: int) -> Any:
    """Return a market."""
    tokens = tuple(
        OutcomeToken(token_id=token(number, outcome), outcome=name, outcome_index=outcome)
        for outcome, name in enumerate(("Yes", "No"))
    )
    category = ("politics", "sports", "crypto", "weather")[number % 4]
    made = a_market(condition_id=f"0x{number + (1 << 240):064x}", title=f"Market {number}", category=category)
    return replace(made, tokens=tokens, slug=f"market-{number}")


def _attempt(recorded: RecordedFill, *, size: int, at_ms: int) -> ExecutionAttempt:
    is_trade = size > 0
    price = recorded.fill.price
    why = reason("MARKETABLE", leader_price=price, limit=price, touch=price, book_age_ms=120)
    return ExecutionAttempt(
        id=attempt_id("copy", "paper", recorded.id),
        strategy_id="copy",
        account_id="paper",
        leader_fill_id=recorded.id,
        mode=ExecutionMode.PAPER,
        decision=Decision.TRADE if is_trade else Decision.SKIP,
        reasons=(why,) if is_trade else (reason("SPREAD_TOO_WIDE", spread="0.2"),),
        ratio=MICRO,
        token_id=recorded.fill.token_id,
        side=recorded.fill.side,
        size_shares_target=size,
        limit_price=price if is_trade else 0,
        ttl_ms=5_000 if is_trade else 0,
        status=AttemptStatus.FILLED if is_trade else AttemptStatus.SKIPPED,
        order_hash=f"0x{recorded.id.hex:0>64}" if is_trade else None,
        decided_at_ms=at_ms,
        placed_at_ms=at_ms + 150 if is_trade else None,
        first_fill_at_ms=at_ms + 150 if is_trade else None,
        done_at_ms=at_ms + 150 if is_trade else None,
        created_at_ms=at_ms,
    )


def _execution(attempt: ExecutionAttempt, fill: LeaderFill, size: int) -> ExecutionFill:
    trade = f"paper|{attempt.id}|0"
    return ExecutionFill(
        id=execution_fill_id("paper", trade),
        attempt_id=attempt.id,
        strategy_id="copy",
        account_id="paper",
        venue_trade_id=trade,
        token_id=attempt.token_id,
        side=attempt.side,
        shares=size,
        price=fill.price,
        fee_usdc=size // 1_000 * 10,
        liquidity=Liquidity.TAKER,
        settlement=Settlement.CONFIRMED,
        fill_at_ms=attempt.decided_at_ms + 150,
    )


def _execution_values(execution: ExecutionFill, realized: int, ordinal: int) -> dict[str, Any]:
    return {
        "id": execution.id,
        "attempt_id": execution.attempt_id,
        "strategy_id": execution.strategy_id,
        "account_id": execution.account_id,
        "venue_trade_id": execution.venue_trade_id,
        "token_id": execution.token_id,
        "side": execution.side,
        "filled_shares": execution.shares,
        "fill_price": execution.price,
        "fee_usdc": execution.fee_usdc,
        "notional_usdc": abs(cash_flow(execution) + execution.fee_usdc),
        "realized_pnl_usdc": realized,
        "liquidity": execution.liquidity,
        "settlement": execution.settlement,
        "fill_at": execution.fill_at_ms,
        "position_ordinal": ordinal,
    }


def _sorted(made: Iterator[tuple[Table, dict[str, Any]]]) -> Rows:
    rows: Rows = {table: [] for table in TABLES}
    for table, row in made:
        rows[table].append(row)
    return rows


_INSERTS: Final = {table: Prepared(lambda _dialect, table=table: insert(table)) for table in TABLES}


def _store(connection: Connection, rows: Rows) -> None:
    for table, some in rows.items():
        if connection.dialect.name == "sqlite":
            _INSERTS[table].run_many(connection, some)
        else:
            copying.copy(connection, table, [_whole(table, row) for row in some])


def _analyze(connection: Connection) -> None:
    """Let the planner know how much there is now, as the server's own vacuum does in time."""
    connection.exec_driver_sql("ANALYZE")


def _whole(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Give every column a value, as COPY wants it."""
    return {column.name: row.get(column.name) for column in table.c}


def _store_money(connection: Connection, maker: Maker) -> None:
    held = [position_values(one) | {"updated_at": NOW_MS} for one in maker.positions.values()]
    connection.execute(insert(position), held)
    connection.execute(account_balance.update().values(cash_usdc=maker.cash))


def _read_to(block: int) -> FillsSeen:
    cursor = Cursor(scope=CursorScope(), last_processed_block=block + 3, proved_block=block)
    proved = ProvedRange(
        scope=CursorScope(),
        from_block=FIRST_BLOCK,
        to_block=block,
        methods=frozenset({ProofMethod.BLOOM}),
        is_single_source=False,
    )
    return FillsSeen(source=Source.POLYGON, sightings=(), cursor=cursor, proved=(proved,), head_block=block + 3)
