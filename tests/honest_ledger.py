"""A small ledger in which everything has happened once, and ways to tamper with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import Connection, NullPool, create_engine

from copytrade.domain.attempts import AttemptStatus, Decision, Settlement, reason
from copytrade.domain.fills import Side, Source
from copytrade.domain.happenings import ROWS_COUNTED
from copytrade.domain.settlement import Resolution, ResolutionSource
from copytrade.domain.units import MICRO
from copytrade.ports.leader_fills import ChainConfirmed, Cursor, CursorScope, FillsSeen, ProofMethod, ProvedRange
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import a_log, an_attempt, an_execution
from tests.makers import NO, NOW_MS, OTHER, YES, a_leader, a_market, micro
from tests.money_facts import an_order, bought

SECOND = a_market(condition_id="0x" + "c1" * 32)
SECOND = replace(SECOND, tokens=tuple(replace(token, token_id="7" + token.token_id) for token in SECOND.tokens))


async def an_honest_ledger(ledger: Ledger) -> None:
    """Two leaders; a fill copied, one skipped, one sold, one resolved, one merged, one renamed, one of a reorg."""
    await ledger.fund_account("copy", "paper", start_cash=micro("1000"), now_ms=NOW_MS)
    await ledger.save_markets([a_market(), SECOND])
    await bought(ledger, "01", shares="100", price="0.4")
    await bought(ledger, "02", shares="50", price="0.45", leader=OTHER)
    await bought(ledger, "03", token_id="7" + YES, shares="30")
    await bought(ledger, "04", token_id="7" + NO, shares="20")
    await bought(ledger, "05", token_id="9", shares="11")
    sell = await an_order(ledger, "06", side=Side.SELL)
    await ledger.book_execution(an_execution(sell, trade="s", shares="60", price=micro("0.6")))
    await ledger.book_execution(
        an_execution(sell, trade="f", shares="9", price=micro("0.6"), settlement=Settlement.FAILED)
    )
    await ledger.close_attempt(sell.id, status=AttemptStatus.CANCELED, reason=None, at_ms=NOW_MS + 9_000)
    await ledger.merge_sets(SECOND.condition_id, strategy_id="copy", account_id="paper", at_ms=NOW_MS + 10_000)
    await ledger.rename_token("9", "10", condition_id="0x09", source="registry", at_ms=NOW_MS + 11_000)
    await ledger.settle(
        Resolution(
            condition_id=a_market().condition_id,
            payouts=(MICRO, 0),
            source=ResolutionSource.CHAIN,
            at_ms=NOW_MS + 12_000,
        )
    )
    await ledger.add_leader(a_leader())
    cursor = Cursor(scope=CursorScope(), last_processed_block=120, proved_block=110)
    proved = [_proved(90, 100, is_single=False), _proved(101, 110, is_single=True)]
    log = a_log(1, tx_hash="0x77")
    seen = FillsSeen(source=Source.POLYGON, sightings=(log,), cursor=cursor, proved=tuple(proved), head_block=121)
    (stored,) = (await ledger.ingest(seen, now_ms=NOW_MS)).new
    skip = an_attempt(stored, decision=Decision.SKIP, status=AttemptStatus.SKIPPED, reasons=(reason("TOO_OLD"),))
    await ledger.record_attempt(skip)
    await ledger.confirm(ChainConfirmed(block_number=110, at_ms=NOW_MS))
    counted = await ledger.count_rows(until_ms=NOW_MS + 20_000)
    await ledger.note(ROWS_COUNTED, {"until_ms": NOW_MS + 20_000, **counted}, at_ms=NOW_MS + 20_000)


def _proved(first: int, last: int, *, is_single: bool) -> ProvedRange:
    return ProvedRange(
        scope=CursorScope(),
        from_block=first,
        to_block=last,
        methods=frozenset({ProofMethod.BLOOM}),
        is_single_source=is_single,
    )


@contextmanager
def tampering(url: str) -> Iterator[Connection]:
    """Open a transaction in which everything may be broken, and which leaves nothing behind."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            connection.exec_driver_sql("SET session_replication_role = replica")
        try:
            yield connection
        finally:
            connection.rollback()
            engine.dispose()


def without_constraints(connection: Connection, table: str) -> None:
    """Make a table what it would be if somebody had taken its rules away."""
    connection.exec_driver_sql(f"CREATE TABLE free_{table} AS SELECT * FROM {table}")
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
        connection.exec_driver_sql(f"DROP TABLE {table}")
    else:
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO bound_{table}")
    connection.exec_driver_sql(f"ALTER TABLE free_{table} RENAME TO {table}")
