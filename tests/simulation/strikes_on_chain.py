"""What happens to the chain and to the nodes that tell of it."""

from __future__ import annotations

import asyncio

from copytrade.sandbox.faults import ErrorRule, Faults
from copytrade.sandbox.world import ReorgFate
from tests.simulation.faults import Blow
from tests.simulation.lies import KINDS, Lie
from tests.simulation.network import FIRST_NODE, SECOND_NODE
from tests.simulation.stage import Stage

BLOCK_S = 1.5
METHODS = ("eth_getLogs", "eth_getBlockByNumber", "eth_getBlockReceipts", "eth_chainId")
RPC_ERRORS = (
    (-32005, "query returned more than 10000 results"),
    (-32602, "block range is too large, max is 10 blocks"),
    (-32602, "query exceeds max block range 100"),
    (-32600, "You can make eth_getLogs requests with up to a 10 block range."),
    (-32600, "eth_getLogs is limited to a 2000 range"),
    (-32614, "eth_getLogs is limited to a 10,000 range"),
    (-32701, "exceed maximum block range: 50"),
    (-32000, "header not found"),
    (-32000, "unknown block"),
    (-32000, "missing trie node"),
    (-32000, "execution timeout"),
    (-32000, "history has been pruned for this block"),
    (-32002, "request timed out"),
    (-32005, "daily request count exceeded, request rate limited"),
    (-32005, "limit exceeded"),
    (-32007, "100/second request limit reached - reduce calls per second"),
    (-32016, "over rate limit"),
    (-32029, "Too Many Requests"),
    (-32046, "Cannot fulfill request"),
    (-32601, "the method eth_getBlockReceipts does not exist/is not available"),
    (-32603, "internal error"),
    (-32603, "service temporarily unavailable"),
    (-32097, "failed to get logs for extensive block range"),
    (-33400, "response is too big"),
    (429, "Your app has exceeded its compute units per second capacity."),
    (35, "ranges over 10000 blocks are not supported on freetier"),
)


def liar_of(stage: Stage) -> str:
    """Return the path of the one node that may leave out, in a run, what there is."""
    return SECOND_NODE if stage.circumstances.has_second_node and stage.seed % 2 else FIRST_NODE


def _node(blow: Blow, is_second: bool) -> Faults:
    return blow.stage.second_node.faults if is_second else blow.faults


async def mute_logs(blow: Blow) -> None:
    await blow.control("mute", logs=True)
    blow.struck()
    await blow.last(20)
    await blow.control("mute", logs=False)


async def mute_heads(blow: Blow) -> None:
    await blow.control("mute", heads=True)
    blow.struck()
    await blow.last(20)
    await blow.control("mute", heads=False)


async def lag_node(blow: Blow, *, is_second: bool = False) -> None:
    node = _node(blow, is_second)
    node.rpc_lag_blocks = blow.rng.randint(1, 20)
    blow.struck(what=f"{node.rpc_lag_blocks} blocks")
    await blow.last(20)
    node.rpc_lag_blocks = 0


async def lie_about_logs(blow: Blow, *, is_second: bool = False) -> None:
    node = _node(blow, is_second)
    node.logs_blind_blocks = blow.rng.randint(1, 20)
    blow.struck(what=f"[] for {node.logs_blind_blocks} blocks")
    await blow.last(20)
    node.logs_blind_blocks = 0


async def narrow_ranges(blow: Blow, *, is_second: bool = False) -> None:
    node = _node(blow, is_second)
    node.logs_range_max = blow.rng.randint(1, 50)
    blow.struck()
    await blow.last(20)
    node.logs_range_max = 0


async def refuse_calls(blow: Blow, *, is_second: bool = False) -> None:
    node = _node(blow, is_second)
    count = blow.rng.randint(1, 10)
    code, message = blow.rng.choice(RPC_ERRORS)
    method = blow.rng.choice(METHODS)
    rule = ErrorRule(target=method, status=200, body={"code": code, "message": message}, remaining=count)
    node.rules.append(rule)
    await blow.last(20)
    blow.struck(count - rule.remaining, what=f"{method} {message}")
    if rule in node.rules:
        node.rules.remove(rule)


async def lie_in_answers(blow: Blow) -> None:
    """Let one of the nodes, always the same one in a run, do something to a part of its answers."""
    path = liar_of(blow.stage)
    lie = Lie(kind=blow.rng.choice(KINDS), chance=blow.rng.uniform(0.1, 1))
    blow.stage.conditions.lies[path] = lie
    await blow.last(15)
    if blow.stage.conditions.lies.get(path) is lie:
        del blow.stage.conditions.lies[path]
    blow.struck(lie.told, what=path, kind=lie.kind.replace(" ", "_"))


async def stall_finality(blow: Blow) -> None:
    await blow.control("finality", stalled=True)
    blow.struck()
    await blow.last(30)
    await blow.control("finality", stalled=False)


async def reorganise(blow: Blow) -> None:
    """Replace blocks that are not final; a deep reorg comes while finality is late, as it did in the wild."""
    fate = blow.rng.choice(list(ReorgFate))
    depth = blow.rng.randint(6, 20) if blow.rng.random() < 0.1 else blow.rng.randint(1, 5)
    chain = blow.stage.world.chain
    await blow.control("finality", stalled=True)
    await asyncio.sleep(depth * BLOCK_S)
    depth = min(depth, chain.head.number - chain.finalized_number)
    if depth > 0:
        await blow.control("reorg", depth=depth, fate=fate, extra=blow.rng.randint(0, 2))
        blow.struck(what=f"{depth} deep", kind=fate)
    await blow.control("finality", stalled=False)
