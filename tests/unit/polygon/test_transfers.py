"""Shares that a leader sent or got without a trade: found at finality, each once, and nothing that the venue moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from eth_abi import encode
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.polygon.decode import MalformedLogError, maker_topic
from copytrade.adapters.polygon.transfer_decode import BATCH, SINGLE, decode_transfer
from copytrade.adapters.polygon.transfers import CONDITIONAL_TOKENS, POSITION_MANAGER, SCOPE, VENUE, PolygonTransfers
from copytrade.domain.leader_events import LeaderEvent
from copytrade.domain.leader_events import LeaderEventKind as Kind
from copytrade.ports.leader_fills import Cursor
from tests.makers import a_leader
from tests.unit.polygon.fake_chain import GENESIS_S, FakeChain, tx
from tests.unit.polygon.raw_logs import LEADER, LIVE, STRANGER
from tests.unit.polygon.test_proof import TWO, Answer, empty_logs, two_nodes
from tests.unit.polygon.watching import Kept, Roll, a_chain, since_block, virtual
from tests.virtual_time import VirtualClock

OTHER_LEADER = "0x" + "c3" * 20
ADAPTER = "0xd91e80cf2e7be2e162c6513ced06f1dd0da35296"


def a_transfer(
    name: object, *moved: tuple[int, int], sender: str = LEADER, receiver: str = STRANGER, **changes: Any
) -> dict[str, Any]:
    """Return a log of shares that were sent; several in one are a batch."""
    operator = changes.pop("operator", sender)
    if len(moved) == 1:
        topic, data = SINGLE, encode(["uint256", "uint256"], moved[0])
    else:
        topic, data = BATCH, encode(["uint256[]", "uint256[]"], [list(part) for part in zip(*moved, strict=True)])
    return {
        "address": CONDITIONAL_TOKENS,
        "topics": [topic, *(maker_topic(party) for party in (operator, sender, receiver))],
        "data": "0x" + data.hex(),
        "transactionHash": tx(name),
    } | changes


class Stored:
    """What was stored of the moves; a restart goes on from its cursor."""

    def __init__(self) -> None:
        self.kept = Kept()
        self.events: list[LeaderEvent] = []
        self.notes: list[str] = []

    def rows(self) -> list[tuple[str, Kind, str | None, int]]:
        return [(event.leader, event.kind, event.token_id, event.shares) for event in self.events]


@asynccontextmanager
async def reading(chain: FakeChain, roll: Roll, stored: Stored, **changes: Any) -> AsyncIterator[None]:
    facts: dict[str, Any] = {
        "http_urls": ("https://node.test",),
        "exchanges": LIVE,
        "clock": VirtualClock(),
        "roll": roll,
        "cursors": stored.kept,
        "note": lambda code, _detail: stored.notes.append(code),
        "transport": chain.transport(),
    }

    async def read() -> None:
        async with aclosing(PolygonTransfers(**(facts | changes)).moves()) as moves:
            async for moved in moves:
                stored.events += moved.events
                stored.kept.cursors[SCOPE] = moved.cursor

    task = asyncio.create_task(read())
    try:
        yield
        assert not task.done(), repr(task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def read(*blocks: list[dict[str, Any]], leaders: tuple[str, ...] = (LEADER,)) -> Stored:
    """Return what is found in these blocks, mined while we read."""
    stored = Stored()

    async def story() -> None:
        chain = a_chain()
        async with reading(chain, Roll(*(a_leader(address=leader) for leader in leaders)), stored):
            await asyncio.sleep(1)
            for logs in blocks:
                chain.mine(*logs)
            chain.mine_empty(6)
            await asyncio.sleep(90)

    virtual(story)
    return stored


def test_what_is_sent_and_got_is_found_with_the_time_of_its_block():
    stored = read([a_transfer("out", (11, 5))], [a_transfer("in", (12, 7), sender=STRANGER, receiver=LEADER)])

    assert stored.rows() == [(LEADER, Kind.WITHDRAWAL, "11", 5), (LEADER, Kind.DEPOSIT, "12", 7)]
    assert [event.event_ts_ms for event in stored.events] == [(GENESIS_S + 42) * 1000, (GENESIS_S + 44) * 1000]


def test_a_batch_is_as_many_events_and_both_ledgers_are_read():
    batch = a_transfer("many", (11, 5), (12, 7), (11, 5), address=POSITION_MANAGER)

    stored = read([batch])

    assert stored.rows() == [
        (LEADER, Kind.WITHDRAWAL, token, shares) for token, shares in (("11", 5), ("12", 7), ("11", 5))
    ]
    assert len({event.dedupe_key for event in stored.events}) == 3


def test_from_one_leader_to_another_it_is_two_events_and_to_oneself_none():
    stored = read(
        [a_transfer("over", (11, 5), receiver=OTHER_LEADER)],
        [a_transfer("round", (11, 5), receiver=LEADER)],
        leaders=(LEADER, OTHER_LEADER),
    )

    assert sorted(stored.rows()) == [(LEADER, Kind.WITHDRAWAL, "11", 5), (OTHER_LEADER, Kind.DEPOSIT, "11", 5)]


@pytest.mark.parametrize("contract", sorted({*VENUE, *LIVE}))
def test_what_the_venue_itself_moves_is_left_to_the_logs_of_orders_and_the_api(contract):
    stored = read(
        [a_transfer("operated", (11, 5), operator=contract)],
        [a_transfer("given", (11, 5), receiver=contract)],
        [a_transfer("taken", (11, 5), sender=contract, receiver=LEADER)],
    )
    assert stored.rows() == []


def test_a_restart_goes_on_from_the_cursor_and_nothing_is_missed():
    stored = Stored()

    async def story() -> None:
        chain = a_chain()
        roll = Roll(since_block(20))
        async with reading(chain, roll, stored):
            await asyncio.sleep(1)
            chain.mine(a_transfer("one", (11, 1)))
            chain.mine_empty(6)
            await asyncio.sleep(90)
        chain.mine(a_transfer("two", (11, 2)))
        chain.mine_empty(700)
        async with reading(chain, roll, stored):
            await asyncio.sleep(90)
        assert stored.kept.cursors[SCOPE].last_processed_block == chain.final_number()

    virtual(story)
    assert [event.shares for event in stored.events] == [1, 2]


def test_two_nodes_prove_what_they_agree_on_and_nothing_after_a_doubt():
    def proved(**faults: Answer) -> int | None:
        stored = Stored()

        async def story() -> None:
            chain = a_chain()
            async with reading(
                chain, Roll(since_block(20)), stored, http_urls=TWO, transport=two_nodes(chain, **faults)
            ):
                await asyncio.sleep(1)
                for at in range(3):
                    chain.mine(a_transfer(at, (11, 1)))
                    chain.mine_empty(10)
                    await asyncio.sleep(40)

        virtual(story)
        assert len(stored.events) == 3
        cursor = stored.kept.cursors[SCOPE]
        assert cursor.last_processed_block > 40
        return cursor.proved_block

    assert proved() is not None
    assert proved(two=empty_logs) is None


def test_a_node_that_is_down_costs_time_and_no_transfer():
    stored = Stored()

    async def story() -> None:
        chain = a_chain()
        async with reading(chain, Roll(since_block(20)), stored):
            await asyncio.sleep(1)
            chain.faults = lambda _method, _params: {"error": {"code": -32000, "message": "overloaded"}}
            chain.mine(a_transfer("one", (11, 1)))
            chain.mine_empty(6)
            await asyncio.sleep(600)
            assert stored.events == []
            chain.faults = lambda _method, _params: None
            await asyncio.sleep(400)

    virtual(story)
    assert stored.rows() == [(LEADER, Kind.WITHDRAWAL, "11", 1)]


def test_what_makes_no_sense_is_quarantined_and_the_rest_is_read():
    stored = read([a_transfer("odd", (11, 5)) | {"data": "0x12"}, a_transfer("fine", (11, 5))])

    assert (stored.notes, stored.rows()) == (["QUARANTINED"], [(LEADER, Kind.WITHDRAWAL, "11", 5)])


def test_nothing_is_read_without_leaders():
    stored = Stored()

    async def story() -> None:
        chain = a_chain()
        stored.kept.cursors[SCOPE] = Cursor(scope=SCOPE, last_processed_block=5, proved_block=None)
        async with reading(chain, Roll(), stored):
            await asyncio.sleep(90)
        assert chain.calls["eth_getLogs"] == 0

    virtual(story)


PLACED = {"blockNumber": "0x64", "blockHash": "0x" + "0b" * 32, "logIndex": "0x7"}
amounts = st.tuples(st.integers(1, 2**256 - 1), st.integers(1, 2**63 - 1))


@given(st.lists(amounts, min_size=1, max_size=20))
def test_any_transfer_is_decoded_as_it_was_encoded(moved):
    decoded = decode_transfer(a_transfer("any", *moved) | PLACED)

    assert decoded.moved == tuple((str(token), shares) for token, shares in moved)
    assert (decoded.operator, decoded.sender, decoded.receiver) == (LEADER, LEADER, STRANGER)
    assert (decoded.block_number, decoded.tx_hash, decoded.log_index) == (100, tx("any"), 7)


def broken(change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    log = a_transfer("many", (11, 5), (12, 7)) | PLACED
    return log | change(log)


def word(value: int) -> str:
    return f"{value:064x}"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda log: {"topics": log["topics"][:3]}, "topic-count"),
        (lambda log: {"topics": None}, "topic-count"),
        (lambda log: {"topics": ["0x00", *log["topics"][1:]]}, "unknown-contract-or-topic"),
        (lambda log: {"topics": [*log["topics"][:3], "0x" + "ff" * 32]}, "address-topic"),
        (lambda log: {"removed": True}, "removed"),
        (lambda log: {"data": None}, "data"),
        (lambda log: {"data": "0xzz"}, "not-hex"),
        (lambda log: {"data": log["data"][:-2]}, "length"),
        (lambda log: {"data": "0x"}, "length"),
        (lambda log: {"data": "0x" + word(2**200) + word(64)}, "length"),
        (lambda log: {"data": "0x" + word(64) + word(64) + word(2**200)}, "length"),
        (lambda log: {"data": "0x" + word(65) + word(64) + word(0)}, "length"),
        (lambda log: {"topics": [SINGLE, *log["topics"][1:]]}, "length"),
        (
            lambda log: {"topics": [SINGLE, *log["topics"][1:]], "data": "0x" + word(1) + word(2**63)},
            "amount-out-of-range",
        ),
        (lambda log: {"blockNumber": "100"}, "block-number"),
    ],
)
def test_a_log_that_breaks_a_rule_is_refused_with_the_reason(change, reason):
    with pytest.raises(MalformedLogError) as refused:
        decode_transfer(broken(change))
    assert refused.value.reason == reason


@given(
    st.dictionaries(st.sampled_from(["topics", "data", "blockNumber", "logIndex"]), st.text() | st.none(), min_size=1)
)
def test_garbage_never_raises_anything_else(changes):
    try:
        decode_transfer(a_transfer("any", (11, 5)) | PLACED | changes)
    except MalformedLogError:
        return
