"""What can go wrong with the world around a worker: each fault strikes, lasts, and is taken back."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from copytrade.sandbox.faults import Faults
from copytrade.sandbox.world import ReorgFate
from tests.simulation.network import Interference
from tests.simulation.stage import Stage, follow

STRIKES_MAX = 3
ON_CHANCE = 0.7
SOCKET_MS_MAX = 3_000
BLOCK_S = 1.5
PATHS = ("/rpc", "/clob", "/clob/books", "/gamma", "/data")
STATUSES = (400, 404, 408, 425, 429, 500, 502, 503, 504)
RPC_ERRORS = (
    {"code": -32005, "message": "query returned more than 10000 results"},
    {"code": -32602, "message": "block range is too large, max is 10 blocks"},
    {"code": -32000, "message": "header not found"},
    {"code": -32603, "message": "internal error"},
    {"code": -32005, "message": "daily request count exceeded, request rate limited"},
)
PAGES = (
    (200, b"<html><body>Just a moment...</body></html>"),
    (403, b"<!DOCTYPE html><title>Attention Required!</title>"),
    (502, b"<html><h1>502 Bad Gateway</h1></html>"),
    (200, b""),
    (200, b'{"data": [{"cut of'),
)


@dataclass(slots=True, kw_only=True)
class Trouble:
    """The faults of one run: who draws them, what they strike, and how often they did."""

    stage: Stage
    rng: random.Random
    kill: Callable[[], bool]
    hits: Counter[str] = field(default_factory=Counter)
    say: Callable[[str], None] = lambda text: None

    def struck(self, name: str, times: int = 1, *, what: str = "") -> None:
        """Count a strike that had an effect."""
        if times:
            self.hits[name] += times
            self.say(f"fault {name} {what}")

    async def last(self, most_s: float) -> None:
        """Let the fault last for a while."""
        await asyncio.sleep(self.rng.uniform(0.05, 1) * most_s)

    async def control(self, command: str, **body: Any) -> dict[str, Any]:
        """Ask the venue's own control."""
        answer = await self.stage.venue.request("POST", f"/control/{command}", json.dumps(body).encode())
        if answer.status != 200:
            raise RuntimeError(f"{command} {body}: {answer.body!r}")
        return json.loads(answer.body)

    @property
    def faults(self) -> Faults:
        """Return the venue's switches."""
        return self.stage.venue._venue.faults


async def drop_socket(trouble: Trouble, name: str, kind: str) -> None:
    refuse = trouble.rng.choice((0, 0, 429, 503))
    dropped = await trouble.control("drop", kind=kind, refuse=refuse)
    trouble.struck(name, dropped["dropped"], what=f"refused with {refuse}")
    await trouble.last(10)
    trouble.faults.refused_sockets.pop(kind, None)


async def freeze_socket(trouble: Trouble, name: str, kind: str) -> None:
    """Freeze for good: what a stream left out never comes later; only new sockets speak again."""
    future = trouble.rng.random() < 0.3
    frozen = await trouble.control("freeze", kind=kind, frozen=True, future=future)
    trouble.struck(name, frozen["sockets"], what=f"future={future}")
    await trouble.last(20)
    trouble.faults.frozen_future.discard(kind)


async def delay_sockets(trouble: Trouble, name: str) -> None:
    conditions = trouble.stage.conditions
    conditions.socket_ms = trouble.rng.randint(50, SOCKET_MS_MAX)
    trouble.struck(name, what=f"{conditions.socket_ms} ms")
    await trouble.last(15)
    conditions.socket_ms = 0


async def mute_logs(trouble: Trouble, name: str) -> None:
    await trouble.control("mute", logs=True)
    trouble.struck(name)
    await trouble.last(20)
    await trouble.control("mute", logs=False)


async def mute_heads(trouble: Trouble, name: str) -> None:
    await trouble.control("mute", heads=True)
    trouble.struck(name)
    await trouble.last(20)
    await trouble.control("mute", heads=False)


async def lag_node(trouble: Trouble, name: str) -> None:
    blocks = trouble.rng.randint(1, 20)
    await trouble.control("lag", blocks=blocks)
    trouble.struck(name, what=f"{blocks} blocks")
    await trouble.last(20)
    await trouble.control("lag", blocks=0)


async def lie_about_logs(trouble: Trouble, name: str) -> None:
    blocks = trouble.rng.randint(1, 20)
    await trouble.control("lag", logs=blocks)
    trouble.struck(name, what=f"[] for {blocks} blocks")
    await trouble.last(20)
    await trouble.control("lag", logs=0)


async def narrow_ranges(trouble: Trouble, name: str) -> None:
    await trouble.control("lag", range=trouble.rng.randint(1, 50))
    trouble.struck(name)
    await trouble.last(20)
    await trouble.control("lag", range=0)


async def fail_requests(trouble: Trouble, name: str) -> None:
    count = trouble.rng.randint(1, 15)
    body = {"target": trouble.rng.choice(PATHS), "status": trouble.rng.choice(STATUSES), "body": {"error": "sorry"}}
    await trouble.control("error", **body, count=count)
    rule = trouble.faults.rules[-1]
    await trouble.last(20)
    trouble.struck(name, count - rule.remaining, what=f"{body['target']} {body['status']}")
    if rule in trouble.faults.rules:
        trouble.faults.rules.remove(rule)


async def refuse_calls(trouble: Trouble, name: str) -> None:
    count = trouble.rng.randint(1, 10)
    method = trouble.rng.choice(("eth_getLogs", "eth_getBlockByNumber", "eth_getBlockReceipts"))
    error = trouble.rng.choice(RPC_ERRORS)
    await trouble.control("error", target=method, status=200, body=error, count=count)
    rule = trouble.faults.rules[-1]
    await trouble.last(20)
    trouble.struck(name, count - rule.remaining, what=f"{method} {error['message']}")
    if rule in trouble.faults.rules:
        trouble.faults.rules.remove(rule)


async def _interfere(trouble: Trouble, name: str, hit: Interference) -> None:
    interferences = trouble.stage.conditions.interferences
    count = hit.remaining
    interferences.append(hit)
    await trouble.last(15)
    trouble.struck(name, count - hit.remaining, what=f"{hit.path} {hit.status if hit.page is not None else 'lost'}")
    interferences[:] = [other for other in interferences if other is not hit]


async def answer_with_pages(trouble: Trouble, name: str) -> None:
    status, page = trouble.rng.choice(PAGES)
    path = trouble.rng.choice(PATHS)
    hit = Interference(path=path, remaining=trouble.rng.randint(1, 8), page=page, status=status)
    await _interfere(trouble, name, hit)


async def lose_requests(trouble: Trouble, name: str) -> None:
    path = trouble.rng.choice(PATHS)
    is_lost_after = trouble.rng.random() < 0.5
    hit = Interference(path=path, remaining=trouble.rng.randint(1, 10), is_lost_after=is_lost_after)
    await _interfere(trouble, name, hit)


async def delay_answers(trouble: Trouble, name: str) -> None:
    path = trouble.rng.choice((*PATHS, "/"))
    delay_ms = int(50 * 700 ** trouble.rng.random())
    await trouble.control("latency", path=path, ms=delay_ms)
    trouble.struck(name, what=f"{path} {delay_ms} ms")
    await trouble.last(15)
    trouble.faults.latency_ms.pop(path, None)


async def stall_finality(trouble: Trouble, name: str) -> None:
    await trouble.control("finality", stalled=True)
    trouble.struck(name)
    await trouble.last(30)
    await trouble.control("finality", stalled=False)


async def reorganise(trouble: Trouble, name: str) -> None:
    """Replace blocks that are not final; a deep reorg comes while finality is late, as it did in the wild."""
    depth, fate = trouble.rng.randint(1, 5), trouble.rng.choice(list(ReorgFate))
    chain = trouble.stage.world.chain
    await trouble.control("finality", stalled=True)
    await asyncio.sleep(depth * BLOCK_S)
    depth = min(depth, chain.head.number - chain.finalized_number)
    if depth > 0:
        await trouble.control("reorg", depth=depth, fate=fate, extra=trouble.rng.randint(0, 2))
        trouble.struck(f"{name}_{fate}", what=f"{depth} deep")
    await trouble.control("finality", stalled=False)


async def delay_data_api(trouble: Trouble, name: str) -> None:
    await trouble.control("lag", data_api_ms=trouble.rng.randint(5_000, 60_000))
    trouble.struck(name)
    await trouble.last(30)
    await trouble.control("lag", data_api_ms=trouble.stage.world.config.index_delay_ms)


async def slow_the_disk(trouble: Trouble, name: str) -> None:
    trouble.stage.disk.slow_ms = trouble.rng.randint(2, 1_000)
    trouble.struck(name)
    await trouble.last(10)
    trouble.stage.disk.slow_ms = 0


async def fail_the_disk(trouble: Trouble, name: str) -> None:
    trouble.stage.disk.failures += trouble.rng.randint(1, 3)
    trouble.struck(name)


async def kill_the_worker(trouble: Trouble, name: str) -> None:
    """Kill at any step of the loop, and often again while it recovers."""
    while True:
        for _ in range(trouble.rng.randrange(60)):
            await asyncio.sleep(0)
        trouble.struck(name, int(trouble.kill()))
        if trouble.rng.random() < 0.6:
            return
        await asyncio.sleep(trouble.rng.uniform(0, 3))


async def add_a_leader(trouble: Trouble, name: str) -> None:
    """Follow one more, from now on or from some time ago."""
    followed = {leader.address for leader in await trouble.stage.ledger.leaders()}
    others = [leader.address for leader in trouble.stage.world.leaders if leader.address not in followed]
    if others:
        since_ms = trouble.stage.clock.now_ms() - trouble.rng.choice((0, 5_000, 15_000))
        await follow(trouble.stage, others[0], since_ms=since_ms)
        trouble.struck(name)


async def resolve_a_market(trouble: Trouble, name: str) -> None:
    """Resolve a market we hold something of, told by the socket or not, in one of the ways markets end."""
    held = [one.token_id for one in await trouble.stage.ledger.positions() if one.shares]
    by_token = trouble.stage.world.exchange.catalogue.by_token_text
    open_ones = [token for token in held if (market := by_token(token)) is not None and not market.closed]
    if open_ones:
        payouts = trouble.rng.choice((["1", "0"], ["0", "1"], ["0.5", "0.5"], ["0.25", "0.75"]))
        announced = trouble.rng.random() < 0.5
        await trouble.control("resolve", token=trouble.rng.choice(open_ones), payouts=payouts, announced=announced)
        trouble.struck(name, what=f"{payouts} announced={announced}")


Strike = Callable[[Trouble, str], Awaitable[None]]
FAULTS: dict[str, Strike] = {
    "market_drop": lambda trouble, name: drop_socket(trouble, name, "market"),
    "market_freeze": lambda trouble, name: freeze_socket(trouble, name, "market"),
    "chain_drop": lambda trouble, name: drop_socket(trouble, name, "chain"),
    "chain_freeze": lambda trouble, name: freeze_socket(trouble, name, "chain"),
    "socket_latency": delay_sockets,
    "muted_logs": mute_logs,
    "muted_heads": mute_heads,
    "rpc_lag": lag_node,
    "rpc_empty_lie": lie_about_logs,
    "rpc_narrow_range": narrow_ranges,
    "rpc_error": refuse_calls,
    "http_error": fail_requests,
    "html_body": answer_with_pages,
    "lost_request": lose_requests,
    "http_latency": delay_answers,
    "finality_stall": stall_finality,
    "reorg": reorganise,
    "data_api_delay": delay_data_api,
    "slow_disk": slow_the_disk,
    "failed_disk": fail_the_disk,
    "death": kill_the_worker,
    "new_leader": add_a_leader,
    "resolution": resolve_a_market,
}
COUNTED = tuple(
    counted for name in FAULTS for counted in ([f"reorg_{fate}" for fate in ReorgFate] if name == "reorg" else [name])
)
"""What a run over many seeds must have been hit by."""


async def strike(trouble: Trouble, *, within_s: float) -> None:
    """Let the drawn faults happen, each class off in some seeds; return when all are over."""
    async with asyncio.TaskGroup() as strikes:
        for name, fault in FAULTS.items():
            if trouble.rng.random() >= ON_CHANCE:
                continue
            for _ in range(trouble.rng.randint(1, STRIKES_MAX)):
                at_s = trouble.rng.uniform(0.5, within_s)
                strikes.create_task(_strike_at(trouble, name, fault, at_s), name=f"fault-{name}")


async def _strike_at(trouble: Trouble, name: str, fault: Strike, at_s: float) -> None:
    await asyncio.sleep(at_s)
    await fault(trouble, name)


async def heal(trouble: Trouble) -> None:
    """Switch everything off; a socket that froze stays frozen until the worker gives it up."""
    healthy = Faults()
    for name in Faults.__slots__:
        setattr(trouble.faults, name, getattr(healthy, name))
    stage = trouble.stage
    await trouble.control("finality", stalled=False)
    await trouble.control("lag", data_api_ms=stage.world.config.index_delay_ms)
    stage.conditions.interferences.clear()
    stage.conditions.socket_ms = 0
    stage.disk.slow_ms = stage.disk.failures = 0
