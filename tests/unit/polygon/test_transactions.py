"""What became of a transaction, by the word of every node."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from copytrade.adapters.polygon.transactions import PolygonTransactions
from copytrade.ports.witnesses import WitnessUnavailableError

MINED = {"blockNumber": "0x10", "status": "0x1"}
FINAL = {
    "number": "0x20",
    "hash": "0x" + "aa" * 32,
    "parentHash": "0x" + "bb" * 32,
    "timestamp": "0x1",
    "logsBloom": "0x" + "00" * 256,
}
DOWN = httpx.ConnectError("down")


def asked(*receipts: Any, final: Any = FINAL) -> int | None:
    """Return the block, where the n-th node gives the n-th receipt or fails."""

    def respond(request: httpx.Request) -> httpx.Response:
        method = json.loads(request.content)["method"]
        answer = final if method == "eth_getBlockByNumber" else receipts[int(request.url.host.split(".")[0])]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": answer})

    async def ask() -> int | None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http:
            urls = tuple(f"https://{at}.test" for at in range(len(receipts)))
            return await PolygonTransactions(urls, http=http).block_of("0x01")

    return asyncio.run(ask())


def test_one_node_that_knows_it_is_enough():
    assert asked(None, MINED) == asked(MINED) == 16


def test_it_is_gone_only_if_every_node_says_so():
    assert asked(None, None) is None
    with pytest.raises(WitnessUnavailableError, match=r"0\.test"):
        asked(DOWN, None)


def test_one_that_failed_counts_as_gone():
    assert asked(MINED | {"status": "0x0"}) is None


@pytest.mark.parametrize(
    ("receipt", "final"), [(MINED, FINAL | {"number": "0xf"}), (MINED, None), ("odd", FINAL), ({}, FINAL)]
)
def test_what_is_not_final_or_makes_no_sense_says_nothing(receipt, final):
    with pytest.raises(WitnessUnavailableError):
        asked(receipt, final=final)
