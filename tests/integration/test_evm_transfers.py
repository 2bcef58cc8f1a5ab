"""Transfers of shares on a real node, read as they were encoded by another library than ours."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from copytrade.adapters.polygon import transfers
from copytrade.adapters.polygon.transfers import CONDITIONAL_TOKENS, POSITION_MANAGER, SCOPE, PolygonTransfers
from copytrade.adapters.system import SystemClock
from copytrade.domain.leader_events import LeaderEvent, LeaderEventKind
from tests.evm.anvil import FINAL_BEHIND
from tests.evm.chain import EvmChain, Transaction, a_chain
from tests.evm.following import followed, memory_book
from tests.evm.orders import LIVE
from tests.unit.polygon.test_transfers import a_transfer
from tests.unit.polygon.watching import Roll

pytestmark = pytest.mark.processes

ANN = followed(1)
STRANGER = "0x" + "b2" * 20


def sent(chain: EvmChain, *moved: tuple[int, int], at: str = CONDITIONAL_TOKENS, **parties: str) -> Transaction:
    log = a_transfer("", *moved, **({"sender": ANN.address, "receiver": STRANGER} | parties))
    return chain.emission(at, log["topics"], bytes.fromhex(log["data"][2:]))


async def test_what_a_leader_sends_and_gets_on_a_real_chain_is_found_once(monkeypatch):
    monkeypatch.setattr(transfers, "READ_EVERY_MS", 20)
    ledger, found = memory_book().ledger, list[LeaderEvent]()
    await ledger.add_leader(ANN)
    async with a_chain() as chain:
        for contract in (CONDITIONAL_TOKENS, POSITION_MANAGER):
            await chain.place_emitter(contract)
        source = PolygonTransfers(
            http_urls=(chain.http_url,),
            exchanges=LIVE,
            clock=SystemClock(),
            roll=Roll(ANN),
            cursors=ledger,
            note=lambda code, _detail: pytest.fail(code),
        )

        async def read() -> None:
            async with aclosing(source.moves()) as moves:
                async for moved in moves:
                    found.extend(await ledger.keep_leader_events(moved.events, now_ms=0, cursor=moved.cursor))

        reading = asyncio.create_task(read())
        await asyncio.sleep(0.1)
        await chain.mine(sent(chain, (11, 5)), sent(chain, (12, 7), sender=STRANGER, receiver=ANN.address))
        await chain.mine(sent(chain, (13, 1), (14, 2), at=POSITION_MANAGER), sent(chain, (11, 9), operator=LIVE[0]))
        last = await chain.head()
        await chain.mine_empty(FINAL_BEHIND + 1)
        async with asyncio.timeout(10):
            while (cursor := await ledger.cursor(SCOPE)) is None or cursor.last_processed_block < last:
                await asyncio.sleep(0.01)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    out, into = LeaderEventKind.WITHDRAWAL, LeaderEventKind.DEPOSIT
    assert sorted((event.kind, event.token_id, event.shares) for event in found) == sorted(
        [(out, "11", 5), (into, "12", 7), (out, "13", 1), (out, "14", 2)]
    )
