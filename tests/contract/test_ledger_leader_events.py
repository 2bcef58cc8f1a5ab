"""Every ledger keeps what leaders do other than trade, once, and tells a person of it once."""

from __future__ import annotations

from typing import Any

from copytrade.domain.fills import Side, Source
from copytrade.domain.leader_events import EventPolicy, LeaderEvent, LeaderEventKind, snapshots_of
from copytrade.domain.mirroring import as_sale
from copytrade.ports.leader_fills import Cursor, CursorScope, FillsRemoved, FillsSeen, LogRef
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import a_log, a_row
from tests.makers import LEADER, NO, NOW_MS, OTHER, YES, a_leader, micro


def an_event(number: int = 1, **changes: Any) -> LeaderEvent:
    facts: dict[str, Any] = {
        "leader": LEADER,
        "kind": LeaderEventKind.MERGE,
        "condition_id": "0x" + "c0" * 32,
        "token_id": None,
        "shares": micro("10.000001"),
        "usdc": micro("10"),
        "tx_hash": f"0x{number:064x}",
        "event_ts_ms": NOW_MS,
        "detected_at_ms": NOW_MS + 4_321,
        "dedupe_key": f"event|{number}",
        "payload": '{"size":10.000001}',
    }
    return LeaderEvent(**(facts | changes))


async def test_an_event_is_kept_once_as_it_was_told(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader())

    first = await ledger.keep_leader_events([an_event(1), an_event(2)], now_ms=NOW_MS)
    again = await ledger.keep_leader_events([an_event(2), an_event(3)], now_ms=NOW_MS + 1)

    assert first == (an_event(1), an_event(2))
    assert again == (an_event(3),)
    kept = await ledger.leader_events_of(LEADER)
    assert sorted(kept, key=lambda event: event.dedupe_key) == [an_event(1), an_event(2), an_event(3)]


async def test_more_events_than_fit_into_one_statement_are_kept(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader())
    listed = [(str(token + 1), micro("1")) for token in range(1_200)]

    await ledger.keep_leader_events(snapshots_of(LEADER, listed, at_ms=NOW_MS, is_whole=True), now_ms=NOW_MS)

    assert len(await ledger.leader_events_of(LEADER)) == 1_201


async def test_events_of_strangers_are_ignored_and_leaders_are_apart(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader())
    await ledger.add_leader(a_leader(address=OTHER))
    stranger = "0x" + "99" * 20

    events = [an_event(1), an_event(2, leader=OTHER), an_event(3, leader=stranger)]
    new = await ledger.keep_leader_events(events, now_ms=NOW_MS)

    assert [event.leader for event in new] == [LEADER, OTHER]
    assert await ledger.leader_events_of(LEADER) == (an_event(1),)
    assert await ledger.leader_events_of(stranger) == ()


async def test_fills_of_a_token_are_those_on_the_chain_since_then(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader())
    logs = [
        a_log(1, tx_hash="0x01", fill_ts_ms=NOW_MS),
        a_log(2, tx_hash="0x02", fill_ts_ms=NOW_MS + 1_000, side=Side.SELL),
        a_log(3, tx_hash="0x03", fill_ts_ms=NOW_MS + 1_000, token_id=NO),
        a_log(4, tx_hash="0x04", fill_ts_ms=NOW_MS + 2_000),
    ]
    await ledger.ingest(FillsSeen(source=logs[0].fill.source, sightings=tuple(logs)), now_ms=NOW_MS)
    place = logs[3].fill.place
    assert place is not None
    gone = LogRef(block_hash=place.block_hash, tx_hash="0x04", log_index=place.log_index)
    await ledger.orphan(FillsRemoved(logs=(gone,)), now_ms=NOW_MS)

    found = await ledger.fills_of(LEADER, YES, since_ms=NOW_MS + 1)

    assert [recorded.fill.tx_hash for recorded in found] == ["0x02"]
    assert await ledger.fills_of(OTHER, YES, since_ms=0) == ()


async def test_a_mirrored_event_is_kept_as_such_and_its_sale_is_nobodys_trade(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader())
    mirrored = an_event(policy=EventPolicy.MIRROR)
    await ledger.keep_leader_events([mirrored], now_ms=NOW_MS)
    sale = as_sale(mirrored, YES, micro("10"), bid=micro("0.5"))
    seen = FillsSeen(source=Source.LEADER_EVENT, sightings=(sale,))

    (stored,) = (await ledger.ingest(seen, now_ms=NOW_MS)).new
    again = await ledger.ingest(seen, now_ms=NOW_MS + 1)
    row = a_row(tx_hash=mirrored.tx_hash, side=Side.SELL, size="10", price="0.5")
    (trade,) = (await ledger.ingest(FillsSeen(source=Source.DATA_API, sightings=(row,)), now_ms=NOW_MS + 2)).new

    assert await ledger.leader_events_of(LEADER) == (mirrored,)
    assert (again.new, [one.id for one in again.joined]) == ((), [stored.id])
    assert trade.id != stored.id
    assert {one.id for one in await ledger.undecided(limit=9)} == {stored.id, trade.id}
    assert [one.id for one in await ledger.all_fills_of(LEADER, since_ms=0)] == [trade.id]
    assert [one.id for one in await ledger.fills_of(LEADER, YES, since_ms=0)] == [trade.id]
    unmatched = await ledger.unmatched_rows(detected_from_ms=0, detected_to_ms=NOW_MS + 9_999, noted_as="X")
    assert [one.id for one in unmatched] == [trade.id]


async def test_a_cursor_moves_with_the_events_it_tells_of_also_when_there_are_none(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader())
    scope = CursorScope(exchange_address="0x01")
    first, second = (Cursor(scope=scope, last_processed_block=block, proved_block=5) for block in (7, 9))

    await ledger.keep_leader_events([an_event()], now_ms=NOW_MS, cursor=first)
    assert await ledger.cursor(scope) == first
    assert await ledger.keep_leader_events([], now_ms=NOW_MS, cursor=second) == ()
    assert await ledger.cursor(scope) == second
    assert await ledger.cursor(CursorScope()) is None
