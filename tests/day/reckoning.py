"""The fills of the leaders as the world itself has them, against the rows of the worker."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from copytrade.sandbox.world import World
from tests.simulation.fill_rules import truth_of
from tests.simulation.storage import Kept


@dataclass(frozen=True, slots=True)
class Reckoning:
    """How many fills there were since their leaders were followed, in the blocks that count, and in the ledger."""

    venue: int
    ledger: int
    missed: int
    invented: int
    undecided: int


def reckon(kept: Kept, world: World) -> Reckoning:
    """Compare log by log: transaction, block and index."""
    since_s = {address: leader.followed_since_ms // 1000 for address, leader in kept.leaders.items()}
    truth = Counter(
        (record.tx_hash, record.block_hash, record.log_index)
        for address, records in truth_of(world, kept).items()
        for record in records
        if record.canonical and record.timestamp >= since_s[address] and record.block_number <= kept.covered
    )
    standing = [stored.recorded for stored in kept.fills.values() if stored.orphaned_at_ms is None]
    due = [one for one in standing if one.fill.fill_ts_ms // 1000 >= since_s[one.fill.leader]]
    places = [(one.fill.tx_hash, one.fill.place) for one in due]
    stored = Counter((tx, place and place.block_hash, place and place.log_index) for tx, place in places)
    tried = {attempt.leader_fill_id for attempt in kept.attempts.values()}
    return Reckoning(
        venue=truth.total(),
        ledger=stored.total(),
        missed=(truth - stored).total(),
        invented=(stored - truth).total(),
        undecided=sum(one.id not in tried for one in due),
    )
