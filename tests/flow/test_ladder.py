"""An account on the ladder: what its rung lets through, what runs on paper beside it, and when it comes down.

The account of the stage is a paper one; to the engine it is the same.
"""

from __future__ import annotations

import asyncio
from typing import Any

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import AttemptStatus, Decision, ExecutionAttempt
from copytrade.domain.fills import Side
from copytrade.domain.happenings import Noted
from copytrade.domain.ids import PAPER_ACCOUNT_ID
from copytrade.domain.ladder import MOVED, Rung
from copytrade.domain.risk import LimitName
from tests.flow.stage import START_MS, Stage, live
from tests.makers import a_book, a_fill, a_leader, a_place, micro
from tests.virtual_time import run_virtual

CAPS = {LimitName.MAX_USDC_PER_TRADE: micro("40"), LimitName.MAX_USDC_PER_DAY: micro("400")}


def play(script: Any, *, rung: Rung | None, ledger: MemoryLedger | None = None) -> Stage:
    async def main() -> Stage:
        stage = Stage(ledger=ledger or MemoryLedger(), caps=CAPS)
        await stage.ledger.add_leader(a_leader())
        if rung is not None:
            await moved(stage, rung)
        await stage.books.show(a_book(asks="0.51:10000"))
        await live(stage, script)
        return stage

    return run_virtual(main, epoch_ms=START_MS)


async def moved(stage: Stage, rung: Rung) -> None:
    """Move the account as another process does."""
    known = await stage.ledger.standing(PAPER_ACCOUNT_ID)
    revision = known.revision if known else 0
    done = await stage.ledger.move_rung(
        PAPER_ACCOUNT_ID, rung, after=revision, by="ann", why="", at_ms=stage.clock.now_ms()
    )
    assert done is not None


async def copied(stage: Stage, number: int, *, side: Side = Side.BUY, size: str = "100") -> ExecutionAttempt:
    """Let the leader trade and the copy end; return it."""
    await stage.sees(
        a_fill(
            size=size,
            price="0.51" if side is Side.BUY else "0.49",
            side=side,
            tx_hash=f"0x{number:064x}",
            place=a_place(log_index=number),
            fill_ts_ms=stage.clock.now_ms(),
        )
    )
    await asyncio.sleep(8)
    return (await stage.attempts())[-1]


async def shadows(stage: Stage) -> list[Any]:
    return [*await stage.ledger.shadowed(account_id=PAPER_ACCOUNT_ID, since_ms=0, limit=100)]


def test_an_account_that_was_never_put_on_the_ladder_has_its_whole_caps() -> None:
    async def script(stage: Stage) -> None:
        attempt = await copied(stage, 1)

        assert (attempt.status, attempt.filled_shares) == (AttemptStatus.FILLED, micro("100"))

    play(script, rung=None)


def test_on_shadow_no_entry_is_sent_and_each_runs_on_paper_as_it_would_have() -> None:
    async def script(stage: Stage) -> None:
        attempt = await copied(stage, 1)

        assert (attempt.decision, attempt.status, attempt.order_hash) == (Decision.TRADE, AttemptStatus.CANCELED, None)
        (shadow,) = await shadows(stage)
        assert not shadow.is_sent
        assert shadow.paper.status is AttemptStatus.FILLED
        assert shadow.paper.filled_shares == attempt.size_shares_target
        assert await stage.ledger.positions() == ()

    play(script, rung=Rung.SHADOW)


def test_on_tiny_an_order_is_cut_to_what_is_tiny_and_its_shadow_is_of_the_same_size() -> None:
    async def script(stage: Stage) -> None:
        attempt = await copied(stage, 1)

        assert "CUT_BY_RISK_MAX_USDC_PER_TRADE" in [one.code for one in attempt.reasons]
        assert attempt.size_shares_target * attempt.limit_price <= 5 * 10**12
        (shadow,) = await shadows(stage)
        assert (shadow.is_sent, shadow.live.filled_shares) == (True, attempt.size_shares_target)
        assert shadow.paper.filled_shares == shadow.live.filled_shares

    play(script, rung=Rung.TINY)


def test_a_move_is_in_force_within_a_second_and_told() -> None:
    async def script(stage: Stage) -> None:
        await copied(stage, 1)
        await moved(stage, Rung.RAMP_50)
        await asyncio.sleep(1.1)
        wider = await copied(stage, 2)
        await moved(stage, Rung.SHADOW)
        await asyncio.sleep(1.1)
        none = await copied(stage, 3)

        assert 5 * 10**12 < wider.size_shares_target * wider.limit_price <= 20 * 10**12
        assert none.order_hash is None
        assert [note.detail["rung"] for note in stage.notifier.of(Noted) if note.code == MOVED] == ["ramp-50", "shadow"]

    play(script, rung=Rung.TINY)


def test_what_is_held_can_be_left_on_every_rung() -> None:
    async def script(stage: Stage) -> None:
        await copied(stage, 1)
        await moved(stage, Rung.PAPER)
        await asyncio.sleep(1.1)

        attempt = await copied(stage, 2, side=Side.SELL)

        assert (attempt.side, attempt.status) == (Side.SELL, AttemptStatus.FILLED)

    play(script, rung=Rung.TINY)


def test_an_account_whose_ledger_differs_from_the_venue_comes_down_by_itself() -> None:
    async def script(stage: Stage) -> None:
        await stage.ledger.note("ACCOUNT_DIFFERS", {}, at_ms=stage.clock.now_ms())
        await asyncio.sleep(40)

        standing = await stage.ledger.standing(PAPER_ACCOUNT_ID)
        assert standing is not None
        assert (standing.rung, standing.moved_by) == (Rung.SHADOW, "worker")
        assert "ACCOUNT_DIFFERS" in standing.why

    play(script, rung=Rung.TINY)


def test_a_shadow_that_a_death_left_open_ends_at_the_next_start_and_is_not_placed_again() -> None:
    ledger = MemoryLedger()

    async def dies_at_once(stage: Stage) -> None:
        await stage.books.show(a_book(asks="0.60:100"))
        await stage.sees(a_fill(size="100", price="0.51", fill_ts_ms=stage.clock.now_ms()))
        await asyncio.sleep(2)
        assert len(await stage.ledger.open_shadows()) == 1

    async def looks(stage: Stage) -> None:
        await asyncio.sleep(1)
        (shadow,) = await shadows(stage)
        assert shadow.paper.status is AttemptStatus.CANCELED
        assert await stage.ledger.open_shadows() == ()

    play(dies_at_once, rung=Rung.SHADOW, ledger=ledger)
    play(looks, rung=None, ledger=ledger)
