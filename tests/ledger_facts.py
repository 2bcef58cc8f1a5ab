"""Reports, attempts and executions to hold a ledger to, and the few steps every test of it starts with."""

from __future__ import annotations

from typing import Any

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
from copytrade.domain.attribution import Attribution, RuleVerdict, Way, outcome_of, top_of
from copytrade.domain.fills import LeaderRole, RecordedFill, Side, Sighting, Source
from copytrade.domain.ids import attempt_id, execution_fill_id
from copytrade.ports.leader_fills import Cursor, FillsRemoved, FillsSeen, LogRef
from copytrade.ports.ledger import Ingested, Ledger
from tests.makers import NOW_MS, a_book, a_fill, a_leader, a_place, a_sighting, micro

TX = "0x" + "7a" * 32
BLOCK_A, BLOCK_B = "0x" + "0a" * 32, "0x" + "0b" * 32
ORDER, OTHER_ORDER = "0x" + "0d" * 32, "0x" + "0e" * 32


def a_log(
    log_index: int, *, block: str = BLOCK_A, number: int = 100, order: str = ORDER, size: str = "100", **changes: Any
) -> Sighting:
    place = a_place(block_hash=block, block_number=number, log_index=log_index, order_hash=order)
    return a_sighting(a_fill(size=size, place=place, **changes))


def a_row(n: int = 0, *, size: str = "100", source: Source = Source.DATA_API, **changes: Any) -> Sighting:
    facts = {"source": source, "place": None, "fee": None, "role": LeaderRole.UNKNOWN, "detected_at_ms": NOW_MS + 4_000}
    fill = a_fill(size=size, **(facts | changes))
    key = f"{fill.tx_hash}|{fill.leader}|{fill.token_id}|{fill.side}|{fill.size}|{fill.price}|{n}"
    return a_sighting(fill, source_key=key)


async def see(ledger: Ledger, *sightings: Sighting, cursor: Cursor | None = None) -> Ingested:
    source = sightings[0].fill.source if sightings else Source.POLYGON
    return await ledger.ingest(FillsSeen(source=source, sightings=sightings, cursor=cursor), now_ms=NOW_MS)


async def stored(ledger: Ledger) -> list[RecordedFill]:
    """Return all fills: no test here makes an attempt before asking."""
    return list(await ledger.undecided(limit=1_000))


def removed(*sightings: Sighting, rewind_to: int | None = None) -> FillsRemoved:
    places = [(sighting.fill.tx_hash, sighting.fill.place) for sighting in sightings]
    logs = (LogRef(block_hash=place.block_hash, tx_hash=tx, log_index=place.log_index) for tx, place in places if place)
    return FillsRemoved(logs=tuple(logs), rewind_to=rewind_to)


def an_attempt(recorded: RecordedFill, **changes: Any) -> ExecutionAttempt:
    facts: dict[str, Any] = {
        "id": attempt_id("copy", changes.get("account_id", "paper"), recorded.id),
        "strategy_id": "copy",
        "account_id": "paper",
        "leader_fill_id": recorded.id,
        "mode": ExecutionMode.PAPER,
        "decision": Decision.TRADE,
        "reasons": (reason("OK", slippage_bps=300, touch="0.51"),),
        "ratio": micro("1"),
        "token_id": recorded.fill.token_id,
        "side": recorded.fill.side,
        "size_shares_target": micro("100"),
        "limit_price": micro("0.51"),
        "ttl_ms": 5_000,
        "status": AttemptStatus.PENDING,
        "order_hash": None,
        "decided_at_ms": NOW_MS + 1,
        "placed_at_ms": None,
        "first_fill_at_ms": None,
        "done_at_ms": None,
        "created_at_ms": NOW_MS + 1,
    }
    return ExecutionAttempt(**(facts | changes))


def an_execution(attempt: ExecutionAttempt, *, trade: str = "t1", shares: str = "40", **changes: Any) -> ExecutionFill:
    facts: dict[str, Any] = {
        "id": execution_fill_id(attempt.account_id, trade),
        "attempt_id": attempt.id,
        "strategy_id": attempt.strategy_id,
        "account_id": attempt.account_id,
        "venue_trade_id": trade,
        "token_id": attempt.token_id,
        "side": attempt.side,
        "shares": micro(shares),
        "price": micro("0.505"),
        "fee_usdc": micro("0.25"),
        "liquidity": Liquidity.TAKER,
        "settlement": Settlement.CONFIRMED,
        "fill_at_ms": NOW_MS + 200,
    }
    return ExecutionFill(**(facts | changes))


def an_attribution(attempt: ExecutionAttempt, **changes: Any) -> Attribution:
    book = top_of(a_book(bids="0.49:500.000001 0.48:20", asks=""))
    facts: dict[str, Any] = {
        "attempt_id": attempt.id,
        "way": Way(leader=micro("0.500001"), mid_at_decision=None, touch_at_decision=micro("0.51")),
        "book_at_decision": book,
        "book_at_placement": None,
        "outcome": outcome_of(Side.BUY, Way(leader=micro("0.500001")), [an_execution(attempt)]),
        "verdicts": (RuleVerdict(rule="age", verdict="passed"), RuleVerdict(rule="cap", verdict="applied")),
        "missing": (("book_at_placement", "NO_BOOK"),),
        "is_final": False,
    }
    return Attribution(**(facts | changes))


async def a_stored_fill(ledger: Ledger, **changes: Any) -> RecordedFill:
    """Follow the leader and store one fill of his."""
    await ledger.add_leader(a_leader())
    seen = FillsSeen(source=Source.POLYGON, sightings=(a_sighting(a_fill(**changes)),))
    (stored,) = (await ledger.ingest(seen, now_ms=NOW_MS)).new
    return stored


async def a_submitted(ledger: Ledger, *, tx: str = "7a", side: Side = Side.BUY, **changes: Any) -> ExecutionAttempt:
    recorded = await a_stored_fill(ledger, tx_hash="0x" + tx * 32, side=side)
    attempt = an_attempt(recorded, **changes)
    await ledger.record_attempt(attempt)
    await ledger.submit_attempt(attempt.id, order_hash=f"0x{tx}", placed_at_ms=NOW_MS + 150)
    stored = await ledger.attempt(attempt.id)
    assert stored is not None
    return stored
