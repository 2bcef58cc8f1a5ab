"""The invented world is one world: repeatable, coherent and lively enough to show."""

from __future__ import annotations

import itertools
from collections import Counter

from copytrade.sandbox import contracts
from copytrade.sandbox.happening import BookChanged
from copytrade.sandbox.world import ReorgFate, World, WorldConfig

START_MS = 1_795_000_000_000


def _world(seed: int = 7, **changes) -> World:
    return World(WorldConfig(start_ms=START_MS, seed=seed, filler_markets=2, **{"history_blocks": 20, **changes}))


def _canonical(world: World) -> set[str]:
    return {record.tx_hash for record in world.ledger.records if record.canonical}


def _trace(world: World) -> list[str]:
    return [block.block_hash for block in world.chain.between(0, 10**9)]


def test_the_same_seed_gives_the_same_chain_however_time_is_cut():
    coarse, fine, other = _world(), _world(), _world(seed=8)

    coarse.advance(START_MS + 20_000)
    other.advance(START_MS + 20_000)
    for step_ms in range(0, 20_001, 37):
        fine.advance(START_MS + step_ms)
    fine.advance(START_MS + 20_000)

    assert _trace(coarse) == _trace(fine)
    assert _trace(coarse) != _trace(other)


def test_half_a_minute_shows_both_roles_both_sides_and_all_exchanges():
    totals = Counter()
    for seed in range(4):
        world = _world(seed=seed)
        leaders = {leader.address for leader in world.leaders}
        before = len(world.ledger.records)
        world.advance(START_MS + 30_000)
        fills = [record for record in world.ledger.records[before:] if record.fill.owner in leaders]
        assert 12 <= len(fills) <= 60
        first_ms = min(record.mined_ms for record in fills)
        assert first_ms <= START_MS + 3_500
        totals.update((record.fill.role, record.fill.side) for record in fills)
        totals.update(record.fill.exchange for record in fills)

    assert all(totals[role, side] for role in ("maker", "taker") for side in (0, 1))
    assert all(totals[exchange] for exchange in contracts.EXCHANGES)


def test_leaders_never_sell_what_they_do_not_hold():
    world = _world()

    world.advance(START_MS + 60_000)

    for leader in world.leaders:
        holdings = world.ledger.holdings(leader.address)
        assert all(holding.shares >= 0 for holding in holdings.values())


def test_books_are_never_crossed_after_an_order_is_done():
    world = _world()
    seen = []

    def check(happening):
        if isinstance(happening, BookChanged):
            book = world.exchange.book(happening.market)
            bid, ask = book.best(is_bid=True), book.best(is_bid=False)
            seen.append(bid is None or ask is None or bid < ask)

    world.listen(check)
    world.advance(START_MS + 15_000)

    assert seen
    assert all(seen)


def test_blocks_are_linked_and_their_blooms_hold_their_logs():
    world = _world()
    world.advance(START_MS + 10_000)
    blocks = world.chain.between(0, 10**9)

    for parent, child in itertools.pairwise(blocks):
        assert child.parent_hash == parent.block_hash
        assert child.number == parent.number + 1
        assert 0 <= child.timestamp - parent.timestamp <= 2
        indexes = [log.log_index for log in child.logs]
        assert indexes == list(range(len(indexes)))


def test_a_reorg_moves_fills_to_other_blocks_and_keeps_both_on_record():
    world = _world()
    world.advance(START_MS + 12_000)
    standing = {(record.tx_hash, record.fill.order_hash): record for record in world.ledger.records if record.canonical}

    added = world.reorg(depth=3)

    orphaned = [record for record in world.ledger.records if not record.canonical]
    again = {(record.tx_hash, record.fill.order_hash): record for record in world.ledger.records if record.canonical}
    assert orphaned
    assert standing.keys() == again.keys()
    assert world.chain.head == added[-1]
    assert all(world.chain.by_hash(record.block_hash) is None for record in orphaned)
    assert any(
        (again[key].block_number, again[key].log_index) != (standing[key].block_number, standing[key].log_index)
        for key in again
    )


def test_a_dropped_transaction_never_comes_back_and_a_delayed_one_does():
    for fate, comes_back in ((ReorgFate.DROPPED, False), (ReorgFate.DELAYED, True)):
        world = _world(block_ms=0, history_blocks=1)
        world.advance(START_MS + 5_000)
        world.mine()
        head = world.chain.head.block_hash
        fills = {record.tx_hash for record in world.ledger.records if record.block_hash == head}

        world.reorg(depth=1, fate=fate)
        gone = _canonical(world)
        world.mine()

        assert fills
        assert not fills & gone
        assert (fills <= _canonical(world)) is comes_back
