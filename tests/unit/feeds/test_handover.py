"""What tasks of a source found reaches one consumer: in order, within a bound, and failures after all else."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from copytrade.adapters.feeds.handover import Handover
from copytrade.domain.fills import Source
from copytrade.ports.leader_fills import SourceNote
from tests.virtual_time import run_virtual


def note(number: int) -> SourceNote:
    return SourceNote(source=Source.RTDS, code=str(number), detail={})


def test_events_come_in_the_order_in_which_they_were_offered_also_when_there_is_no_room():
    async def story() -> None:
        async def feed(outbox: Handover) -> None:
            async with asyncio.TaskGroup() as tasks:
                for number in range(50):
                    tasks.create_task(outbox.put(note(number)))
            await asyncio.Event().wait()

        async with aclosing(Handover(3).events(feed, name="feed")) as events:
            taken = [int((await anext(events)).code) for _ in range(50)]
        assert taken == list(range(50))

    run_virtual(story, epoch_ms=0)


def test_a_feeder_waits_while_its_consumer_is_behind():
    async def story() -> None:
        offered = []

        async def feed(outbox: Handover) -> None:
            for number in range(100):
                await outbox.put(note(number))
                offered.append(number)
            await asyncio.Event().wait()

        async with aclosing(Handover(3).events(feed, name="feed")) as events:
            for taken in range(1, 20):
                await anext(events)
                await asyncio.sleep(1)
                assert len(offered) <= taken + 3

    run_virtual(story, epoch_ms=0)


def test_what_a_feeder_failed_of_is_raised_once_all_it_found_is_taken():
    async def story() -> None:
        async def fail() -> None:
            raise KeyError("deep")

        async def feed(outbox: Handover) -> None:
            await outbox.put(note(1))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(fail())

        async with aclosing(Handover(3).events(feed, name="feed")) as events:
            assert (await anext(events)).code == "1"
            with pytest.raises(KeyError, match="deep"):
                await anext(events)

    run_virtual(story, epoch_ms=0)


@pytest.mark.parametrize("is_full", [False, True])
def test_a_feeder_ends_with_its_reader(is_full):
    async def story() -> None:
        async def feed(outbox: Handover) -> None:
            for number in range(10 * is_full + 1):
                await outbox.put(note(number))
            await asyncio.Event().wait()

        async with aclosing(Handover(3).events(feed, name="feed")) as events:
            await anext(events)
            await asyncio.sleep(1)
        assert {task.get_name() for task in asyncio.all_tasks()}.isdisjoint({"feed"})

    run_virtual(story, epoch_ms=0)
