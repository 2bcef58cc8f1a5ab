"""Trades that the chain's feed never showed: noted once if they are on the chain, taken back if they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import AttemptStatus
from copytrade.domain.fills import Source
from copytrade.engine.notes import Notes
from copytrade.engine.orphans import UNDER_COPY, Orphans
from copytrade.engine.portfolio import Portfolio
from copytrade.engine.unmatched import CODE, VANISHED, Unmatched
from copytrade.ports.leader_fills import Cursor, CursorScope, FillsSeen
from tests.fakes import FakeTransactions
from tests.ledger_facts import a_row, an_attempt, see
from tests.makers import NOW_MS, a_leader
from tests.virtual_time import VirtualClock, run_virtual

ROW = a_row(detected_at_ms=NOW_MS)


class Silent:
    def tell(self, happening: object) -> None:
        pass


class World:
    """A ledger with one row that only an API has, and the chain it is held against."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.transactions = FakeTransactions()
        self.read_to = 1_000

    async def live(self, *, minutes: int, chain_moves: bool = True) -> None:
        clock, notifier, ledger = VirtualClock(), Silent(), self.ledger
        notes = Notes(ledger=ledger, notifier=notifier, clock=clock)
        portfolio = Portfolio(strategy_id="copy", account_id="paper")
        orphans = Orphans(ledger=ledger, portfolio=portfolio, notifier=notifier, clock=clock)
        unmatched = Unmatched(ledger=ledger, transactions=self.transactions, orphans=orphans, notes=notes, clock=clock)
        loops = [asyncio.create_task(unmatched.run()), asyncio.create_task(notes.run())]
        for _ in range(minutes):
            await asyncio.sleep(60)
            self.read_to += chain_moves
            cursor = Cursor(scope=CursorScope(), last_processed_block=self.read_to, proved_block=None)
            await ledger.ingest(FillsSeen(source=Source.POLYGON, sightings=(), cursor=cursor), now_ms=NOW_MS)
        for loop in loops:
            loop.cancel()
            with suppress(asyncio.CancelledError):
                await loop

    def codes(self) -> list[str]:
        return [event.code for event in self.ledger.events]

    def is_orphaned(self) -> bool:
        (stored,) = self.ledger.stored.values()
        return stored.orphaned_at_ms is not None


def played(story: Callable[[World], Awaitable[None]]) -> World:
    world = World()

    async def run() -> None:
        await world.ledger.add_leader(a_leader())
        await see(world.ledger, ROW)
        await story(world)

    run_virtual(run, epoch_ms=NOW_MS)
    return world


def on_chain(world: World, block: int = 900) -> None:
    world.transactions.blocks[ROW.fill.tx_hash] = block


def test_a_trade_whose_log_is_elsewhere_is_noted_after_ten_minutes():
    async def early(world: World) -> None:
        on_chain(world)
        await world.live(minutes=9)

    async def later(world: World) -> None:
        on_chain(world)
        await world.live(minutes=14)

    assert played(early).codes() == []
    world = played(later)
    assert (world.codes(), world.is_orphaned()) == ([CODE], False)


def test_it_is_noted_once_also_over_a_restart():
    async def story(world: World) -> None:
        on_chain(world)
        for _ in range(2):
            await world.live(minutes=30)

    assert played(story).codes() == [CODE]


def test_nothing_is_noted_while_the_chain_stands_still_or_before_its_block_is_read():
    async def still(world: World) -> None:
        await world.live(minutes=30, chain_moves=False)

    async def behind(world: World) -> None:
        on_chain(world, block=5_000)
        await world.live(minutes=30)

    for story in (still, behind):
        world = played(story)
        assert (world.codes(), world.is_orphaned()) == ([], False)


def test_a_trade_that_the_chain_does_not_have_is_taken_back_after_a_second_look():
    async def once(world: World) -> None:
        await world.live(minutes=10)

    async def twice(world: World) -> None:
        await world.live(minutes=12)

    assert not played(once).is_orphaned()
    world = played(twice)
    assert (world.codes(), world.is_orphaned()) == ([VANISHED], True)


def test_no_answer_decides_nothing():
    async def story(world: World) -> None:
        world.transactions.answers = False
        await world.live(minutes=30)

    world = played(story)
    assert (world.codes(), world.is_orphaned()) == ([], False)


def test_what_is_not_sent_ends_with_the_trade_and_what_was_sent_is_told():
    async def story(world: World) -> None:
        (stored,) = world.ledger.stored.values()
        for account in ("paper", "live"):
            await world.ledger.record_attempt(an_attempt(stored.recorded, account_id=account))
        sent = an_attempt(stored.recorded, account_id="live").id
        await world.ledger.submit_attempt(sent, order_hash="0x01", placed_at_ms=NOW_MS)
        await world.live(minutes=14)

        unsent = await world.ledger.attempt(an_attempt(stored.recorded).id)
        assert unsent is not None
        assert unsent.status is AttemptStatus.CANCELED
        assert unsent.reasons[-1].code == "ORPHANED"
        (told,) = [event.detail for event in world.ledger.events if event.code == UNDER_COPY]
        assert told == {"attempts": [str(sent)]}

    played(story)
