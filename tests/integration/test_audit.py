"""The audit finds nothing wrong with an honest ledger, and each way to break it by its name and numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.adapters.memory.audit import MemoryEvidence
from copytrade.adapters.sql import schema
from copytrade.adapters.sql.audit import SqlEvidence, open_evidence
from copytrade.domain.attempts import reason
from copytrade.domain.invariants import AuditRules, Invariant, Verdict
from copytrade.engine.audit import CHAIN_GRACES, audit
from tests.honest_ledger import an_honest_ledger, tampering, without_constraints
from tests.ledgers import sql_ledger
from tests.makers import NOW_MS, YES
from tests.postgres import new_database

RULES = AuditRules(now_ms=NOW_MS + 3_600_000, book_age_ms_max=5_000, grace_ms=60_000)


def found(verdicts: tuple[Verdict, ...]) -> set[tuple[Invariant, str]]:
    return {(breach.invariant, breach.what) for verdict in verdicts for breach in verdict.breaches}


@pytest.fixture(scope="module")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return _made(f"sqlite:///{tmp_path_factory.mktemp('audit')}/ledger.db")


@pytest.fixture(scope="module")
def postgres_made(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url) as url:
        yield _made(url)


def _made(url: str) -> str:
    async def main() -> None:
        async with sql_ledger(url) as ledger:
            await an_honest_ledger(ledger)

    schema.upgrade(url)
    asyncio.run(main())
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_made"))


def test_an_honest_ledger_has_nothing_wrong_with_it(url: str) -> None:
    with open_evidence(url) as evidence:
        verdicts = audit(evidence, RULES)

    assert found(verdicts) == set()
    assert [verdict.invariant for verdict in verdicts] == list(Invariant)
    rows = {verdict.invariant: verdict.rows for verdict in verdicts}
    assert rows[Invariant.ONE_ATTEMPT] == 7
    assert rows[Invariant.DISPOSED] == 7
    assert rows[Invariant.NOT_OVERFILLED] == 12
    assert rows[Invariant.BLOCKS_COVERED] == 3
    assert rows[Invariant.NOTHING_DELETED] == 7 + 4


def test_an_honest_ledger_in_memory_says_the_same() -> None:
    ledger = MemoryLedger()
    asyncio.run(an_honest_ledger(ledger))

    verdicts = audit(MemoryEvidence(ledger), RULES)

    assert found(verdicts) == set()
    rows = {verdict.invariant: verdict.rows for verdict in verdicts}
    assert (rows[Invariant.DISPOSED], rows[Invariant.NOT_OVERFILLED]) == (7, 12)


SENT = "order_hash IS NOT NULL AND side = 'BUY'"
BOUGHT = "SELECT id FROM execution_fill WHERE side = 'BUY' ORDER BY venue_trade_id LIMIT 1"
PLANTS: dict[str, tuple[str | tuple[str, ...], set[tuple[Invariant, str]]]] = {
    "two attempts on a fill": (
        (
            "free execution_attempt",
            "INSERT INTO execution_attempt SELECT * FROM execution_attempt WHERE status = 'SKIPPED'",
        ),
        {(Invariant.ONE_ATTEMPT, "the same attempt more than once")},
    ),
    "sent without an identity": (
        f"UPDATE execution_attempt SET order_hash = NULL WHERE {SENT}",
        {(Invariant.WRITTEN_BEFORE_SENT, "a sent order that has no identity")},
    ),
    "sent without a word": (
        "UPDATE execution_attempt SET status = 'PENDING', order_hash = '0x99' WHERE status = 'SKIPPED'",
        {
            (Invariant.WRITTEN_BEFORE_SENT, "an order that was never sent and is"),
            (Invariant.DISPOSED, "a decision and a status that disagree"),
        },
    ),
    "placed before it was decided": (
        f"UPDATE execution_attempt SET decided_at = first_fill_at WHERE {SENT}",
        {(Invariant.WRITTEN_BEFORE_SENT, "an order placed before it was decided")},
    ),
    "executed before it was placed": (
        "UPDATE execution_fill SET fill_at = (SELECT min(created_at) FROM leader)",
        {(Invariant.WRITTEN_BEFORE_SENT, "an execution before its order was placed")},
    ),
    "executed by an order of another token": (
        f"UPDATE execution_attempt SET token_id = '5' WHERE {SENT}",
        {(Invariant.WRITTEN_BEFORE_SENT, "an execution that no order of ours can have had")},
    ),
    "one order hash twice": (
        f"UPDATE execution_attempt SET order_hash = '0xaa' WHERE {SENT}",
        {(Invariant.SIGNED_ONCE, "the same order_hash more than once")},
    ),
    "executed after its end": (
        "UPDATE execution_attempt SET done_at = placed_at WHERE status = 'CANCELED'",
        {(Invariant.SIGNED_ONCE, "an execution after its order's end: was it placed again?")},
    ),
    "beyond the limit price": (
        f"UPDATE execution_attempt SET limit_price = 0.01 WHERE {SENT}",
        {(Invariant.WITHIN_LIMITS, "an execution beyond its limit price")},
    ),
    "a fill forgotten": (
        "DELETE FROM execution_attempt WHERE status = 'SKIPPED'",
        {
            (Invariant.DISPOSED, "a fill that was forgotten"),
            (Invariant.NOTHING_DELETED, "rows that are gone"),
        },
    ),
    "a fill that waits": (
        (
            "DELETE FROM worker_event",
            (
                "UPDATE leader_fill SET awaits_decision = TRUE"
                " WHERE id IN (SELECT leader_fill_id FROM execution_attempt WHERE status = 'SKIPPED')"
            ),
            "DELETE FROM execution_attempt WHERE status = 'SKIPPED'",
        ),
        {(Invariant.DISPOSED, "a fill that still waits")},
    ),
    "more executed than ordered": (
        f"UPDATE execution_attempt SET size_shares_target = 1 WHERE {SENT}",
        {(Invariant.NOT_OVERFILLED, "more executed than ordered")},
    ),
    "a trade booked twice": (
        (
            "free execution_fill",
            "INSERT INTO execution_fill SELECT * FROM execution_fill WHERE venue_trade_id = 'f'",
        ),
        {
            (Invariant.NOT_OVERFILLED, "the same trade more than once"),
            (Invariant.MONEY, "two entries with one place in their position"),
        },
    ),
    "a position changed": (
        "UPDATE position SET shares = shares + 1 WHERE token_id = '10'",
        {(Invariant.MONEY, "a position that is not its fold")},
    ),
    "a position deleted": (
        "DELETE FROM position WHERE token_id = '10'",
        {(Invariant.MONEY, "a position that is not kept")},
    ),
    "a position out of nothing": (
        "UPDATE position SET token_id = '11' WHERE token_id = '10'",
        {(Invariant.MONEY, "a position that is not kept"), (Invariant.MONEY, "a position that is not its fold")},
    ),
    "cash changed by a micro-unit": (
        "UPDATE account_balance SET cash_usdc = cash_usdc + 0.000001",
        {(Invariant.MONEY, "cash that is not what was moved")},
    ),
    "cash not kept": ("DELETE FROM account_balance", {(Invariant.MONEY, "an account whose cash is not kept")}),
    "an execution that moved otherwise": (
        f"UPDATE execution_fill SET notional_usdc = notional_usdc + 0.000001 WHERE id = ({BOUGHT})",
        {
            (Invariant.MONEY, "an execution that says otherwise than follows"),
            (Invariant.MONEY, "cash that is not what was moved"),
        },
    ),
    "more sold than held": (
        "UPDATE execution_fill SET position_ordinal = -position_ordinal - 1 WHERE venue_trade_id = 's'",
        {
            (Invariant.MONEY, "more sold than was held"),
            (Invariant.MONEY, "two entries with one place in their position"),
            (Invariant.MONEY, "a position that is not its fold"),
        },
    ),
    "more settled than held": (
        "UPDATE settlement SET shares = shares * 2 WHERE kind = 'migration_out'",
        {
            (Invariant.MONEY, "more settled than was held"),
            (Invariant.MONEY, "a settlement whose parts do not add up"),
            (Invariant.MONEY, "a position that is not its fold"),
        },
    ),
    "a part changed": (
        "UPDATE settlement_part SET shares = shares + 0.000001 WHERE shares = 20",
        {(Invariant.MONEY, "a settlement whose parts do not add up")},
    ),
    "another payout": (
        """UPDATE resolution SET payouts = '["0.25", "0.75"]'""",
        {(Invariant.MONEY, "a settlement that did not pay its payout")},
    ),
    "a resolution gone": ("DELETE FROM resolution", {(Invariant.MONEY, "a settlement by no recorded resolution")}),
    "a renaming that made money": (
        "UPDATE settlement SET cost_usdc = cost_usdc + 1 WHERE kind = 'migration_in'",
        {
            (Invariant.MONEY, "renamed shares that lost or gained cost"),
            (Invariant.MONEY, "a settlement whose parts do not add up"),
            (Invariant.MONEY, "a position that is not its fold"),
        },
    ),
    "sets merged for more than a dollar": (
        (
            (
                "UPDATE settlement SET proceeds_usdc = proceeds_usdc + 1, realized_pnl_usdc = realized_pnl_usdc + 1"
                " WHERE kind = 'merge'"
            ),
            (
                "UPDATE settlement_part"
                " SET proceeds_usdc = proceeds_usdc + 1, realized_pnl_usdc = realized_pnl_usdc + 1"
                " WHERE settlement_id IN (SELECT id FROM settlement WHERE kind = 'merge')"
            ),
            "UPDATE position SET realized_pnl_usdc = realized_pnl_usdc + 1 WHERE substr(token_id, 1, 1) = '7'",
            "UPDATE account_balance SET cash_usdc = cash_usdc + 2",
        ),
        {(Invariant.MONEY, "complete sets that were not merged for a dollar each")},
    ),
    "an old book": (
        (
            """UPDATE execution_attempt SET decision_reason = '[{"code": "MARKETABLE", "book_age_ms": "5001"}]'"""
            f" WHERE {SENT}"
        ),
        {(Invariant.FRESH_BOOKS, "a trade on an old book")},
    ),
    "a hole in the middle": (
        "UPDATE proved_range SET to_block = 98 WHERE from_block = 90",
        {(Invariant.BLOCKS_COVERED, "blocks that were never proved")},
    ),
    "a hole at the end": (
        "DELETE FROM proved_range WHERE from_block = 101",
        {(Invariant.BLOCKS_COVERED, "blocks that were never proved")},
    ),
    "a cursor ahead of itself": (
        ("free polygon_cursor", "UPDATE polygon_cursor SET last_processed_block = 100"),
        {(Invariant.BLOCKS_COVERED, "a cursor proved beyond what was read")},
    ),
    "a proved fill nobody confirmed": (
        "UPDATE leader_fill SET confirmed_at = NULL",
        {(Invariant.BLOCKS_COVERED, "a fill in a proved block that nobody confirmed")},
    ),
    "a raw row deleted": (
        "DELETE FROM leader_fill_raw WHERE source_key = '01'",
        {
            (Invariant.NOTHING_DELETED, "a fill without any report"),
            (Invariant.NOTHING_DELETED, "rows that are gone"),
        },
    ),
    "a fill deleted": (
        "DELETE FROM leader_fill WHERE tx_hash = '0x77'",
        {
            (Invariant.NOTHING_DELETED, "a report whose fill is gone"),
            (Invariant.NOTHING_DELETED, "an attempt on a fill that is gone"),
            (Invariant.NOTHING_DELETED, "rows that are gone"),
        },
    ),
    "an attempt deleted": (
        "DELETE FROM execution_attempt WHERE order_hash = '0x05'",
        {
            (Invariant.NOTHING_DELETED, "an execution of an attempt that is gone"),
            (Invariant.NOTHING_DELETED, "rows that are gone"),
            (Invariant.DISPOSED, "a fill that was forgotten"),
        },
    ),
    "a fill deleted with all that hangs on it": (
        (
            "DELETE FROM execution_attempt WHERE status = 'SKIPPED'",
            "DELETE FROM leader_fill_raw WHERE leader_fill_id IN (SELECT id FROM leader_fill WHERE tx_hash = '0x77')",
            "DELETE FROM leader_fill WHERE tx_hash = '0x77'",
        ),
        {(Invariant.NOTHING_DELETED, "rows that are gone")},
    ),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_each_way_to_break_a_ledger_is_found_and_nothing_else_is_said(url: str, plant: str) -> None:
    done, expected = PLANTS[plant]
    with tampering(url) as connection:
        for statement in (done,) if isinstance(done, str) else done:
            if statement.startswith("free "):
                without_constraints(connection, statement.removeprefix("free "))
            else:
                assert connection.exec_driver_sql(statement).rowcount > 0, statement
        verdicts = audit(SqlEvidence(connection), RULES)

    assert found(verdicts) == expected
    assert {invariant for invariant, _ in expected} == {one.invariant for one in verdicts if not one.is_ok}


def test_every_invariant_has_been_broken() -> None:
    assert {invariant for _, expected in PLANTS.values() for invariant, _ in expected} == set(Invariant)


def test_what_is_under_way_is_no_breach_yet(url: str) -> None:
    with tampering(url) as connection:
        connection.exec_driver_sql("UPDATE leader_fill SET confirmed_at = NULL")
        connection.exec_driver_sql("UPDATE proved_range SET to_block = 98 WHERE from_block = 90")
        at_once = replace(RULES, now_ms=NOW_MS + RULES.grace_ms * CHAIN_GRACES)
        assert found(audit(SqlEvidence(connection), at_once)) == set()


def test_a_breach_says_what_differs(url: str) -> None:
    with tampering(url) as connection:
        connection.exec_driver_sql("UPDATE position SET shares = shares + 1, cost_usdc = 0 WHERE token_id = '10'")
        verdicts = audit(SqlEvidence(connection), RULES)

    (breach,) = verdicts[Invariant.MONEY - 1].breaches
    assert str(breach) == "a position that is not its fold: copy|paper|10 (shares=12.00/11.00 cost=0.00/4.40)"


def test_in_memory_a_tampered_ledger_is_found_out_too() -> None:
    ledger = MemoryLedger()
    asyncio.run(an_honest_ledger(ledger))
    first = next(iter(ledger._attempts.values()))
    ledger._attempts[first.id] = replace(first, order_hash=None, reasons=(reason("MARKETABLE", book_age_ms=6_000),))
    owner = ("copy", "paper", "10")
    ledger._positions[owner] = replace(ledger._positions[owner], shares=1)
    ledger._entries["copy", "paper", "7" + YES].pop()
    fill_id = next(fill_id for fill_id, one in ledger.stored.items() if one.recorded.fill.tx_hash == "0x77")
    del ledger.stored[fill_id]

    verdicts = audit(MemoryEvidence(ledger), RULES)

    assert found(verdicts) == {
        (Invariant.WRITTEN_BEFORE_SENT, "a sent order that has no identity"),
        (Invariant.FRESH_BOOKS, "a trade on an old book"),
        (Invariant.MONEY, "a position that is not its fold"),
        (Invariant.MONEY, "cash that is not what was moved"),
        (Invariant.MONEY, "complete sets that were not merged for a dollar each"),
        (Invariant.NOTHING_DELETED, "an attempt on a fill that is gone"),
        (Invariant.NOTHING_DELETED, "a report whose fill is gone"),
        (Invariant.NOTHING_DELETED, "rows that are gone"),
    }


def test_breaches_beyond_a_bound_are_counted(url: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("copytrade.engine.audit.BREACHES_MAX", 2)
    with tampering(url) as connection:
        connection.exec_driver_sql(f"UPDATE execution_attempt SET order_hash = NULL WHERE {SENT}")
        verdict = audit(SqlEvidence(connection), RULES)[Invariant.WRITTEN_BEFORE_SENT - 1]

    assert (len(verdict.breaches), verdict.more) == (2, 3)
