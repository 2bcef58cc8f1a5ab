"""Leader fills against the world's own record: none missed, none invented, none twice, each as it was."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from copytrade.adapters.memory import StoredFill
from copytrade.domain.attempts import OPEN_STATUSES, AttemptStatus
from copytrade.domain.fills import Side
from copytrade.sandbox.ledger import FillRecord
from copytrade.sandbox.world import World
from tests.simulation.storage import Kept

Breaches = Iterator[str]
Looks = tuple[str, str, str, Side, int]
"""What the venue's own APIs tell of a fill: transaction, leader, token, side, size."""

HEAD_LAG_MAX = 2


def truth_of(world: World, kept: Kept) -> Mapping[str, Sequence[FillRecord]]:
    """Return every fill of every leader that the chain ever carried, superseded ones too."""
    return {address: world.ledger.of_owner(address) for address in kept.leaders}


def fills_are_the_chains(kept: Kept, world: World) -> Breaches:
    """Every canonical fill in the covered blocks is stored once and as it was; the others are orphaned."""
    if kept.covered < world.chain.head.number - HEAD_LAG_MAX:
        yield f"the cursor is at {kept.covered}, the head at {world.chain.head.number}"
    live: dict[object, list[StoredFill]] = defaultdict(list)
    for stored in kept.fills.values():
        place = stored.recorded.fill.place
        if stored.orphaned_at_ms is None and place is not None:
            live[stored.recorded.fill.tx_hash, place.block_hash, place.log_index].append(stored)
    for address, records in truth_of(world, kept).items():
        since_s = kept.leaders[address].followed_since_ms // 1000
        for record in records:
            found = live.pop((record.tx_hash, record.block_hash, record.log_index), [])
            is_due = record.timestamp >= since_s and record.block_number <= kept.covered
            yield from _judge(record, found, is_due=is_due)
    for (tx_hash, block_hash, _), found in live.items():
        yield f"{len(found)} fills of {tx_hash} in block {block_hash[:10]} are no leader's"
    yield from _unplaced(kept, world)
    yield from _unconfirmed(kept, world)


def _judge(record: FillRecord, found: list[StoredFill], *, is_due: bool) -> Breaches:
    what = f"fill of {record.tx_hash} in block {record.block_number}, log {record.log_index}"
    if not record.canonical:
        if found:
            yield f"{what}: not on the chain any more, and not orphaned"
        return
    if is_due and len(found) != 1:
        yield f"{what}: stored {len(found)} times"
    for stored in found:
        fill, truth = stored.recorded.fill, record.fill
        told = (fill.leader, fill.token_id, fill.side, fill.role, fill.size, fill.usdc, fill.fee, fill.fill_ts_ms)
        side = Side.BUY if truth.side == 0 else Side.SELL
        facts = (truth.owner, str(truth.token), side, truth.role, truth.size, truth.collateral, truth.fee)
        if told != (*facts, record.timestamp * 1000):
            yield f"{what}: stored as {told}"


def _unplaced(kept: Kept, world: World) -> Breaches:
    """A row that only an API reported is one of before its leader was followed, or whose block a reorg took away."""
    gone = {record.tx_hash for records in truth_of(world, kept).values() for record in records if not record.canonical}
    for stored in kept.fills.values():
        fill = stored.recorded.fill
        is_history = fill.fill_ts_ms // 1000 < kept.leaders[fill.leader].followed_since_ms // 1000
        if fill.place is None and stored.orphaned_at_ms is None and fill.tx_hash not in gone and not is_history:
            yield f"the fill of {fill.tx_hash} never met its log"


def _unconfirmed(kept: Kept, world: World) -> Breaches:
    """What is final is confirmed."""
    final = min(world.chain.finalized_number, kept.covered)
    for stored in kept.fills.values():
        place = stored.recorded.fill.place
        is_final = place is not None and place.block_number <= final - HEAD_LAG_MAX
        if is_final and stored.orphaned_at_ms is None and stored.confirmed_at_ms is None:
            yield f"the fill of {stored.recorded.fill.tx_hash} is final and not confirmed"


def fills_are_what_was_told(kept: Kept, world: World, *, due_until_s: int, due_from_s: int = 0) -> Breaches:
    """Without a chain: rows of the venue's APIs are fills that happened, and those of a time are all there.

    A stream may tell of a trade before it is in a block, so the newest rows are judged later.
    """
    old = [one for one in kept.fills.values() if one.recorded.fill.fill_ts_ms // 1000 <= due_until_s]
    stored = Counter(map(_looks, old))
    ever: dict[tuple[Looks, str], int] = defaultdict(int)
    owed: Counter[Looks] = Counter()
    for address, records in truth_of(world, kept).items():
        first_s = max(due_from_s, kept.leaders[address].followed_since_ms // 1000)
        for record in records:
            ever[_looks_of(record), record.block_hash] += 1
            if record.canonical and first_s <= record.timestamp <= due_until_s:
                owed[_looks_of(record)] += 1
    most: dict[Looks, int] = defaultdict(int)
    for (looks, _), count in ever.items():
        most[looks] = max(most[looks], count)
    for looks, count in stored.items():
        if count > most[looks]:
            yield f"{count} fills of {looks[0]} stored that look alike, and there were {most[looks]}"
    for looks, count in owed.items():
        if stored[looks] < count:
            yield f"fill of {looks[0]} of {looks[1]}: stored {stored[looks]} times, due {count}"


def _looks(stored: StoredFill) -> Looks:
    fill = stored.recorded.fill
    return (fill.tx_hash, fill.leader, fill.token_id, fill.side, fill.size)


def _looks_of(record: FillRecord) -> Looks:
    fill = record.fill
    side = Side.BUY if fill.side == 0 else Side.SELL
    return (record.tx_hash, fill.owner, str(fill.token), side, fill.size)


def identities_hold(kept: Kept, world: World) -> Breaches:
    """A fill that moved is one row: no order has more rows in a transaction than it ever had logs there."""
    logs: Counter[tuple[str, str, str]] = Counter()
    for records in truth_of(world, kept).values():
        logs.update((record.tx_hash, record.fill.order_hash, record.block_hash) for record in records)
    most: dict[tuple[str, str], int] = defaultdict(int)
    for (tx_hash, order_hash, _), count in logs.items():
        most[tx_hash, order_hash] = max(most[tx_hash, order_hash], count)
    rows = Counter(
        (stored.recorded.fill.tx_hash, place.order_hash)
        for stored in kept.fills.values()
        if (place := stored.recorded.fill.place) is not None
    )
    for identity, count in rows.items():
        if count > most[identity]:
            yield f"order {identity[1]} has {count} rows in {identity[0]}, and {most[identity]} logs"


def every_fill_has_an_end(kept: Kept) -> Breaches:
    """Each confirmed leader fill ends in exactly one disposition."""
    tried = {attempt.leader_fill_id: attempt for attempt in kept.attempts.values()}
    for fill_id, stored in kept.fills.items():
        fill = stored.recorded.fill
        leader = kept.leaders[fill.leader]
        attempt = tried.get(fill_id)
        is_due = fill.fill_ts_ms // 1000 >= leader.followed_since_ms // 1000 and stored.orphaned_at_ms is None
        if is_due and attempt is None:
            yield f"fill {fill_id} of {fill.tx_hash} has no attempt"
        if attempt is not None and attempt.status is AttemptStatus.PENDING:
            yield f"attempt {attempt.id} is PENDING, its fill orphaned: {stored.orphaned_at_ms is not None}"
        elif attempt is not None and attempt.status in OPEN_STATUSES:
            yield f"attempt {attempt.id} never ended: {attempt.status}"
