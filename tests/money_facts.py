"""Orders and purchases to hold the money of a ledger to."""

from __future__ import annotations

from copytrade.domain.attempts import ExecutionAttempt
from copytrade.domain.fills import Side, Source
from copytrade.ports.leader_fills import FillsSeen
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import an_attempt, an_execution
from tests.makers import LEADER, NOW_MS, YES, a_fill, a_leader, a_sighting, micro


async def an_order(
    ledger: Ledger,
    tx: str,
    *,
    leader: str = LEADER,
    token_id: str = YES,
    side: Side = Side.BUY,
    account_id: str = "paper",
) -> ExecutionAttempt:
    """Record and submit an order on a new fill of a leader."""
    await ledger.add_leader(a_leader(address=leader))
    fill = a_fill(leader=leader, token_id=token_id, side=side, tx_hash=f"0x{tx}", place=None, fee=None)
    seen = FillsSeen(source=Source.POLYGON, sightings=(a_sighting(fill, source_key=tx),))
    (stored,) = (await ledger.ingest(seen, now_ms=NOW_MS)).new
    attempt = an_attempt(stored, account_id=account_id)
    await ledger.record_attempt(attempt)
    await ledger.submit_attempt(attempt.id, order_hash=f"0x{tx}", placed_at_ms=NOW_MS + 150)
    return attempt


async def bought(ledger: Ledger, tx: str, *, shares: str = "100", price: str = "0.4", **order: str) -> None:
    attempt = await an_order(ledger, tx, **order)
    await ledger.book_execution(an_execution(attempt, trade=tx, shares=shares, price=micro(price)))
