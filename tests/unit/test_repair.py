"""What a comparison found is put right where it can be; a second time there is nothing to do."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from copytrade.domain.attempts import OVERDUE_MS, ExecutionMode
from copytrade.domain.fills import RecordedFill
from copytrade.domain.gates import GateName, GateState, Reading
from copytrade.domain.reconciliation import Kind, Severity
from copytrade.engine.verify import DAY_MS
from copytrade.ports.leader_fills import Cursor, CursorScope
from tests.ledger_facts import a_row, an_attempt, see
from tests.makers import NOW_MS, a_leader
from tests.witnesses import BLOCK_MS, FINAL_MS, OLD_MS, World, a_log, block_at, named, only, played

OPEN_GATE = GateState(
    name=GateName.DATABASE, reading=Reading(is_healthy=True, value="1 ms", limit="1000 ms"), since_ms=NOW_MS
)


def test_a_fill_that_the_chain_lacks_is_taken_away_and_its_order_with_it():
    async def story(world: World) -> None:
        await world.begin(a_log("1"))
        (extra,) = (await see(world.ledger, a_log("2"))).new
        await world.ledger.record_attempt(an_attempt(extra, decided_at_ms=NOW_MS - 1_000))

        assert named(await world.compare()) == only(Kind.EXTRA_FILL, "0x2", "chain")
        repaired = await world.repair()
        assert repaired.done == [
            "marked the fill of 0x2 as orphaned",
            f"cancelled the attempt {an_attempt(extra).id} on it",
        ]
        assert named(await world.compare()) == []
        assert extra.id in world.ledger.stored

    played(story)


def test_what_one_provider_alone_lacks_is_not_taken_away():
    async def story(world: World) -> None:
        await world.begin(a_log("1"))
        (extra,) = (await see(world.ledger, a_log("2"))).new
        await world.skip(extra)
        world.chain.is_agreed = False

        repaired = await world.repair()
        assert repaired.done == []
        assert repaired.left == ["the fill of 0x2: only one provider says that the chain lacks it"]
        assert named(await world.compare()) == only(Kind.EXTRA_FILL, "0x2", "chain")

    played(story)


def test_of_a_fill_stored_twice_the_one_without_a_log_is_taken_away():
    async def story(world: World) -> None:
        await world.begin(a_log("1"))
        twice = a_row(tx_hash="0x1", fill_ts_ms=OLD_MS)
        other = RecordedFill(id=uuid4(), leader_id=a_leader().id, dedupe_key="twice", fill=twice.fill)
        world.ledger.hold_fill(other)
        world.ledger.stored[other.id].reports.add((twice.fill.source, "twice"))
        await world.skip(other)

        found = await world.compare()
        assert named(found) == only(Kind.DUPLICATE_FILL, "0x1", "chain")
        assert found.discrepancies[0].fill_id == other.id
        await world.repair()
        assert named(await world.compare()) == []
        assert world.ledger.stored[other.id].orphaned_at_ms is not None

    played(story)


def test_a_token_that_nobody_knows_is_left():
    async def story(world: World) -> None:
        await world.begin(a_log("1", token_id="333"))

        assert (await world.repair()).left == ["token 333: no registry knows it"]

    played(story)


def test_a_fill_that_nobody_decides_is_named():
    async def story(world: World) -> None:
        await world.begin(a_log("1"))
        world.ledger._attempts.clear()
        for stored in world.ledger.stored.values():
            stored.confirmed_at_ms = NOW_MS - 120_000
            stored.recorded = replace(
                stored.recorded, fill=replace(stored.recorded.fill, detected_at_ms=NOW_MS - 120_000)
            )

        assert named(await world.compare()) == only(Kind.UNDECIDED_FILL, "0x1", "attempts")
        assert (await world.repair()).left == ["1 fills wait for a worker that runs"]

    played(story)


def test_an_order_that_never_ended_is_ended_on_paper_and_left_to_the_venue_live():
    async def story(world: World) -> None:
        await world.begin(a_log("1"))
        (paper, live, young) = (await see(world.ledger, *(a_log(tx) for tx in "234"))).new
        world.chain.logs += [a_log(tx) for tx in "234"]
        world.api.listed += [a_log(tx) for tx in "234"]
        over_ms = NOW_MS - OVERDUE_MS - 5_001
        for fill, mode, at_ms in (
            (paper, ExecutionMode.PAPER, over_ms),
            (live, ExecutionMode.LIVE, over_ms),
            (young, ExecutionMode.PAPER, over_ms + 1),
        ):
            attempt = an_attempt(fill, mode=mode, decided_at_ms=at_ms, created_at_ms=at_ms)
            await world.ledger.record_attempt(attempt)

        assert sorted((kind, tx) for kind, tx, *_ in named(await world.compare())) == [
            (Kind.OPEN_ATTEMPT, "0x2"),
            (Kind.OPEN_ATTEMPT, "0x3"),
        ]
        await world.ledger.save_gates([OPEN_GATE], at_ms=over_ms + 5_000 + OVERDUE_MS)
        assert sorted((kind, tx, severity) for kind, tx, _, severity in named(await world.compare())) == [
            (Kind.INTERRUPTED_ORDER, "0x2", Severity.PENDING),
            (Kind.OPEN_ATTEMPT, "0x3", Severity.ERROR),
        ]
        await world.ledger.save_gates([OPEN_GATE], at_ms=over_ms + 5_001 + OVERDUE_MS)
        repaired = await world.repair()
        assert repaired.done == [f"ended attempt {an_attempt(paper).id}"]
        assert repaired.left == [f"attempt {an_attempt(live).id} is live: the worker asks the venue when it starts"]

    played(story)


@pytest.mark.parametrize("is_agreed", [True, False])
def test_blocks_that_were_never_proved_are_read_again_for_everybody(is_agreed):
    async def story(world: World) -> None:
        last = block_at(FINAL_MS)
        hidden = a_log("2", at_ms=(last - 100) * BLOCK_MS)
        await world.begin(a_log("1"))
        await world.prove(last - 1_000, last - 500)
        await world.prove(last - 20, last)
        world.ledger.proved_at_ms = NOW_MS - DAY_MS
        world.chain.is_agreed = is_agreed
        world.chain.logs.append(hidden)
        world.api.listed.append(hidden)

        assert named(await world.compare()) == [
            (Kind.MISSING_FILL, "0x2", "ledger", Severity.ERROR),
            (Kind.MISSING_BLOCKS, None, "proof", Severity.ERROR),
        ]
        repaired = await world.repair()
        assert repaired.done == ["stored the fill of 0x2", f"read blocks {last - 499} to {last - 21} again"]
        world.ledger.proved_at_ms = NOW_MS - DAY_MS
        assert named(await world.compare()) == []
        singles = {(one.from_block, one.to_block) for one in world.ledger.proved if one.is_single_source}
        assert singles == (set() if is_agreed else {(last - 499, last - 21)})

    played(story)


def test_positions_and_cash_that_are_not_their_fold_are_folded_anew():
    async def story(world: World) -> None:
        await world.begin(a_log("1"))
        await world.ledger.fund_account("copy", "paper", start_cash=100, now_ms=NOW_MS)
        (balance,) = await world.ledger.balances()
        world.ledger._balances["copy", "paper"] = replace(balance, cash_usdc=7)

        assert named(await world.compare()) == only(Kind.POSITION_MISMATCH, None, "balances")
        assert (await world.repair()).done == ["1 positions and balances folded anew"]
        assert await world.ledger.balances() == (balance,)
        assert (await world.repair()).done == []

    played(story)


def test_anything_else_that_the_audit_finds_is_named_and_left():
    async def story(world: World) -> None:
        await world.begin(a_log("1"))
        last = block_at(FINAL_MS)
        world.ledger._cursors[CursorScope()] = Cursor(
            scope=CursorScope(), last_processed_block=last, proved_block=last + 1
        )

        found = await world.compare()
        assert [(one.kind, dict(one.detail)["what"]) for one in found.errors] == [
            (Kind.BROKEN_INVARIANT, "a cursor proved beyond what was read")
        ]
        assert (await world.repair()).left == ["1 broken_invariant: not ours to repair"]

    played(story)
