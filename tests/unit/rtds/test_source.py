"""The source over a fake stream: leaders' fills, each once, whatever else the stream carries."""

from __future__ import annotations

import asyncio
import json

from copytrade.domain.fills import LeaderRole, Source
from copytrade.ports.leader_fills import FillsConfirmed, FillsSeen
from tests.makers import LEADER, NOW_MS, OTHER, a_leader
from tests.unit.rtds.fake_stream import CHECKSUMMED, STRANGER, FakeStream, Roll, Told, a_message, listening, tx


def test_only_leaders_are_told_whatever_the_case_of_their_wallets():
    async def story(stream: FakeStream, told: Told) -> None:
        stream.open[0].push(
            a_message(proxyWallet=STRANGER),
            a_message(proxyWallet=CHECKSUMMED, transactionHash=tx(1)),
            a_message(proxyWallet=LEADER, transactionHash=tx(2)),
        )

    told = listening(story)

    assert [sighting.fill.tx_hash for sighting in told.sightings] == [tx(1), tx(2)]
    assert {sighting.fill.leader for sighting in told.sightings} == {LEADER}
    assert all(event.source is Source.RTDS for event in told.events if isinstance(event, FillsSeen))


def test_nothing_moves_a_cursor_and_nothing_is_confirmed():
    async def story(stream: FakeStream, told: Told) -> None:
        for _ in range(10):
            stream.open[0].push(a_message())
            await stream.chatter(until_s=60)

    told = listening(story)

    assert all(event.cursor is None for event in told.events if isinstance(event, FillsSeen))
    assert not any(isinstance(event, FillsConfirmed) for event in told.events)


def test_a_fill_is_stamped_with_the_moment_it_was_heard():
    async def story(stream: FakeStream, told: Told) -> None:
        await asyncio.sleep(2)
        stream.open[0].push(a_message())

    (sighting,) = listening(story).sightings

    assert sighting.fill.detected_at_ms == NOW_MS + 2_100


def test_a_fill_that_comes_forty_minutes_late_is_told_with_its_own_time():
    async def story(stream: FakeStream, told: Told) -> None:
        await stream.chatter(until_s=2_400)
        stream.open[0].push(a_message())

    (sighting,) = listening(story).sightings

    assert sighting.fill.fill_ts_ms == NOW_MS
    assert sighting.fill.detected_at_ms >= NOW_MS + 2_400_000


def test_the_taker_topic_first_makes_the_role_known():
    async def story(stream: FakeStream, told: Told) -> None:
        stream.open[0].push(a_message("orders_matched"), a_message("trades"))

    (sighting,) = listening(story).sightings

    assert sighting.fill.role is LeaderRole.TAKER


def test_an_array_of_messages_is_one_event():
    async def story(stream: FakeStream, told: Told) -> None:
        messages = [a_message(transactionHash=tx(1)), a_message(proxyWallet=STRANGER), a_message(transactionHash=tx(2))]
        stream.open[0].push(json.dumps(messages))

    told = listening(story)

    assert len(told.events) == 1
    assert len(told.sightings) == 2


def test_odd_frames_are_quarantined_and_the_rest_is_heard():
    odd = ["{", "PANG", "{}", "null", '{"topic":"activity"}', json.dumps(a_message("splits"))]

    async def story(stream: FakeStream, told: Told) -> None:
        stream.open[0].push(*odd, json.dumps([a_message(size="ten"), a_message()]))
        await asyncio.sleep(1)
        assert len(stream.sockets) == 1

    told = listening(story)

    reasons = [note["reason"] for note in told.notes("QUARANTINED")]
    assert reasons == ["not-json", "not-json", "unknown-topic", "not-a-message", "no-wallet", "unknown-type", "size"]
    assert len(told.keys) == 1


def test_a_flood_of_odd_frames_is_noted_up_to_a_rate():
    async def story(stream: FakeStream, told: Told) -> None:
        for _ in range(3):
            stream.open[0].push(*["{" + "x" * 10_000] * 500)
            await stream.chatter(until_s=60)

    notes = listening(story).notes("QUARANTINED")

    assert len(notes) == 90
    assert max(len(str(note["payload"])) for note in notes) == 4_096


def test_nothing_is_opened_before_there_is_a_leader_and_new_ones_are_heard_at_once():
    roll: list[Roll] = []

    def empty() -> Roll:
        roll.append(Roll())
        return roll[0]

    async def story(stream: FakeStream, told: Told) -> None:
        await asyncio.sleep(60)
        assert stream.sockets == []
        roll[0].set(a_leader(address=LEADER))
        await asyncio.sleep(1)
        stream.open[0].push(a_message(), a_message(proxyWallet=OTHER))
        await asyncio.sleep(1)
        roll[0].set(a_leader(address=OTHER))
        stream.open[0].push(a_message(transactionHash=tx(2)), a_message(proxyWallet=OTHER, transactionHash=tx(3)))

    told = listening(story, roll=empty)

    assert [(one.fill.leader, one.fill.tx_hash) for one in told.sightings] == [(LEADER, tx(1)), (OTHER, tx(3))]
