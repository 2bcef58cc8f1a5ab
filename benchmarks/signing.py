"""A live order on its way out: signing against the official client in the same run, and attempt to first byte.

Run `python -m benchmarks.signing [ORDERS]`. The second part sends to the sandbox, a process of its own, through a relay
on loopback that stamps the first byte of each order: from the approved attempt, with the commit that goes before it
(SQLite, synchronous=FULL), and without. The sandbox refuses each, as one of a market that it does not know.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from eth_account import Account as OfficialAccount
from polymarket._internal.actions.orders.typed_data import build_order_signature, build_order_typed_data
from polymarket._internal.actions.orders.types import UnsignedOrder

from benchmarks.first_byte import EXCHANGES, KEY, to_first_byte
from benchmarks.measuring import Figure, percentile, show
from copytrade.adapters.live.signer import LocalSigner
from copytrade.adapters.live.typed_data import checksummed, order_hash
from copytrade.adapters.memory import MemoryLedger
from copytrade.adapters.sql import schema
from copytrade.domain.orders import OrderType
from copytrade.domain.venue_orders import Account, SignatureType, VenueOrder, venue_order
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import an_attempt
from tests.ledgers import sql_ledger
from tests.makers import a_market, recorded
from tests.processes import a_world

ORDERS = 300
ROUNDS = 3
KINDS = (SignatureType.EOA, SignatureType.WALLET)


def an_order(signer: LocalSigner, kind: SignatureType) -> VenueOrder:
    """Return an order of a kind of wallet."""
    account = Account(wallet=signer.address, owner=signer.address, signature_type=kind)
    attempt = an_attempt(recorded())
    return venue_order(attempt, a_market(), order_type=OrderType.GTC, account=account, exchanges=EXCHANGES)


def best_us(run: Callable[[], object], times: int) -> float:
    """Return microseconds a call, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(times):
            run()
        best = min(best, time.perf_counter() - started)
    return best / times * 1_000_000


def signing(orders: int) -> list[Figure]:
    """Measure hash and signature of an order, ours and the official client's with the same native curve."""
    signer, official = LocalSigner(bytes.fromhex(KEY[2:])), OfficialAccount.from_key(KEY)
    figures = []
    for kind in KINDS:
        order = an_order(signer, kind)
        facts = {
            "maker_amount": order.maker_amount,
            "taker_amount": order.taker_amount,
            "salt": order.salt,
            "token_id": order.token_id,
            "timestamp": order.timestamp_ms,
        }
        unsigned = UnsignedOrder(
            chain_id=137,
            builder=order.builder,
            exchange_address=checksummed(order.exchange),
            expiration=0,
            maker=checksummed(order.maker),
            metadata=order.metadata,
            order_type="GTC",
            side="BUY",
            signature_type=int(kind),
            signer=checksummed(order.signer),
            protocol_version=order.protocol,
            **facts,
        )

        def theirs(unsigned: UnsignedOrder = unsigned) -> str:
            signature = official.sign_typed_data(full_message=build_order_typed_data(unsigned)).signature
            return build_order_signature(unsigned, "0x" + signature.hex())

        def ours(order: VenueOrder = order) -> tuple[str, bytes]:
            return order_hash(order), _run(signer.sign_order(order))

        if ours()[1].hex() != theirs()[2:]:
            raise SystemExit("the two signatures differ")
        mine, peer = best_us(ours, orders), best_us(theirs, orders)
        name = f"hash and signature, {kind.name} (official client: signature alone)"
        figures.append(Figure(what=name, ours=f"{mine:.0f} us", peer=f"{peer:.0f} us", ratio=mine / peer, bar=0.5))
    return figures


def _run(coroutine: Any) -> Any:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("it waits")


async def on_the_way(venue_url: str, orders: int) -> None:
    """Print how long it takes with a ledger in memory and with one that commits."""
    await _tell("without a commit", venue_url, MemoryLedger(), orders)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder)}/ledger.db"
        schema.upgrade(url)
        async with sql_ledger(url) as ledger:
            await _tell("with the commit before it (SQLite, synchronous=FULL)", venue_url, ledger, orders)


async def _tell(what: str, venue_url: str, ledger: Ledger, orders: int) -> None:
    took = await to_first_byte(venue_url, ledger, orders)
    p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
    print(f"attempt to first byte at the sandbox, {what}: p50 {p50:.2f} ms, p99 {p99:.2f} ms of {orders}")


def main() -> None:
    """Measure and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    orders = int(sys.argv[1]) if len(sys.argv) > 1 else ORDERS
    show(signing(orders))
    with a_world("--manual") as world:
        asyncio.run(on_the_way(world.urls["CLOB_HTTP_URL"], orders))


if __name__ == "__main__":
    main()
