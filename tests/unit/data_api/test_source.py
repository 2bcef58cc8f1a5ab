"""The Data API source over a fake API: every row once, limits kept, whatever it answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from copytrade.adapters.data_api.source import DataApiSource
from copytrade.domain.happenings import POLLING
from copytrade.domain.leaders import Leader
from copytrade.ports.leader_fills import (
    FillsConfirmed,
    FillsSeen,
    LeaderRoll,
    SourceEvent,
    SourceNote,
    SourceUnusableError,
)
from tests.makers import LEADER, NOW_MS, OTHER, a_leader
from tests.unit.data_api.fake_api import NOW_S, FakeApi, a_row, tx
from tests.virtual_time import VirtualClock, run_virtual


class Roll(LeaderRoll):
    def __init__(self, *leaders: Leader) -> None:
        self.current: Mapping[str, Leader] = {leader.address: leader for leader in leaders}
        self._changed = asyncio.Event()

    def leaders(self) -> Mapping[str, Leader]:
        return self.current

    async def changed(self) -> None:
        await self._changed.wait()

    def set(self, *leaders: Leader) -> None:
        self.current = {leader.address: leader for leader in leaders}
        self._changed.set()
        self._changed = asyncio.Event()


def virtual(test: Callable[[], Awaitable[None]]) -> None:
    run_virtual(test, epoch_ms=NOW_MS)


def source_of(api: FakeApi, roll: Roll, **changes: Any) -> DataApiSource:
    facts = {"url": "https://api.test/", "poll_interval_ms": 3_000, "clock": VirtualClock(), "roll": roll}
    return DataApiSource(**(facts | {"transport": api.transport()} | changes))


@asynccontextmanager
async def watching(api: FakeApi, roll: Roll) -> AsyncIterator[list[SourceEvent]]:
    before = asyncio.all_tasks()
    events: list[SourceEvent] = []
    take = events.append

    async def feed() -> None:
        async for event in source_of(api, roll).events():
            take(event)

    task = asyncio.create_task(feed())
    try:
        yield events
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert asyncio.all_tasks() <= before


def keys(events: list[SourceEvent]) -> list[str]:
    return [one.source_key for event in events if isinstance(event, FillsSeen) for one in event.sightings]


def notes(events: list[SourceEvent], code: str) -> list[SourceNote]:
    return [event for event in events if isinstance(event, SourceNote) and event.code == code]


def test_makers_are_asked_for_and_no_cache_can_answer():
    async def story() -> None:
        api = FakeApi()
        async with watching(api, Roll(a_leader())):
            await asyncio.sleep(10)

        queries = [dict(url.params) for url in api.requests]
        assert {query["taker_only"] for query in queries} == {"false"}
        assert {query["user"] for query in queries} == {LEADER}
        assert len({query["_"] for query in queries}) == len(queries) == 4
        assert str(api.requests[0]).startswith("https://api.test/v2/trades?")

    virtual(story)


def test_a_row_is_reported_once_however_often_it_is_served():
    async def story() -> None:
        api = FakeApi(rows=[a_row()])
        async with watching(api, Roll(a_leader())) as events:
            await asyncio.sleep(30)

        assert len(keys(events)) == 1

    virtual(story)


def test_identical_rows_are_as_many_fills():
    async def story() -> None:
        api = FakeApi(rows=[a_row(), a_row()])
        async with watching(api, Roll(a_leader())) as events:
            await asyncio.sleep(5)
            api.rows.append(a_row())
            await asyncio.sleep(5)

        assert [key[-2:] for key in keys(events)] == ["|0", "|1", "|2"]

    virtual(story)


def test_long_histories_are_paged_and_come_whole():
    async def story() -> None:
        rows = [a_row(transaction_hash=tx(at // 3), timestamp=NOW_S - at // 3) for at in range(1_000)]
        api = FakeApi(rows=rows, page_rows=7)
        async with watching(api, Roll(a_leader())) as events:
            await asyncio.sleep(20)

        assert len(keys(events)) == len(set(keys(events))) == 1_000
        assert Counter(key[-2:] for key in keys(events)) == {"|0": 334, "|1": 333, "|2": 333}

    virtual(story)


def test_a_row_is_confirmed_by_a_poll_a_minute_later():
    async def story() -> None:
        api = FakeApi(rows=[a_row()])
        async with watching(api, Roll(a_leader())) as events:
            await asyncio.sleep(58)
            assert not [event for event in events if isinstance(event, FillsConfirmed)]
            await asyncio.sleep(10)

        (confirmed,) = [event for event in events if isinstance(event, FillsConfirmed)]
        assert list(confirmed.source_keys) == keys(events)

    virtual(story)


def test_a_row_that_is_served_late_is_not_missed():
    async def story() -> None:
        api = FakeApi()
        async with watching(api, Roll(a_leader())) as events:
            await asyncio.sleep(100)
            api.rows += [a_row(timestamp=NOW_S - 100), a_row(transaction_hash=tx(2), timestamp=NOW_S - 1_500)]
            await asyncio.sleep(4)
            assert len(keys(events)) == 1
            await asyncio.sleep(610)

        assert len(keys(events)) == 2

    virtual(story)


def test_every_leader_has_his_turn_below_the_rate():
    async def story() -> None:
        api = FakeApi()
        crowd = [a_leader(address=f"0x{at:040x}") for at in range(200)]
        async with watching(api, Roll(*crowd)):
            await asyncio.sleep(60)

        turns = Counter(url.params["user"] for url in api.requests)
        assert len(turns) == 200
        assert max(turns.values()) - min(turns.values()) <= 1
        assert 60 * 24 <= len(api.requests) <= 60 * 24 + 24 + 1

    virtual(story)


def test_how_often_leaders_are_really_polled_is_told_once_a_minute():
    async def story() -> None:
        crowd = [a_leader(address=f"0x{at:040x}") for at in range(200)]
        async with watching(FakeApi(), Roll(*crowd)) as events:
            await asyncio.sleep(150)

        told = [note.detail for note in notes(events, POLLING)]
        assert len(told) == 3
        # 200 leaders at 24 requests a second, though 3 s were asked for.
        assert told[-1]["wanted_ms"] == 3_000
        assert 8_000 <= told[-1]["interval_p50_ms"] <= told[-1]["interval_max_ms"] <= 9_000

    virtual(story)


def test_a_limit_is_respected_for_everyone():
    async def story() -> None:
        api = FakeApi()
        api.faults = lambda url: httpx.Response(429, headers={"retry-after": "30"}) if len(api.requests) == 1 else None
        async with watching(api, Roll(a_leader(), a_leader(address=OTHER))) as events:
            await asyncio.sleep(29)
            assert len(api.requests) <= 2
            api.rows.append(a_row())
            await asyncio.sleep(20)

        assert len(keys(events)) == 1

    virtual(story)


@pytest.mark.parametrize("answer", [httpx.Response(502, text="<html>"), httpx.Response(503), httpx.ConnectError("no")])
def test_an_outage_is_told_once_and_nothing_is_missed(answer):
    async def story() -> None:
        api = FakeApi()
        down = {"now": False}

        def fault(url: httpx.URL) -> httpx.Response | None:
            if down["now"] and isinstance(answer, Exception):
                raise answer
            return httpx.Response(answer.status_code, text=answer.text) if down["now"] else None

        api.faults = fault
        async with watching(api, Roll(a_leader())) as events:
            await asyncio.sleep(5)
            down["now"] = True
            await asyncio.sleep(1_000)
            api.rows += [a_row(transaction_hash=tx(at), timestamp=NOW_S + 10 * at) for at in range(100)]
            down["now"] = False
            await asyncio.sleep(200)

        assert (len(notes(events, "UNREACHABLE")), len(notes(events, "RECONNECTED"))) == (1, 1)
        assert len(keys(events)) == 100

    virtual(story)


@pytest.mark.parametrize("body", ["<html>hello</html>", "", "[]", '{"error":"x"}'])
def test_what_is_not_the_api_ends_the_start_naming_the_host(body):
    async def story() -> None:
        api = FakeApi(faults=lambda url: httpx.Response(200, text=body))

        with pytest.raises(SourceUnusableError, match=r"^api\.test: answered"):
            await anext(source_of(api, Roll(a_leader())).events())

    virtual(story)


def test_what_is_not_the_api_later_is_quarantined():
    async def story() -> None:
        api = FakeApi()
        async with watching(api, Roll(a_leader())) as events:
            await asyncio.sleep(5)
            api.faults = lambda url: httpx.Response(200, text="<html>" + "x" * 10_000)
            await asyncio.sleep(60)
            api.faults = lambda url: None
            api.rows.append(a_row())
            await asyncio.sleep(60)

        assert notes(events, "QUARANTINED")
        assert all(len(str(note.detail["payload"])) <= 4096 for note in notes(events, "QUARANTINED"))
        assert len(keys(events)) == 1

    virtual(story)


def test_a_garbage_row_is_quarantined_and_its_neighbours_are_taken():
    async def story() -> None:
        odd = a_row(transaction_hash=tx(2), price=5)
        other = a_row(token_id="", side="")
        api = FakeApi(rows=[a_row(), odd, other, a_row(transaction_hash=tx(3))])
        async with watching(api, Roll(a_leader())) as events:
            await asyncio.sleep(2)

        assert len(keys(events)) == 2
        assert [note.detail["reason"] for note in notes(events, "QUARANTINED")] == ["price"]

    virtual(story)


def test_a_cursor_that_goes_in_circles_is_given_up():
    async def story() -> None:
        api = FakeApi(rows=[a_row()])
        circle = '{"data": [], "pagination": {"next_cursor": "again"}}'
        api.faults = lambda url: httpx.Response(200, text=circle) if len(api.requests) > 3 else None
        async with watching(api, Roll(a_leader())) as events:
            await asyncio.sleep(60)

        assert notes(events, "TRUNCATED")
        assert len(api.requests) < 100

    virtual(story)


def test_leaders_come_and_go():
    async def story() -> None:
        api = FakeApi(rows=[a_row(), a_row(proxy_wallet=OTHER)])
        roll = Roll()
        async with watching(api, roll) as events:
            await asyncio.sleep(60)
            assert not api.requests
            roll.set(a_leader(), a_leader(address=OTHER))
            await asyncio.sleep(10)
            assert len(keys(events)) == 2
            roll.set(a_leader())
            await asyncio.sleep(10)
            api.requests.clear()
            await asyncio.sleep(10)

        assert {url.params["user"] for url in api.requests} == {LEADER}

    virtual(story)
