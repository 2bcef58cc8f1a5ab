"""The canary: leaders at contracts and in events that the feed does not read are told, once, and never traded."""

from __future__ import annotations

import asyncio

from copytrade.adapters.polygon.drift import KNOWN_EVENTS
from tests.unit.polygon.fake_chain import tx
from tests.unit.polygon.raw_logs import BEFORE, LIVE, STRANGER
from tests.unit.polygon.watching import Kept, Roll, a_chain, since_block, virtual, watching

ELSEWHERE = "0x" + "5e" * 20
NEW_EVENT = "0x" + "ab" * 32


def notes_of(*logs: dict[str, object]) -> list[tuple[str, object, object]]:
    """Return what is told of logs that were mined twice, a minute apart."""
    told: list[tuple[str, object, object]] = []

    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(3.3)
            for _ in range(2):
                chain.mine(*(log | {"transactionHash": tx(at)} for at, log in enumerate(logs)))
                for _ in range(45):
                    chain.mine()
                    await asyncio.sleep(1.5)
        assert set(kept.transactions()) <= {tx(0)}
        told.extend(
            (note.code, note.detail["address"], note.detail["topic"])
            for code in ("DRIFT_ADDRESS", "DRIFT_TOPIC")
            for note in kept.notes(code)
        )

    virtual(story)
    return told


def a_log(address: str, topic: str | None = None, **changes: str) -> dict[str, object]:
    log = a_chain(1).fill("any", **changes) | {"address": address}
    return log if topic is None else log | {"topics": [topic, *log["topics"][1:]]}


def test_a_fill_at_an_unknown_address_is_told_once():
    good, odd = a_log(LIVE[0]), a_log(ELSEWHERE)

    assert notes_of(good, odd, odd) == [("DRIFT_ADDRESS", ELSEWHERE, odd["topics"][0])]


def test_an_unknown_event_of_a_known_exchange_is_told_once():
    assert notes_of(a_log(LIVE[1]), a_log(LIVE[1], NEW_EVENT)) == [("DRIFT_TOPIC", LIVE[1], NEW_EVENT)]


def test_a_fill_of_today_at_an_exchange_of_before_is_told():
    odd = a_log(BEFORE[0])

    assert notes_of(a_log(LIVE[0]), odd) == [("DRIFT_TOPIC", BEFORE[0], odd["topics"][0])]


def test_other_known_events_and_other_accounts_are_no_drift():
    matched = [a_log(LIVE[0], topic) for topic in sorted(KNOWN_EVENTS) if not topic.startswith(("0xd0a0", "0xd543"))]

    assert notes_of(a_log(LIVE[0]), *matched, a_log(ELSEWHERE, maker=STRANGER)) == []
