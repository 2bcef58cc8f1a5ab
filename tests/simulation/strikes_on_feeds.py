"""What happens to sockets, and to the venue's own APIs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager

from copytrade.sandbox.faults import ErrorRule
from tests.simulation.faults import Blow
from tests.simulation.network import Interference
from tests.simulation.sockets import Disorder, Loss

SOCKET_MS_MAX = 3_000
DARK_S_MAX = 40
BACK_MS_MIN, BACK_MS_MAX = 2_000, 60_000
MARKET_PATH, CHAIN_PATH, STREAM_PATH = "/ws/market", "/rpc", "/ws/rtds"
PATHS = ("/rpc", "/rpc2", "/clob", "/clob/books", "/gamma", "/data")
STATUSES = (400, 404, 408, 425, 429, 500, 502, 503, 504)
PAGES = (
    (200, b"<html><body>Just a moment...</body></html>"),
    (403, b"<!DOCTYPE html><title>Attention Required!</title>"),
    (502, b"<html><h1>502 Bad Gateway</h1></html>"),
    (200, b""),
    (200, b'{"data": [{"cut of'),
)
LATE_S_MAX = 2_700
"""Rows of the Data API were seen to come up to three quarters of an hour late."""
TICKS = ("0.001", "0.0025", "0.005", "0.01")


async def drop_socket(blow: Blow, kind: str) -> None:
    refuse = blow.rng.choice((0, 0, 429, 503))
    dropped = await blow.control("drop", kind=kind, refuse=refuse)
    blow.struck(dropped["dropped"], what=f"refused with {refuse}")
    await blow.last(10)
    blow.faults.refused_sockets.pop(kind, None)


async def freeze_socket(blow: Blow, kind: str) -> None:
    """Freeze for good: what a stream left out never comes later; only new sockets speak again."""
    future = blow.rng.random() < 0.3
    frozen = await blow.control("freeze", kind=kind, frozen=True, future=future)
    blow.struck(frozen["sockets"], what=f"future={future}")
    await blow.last(20)
    blow.faults.frozen_future.discard(kind)


async def blind_to_books(blow: Blow) -> None:
    """Let the books' sockets say nothing, old and new, and their routes fail, and set the clock back meanwhile."""
    await blow.control("freeze", kind="market", frozen=True, future=True)
    with _without_book_routes(blow):
        blow.struck()
        await asyncio.sleep(blow.rng.uniform(1, 6))
        back_ms = int(BACK_MS_MIN * (BACK_MS_MAX / BACK_MS_MIN) ** blow.rng.random())
        blow.stage.clock.set_off(-back_ms)
        await blow.last(25)
    blow.stage.clock.set_off(0)
    blow.faults.frozen_future.discard("market")


async def tell_no_books(blow: Blow) -> None:
    """Let the books' sockets answer pings and say nothing else, old and new, and their routes fail."""
    await blow.control("freeze", kind="market", frozen=True, future=True)
    with _without_book_routes(blow):
        blow.struck()
        await blow.last(DARK_S_MAX)
    blow.faults.frozen_future.discard("market")


async def show_no_books(blow: Blow) -> None:
    """Drop the books' sockets and send only changes on new ones; often nobody can be asked for a book either."""
    shown_not = Disorder(is_unshown=True)
    blow.stage.conditions.disorder[MARKET_PATH] = shown_not
    await blow.control("drop", kind="market", refuse=0)
    if blow.rng.random() < 0.5:
        with _without_book_routes(blow):
            await blow.last(20)
    else:
        await blow.last(20)
    if blow.stage.conditions.disorder.get(MARKET_PATH) is shown_not:
        del blow.stage.conditions.disorder[MARKET_PATH]
    blow.struck(shown_not.struck["unshown"])


@contextmanager
def _without_book_routes(blow: Blow) -> Iterator[None]:
    rule = ErrorRule(target="/clob", status=503, body={"error": "out of order"}, remaining=1 << 31)
    blow.faults.rules.append(rule)
    try:
        yield
    finally:
        if rule in blow.faults.rules:
            blow.faults.rules.remove(rule)


async def delay_sockets(blow: Blow) -> None:
    conditions = blow.stage.conditions
    conditions.socket_ms = blow.rng.randint(50, SOCKET_MS_MAX)
    blow.struck(what=f"{conditions.socket_ms} ms")
    await blow.last(15)
    conditions.socket_ms = 0


async def disturb_frames(blow: Blow, path: str, *, kinds: tuple[str, ...]) -> None:
    """Lose, repeat or swap a part of a feed's frames."""
    rates = {kind: 0.2 * blow.rng.random() ** 2 for kind in kinds if blow.rng.random() < 0.7}
    disorder = Disorder(**rates)
    blow.stage.conditions.disorder[path] = disorder
    await blow.last(15)
    if blow.stage.conditions.disorder.get(path) is disorder:
        del blow.stage.conditions.disorder[path]
    for kind, times in sorted(disorder.struck.items()):
        blow.struck(times, kind=kind)


async def send_junk(blow: Blow, kind: str) -> None:
    """Say things on a socket that make no sense."""
    sessions = blow.stage.venue._venue._sessions.of_kind(kind)
    junk = blow.rng.choice(JUNK)
    for session in sessions:
        session.outlet.send(junk)
    if kind == "market" and blow.stage.circumstances.bookstore_mode == "ws":
        blow.stage.conditions.losses.append(Loss(at_ms=blow.stage.clock.true_ms(), text=None))
    blow.struck(len(sessions), what=junk[:60])


JUNK = (
    "",
    "[]",
    "{}",
    "[[]]",
    "null",
    "not JSON",
    '{"cut off": ',
    '{"event_type": "never_heard_of", "asset_id": "1"}',
    '[{"event_type": "book"}, 7, "PONG", {"event_type": "price_change", "price_changes": null}]',
    '{"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": "0x1", "result": {}}}',
    '{"topic": "activity", "type": "trades", "payload": {"asset": 7}}',
    json.dumps({"event_type": "book", "asset_id": "1", "bids": [["0.5"] * 9_000]}),
    '{"a":' * 2_000,
)


async def fail_requests(blow: Blow) -> None:
    count = blow.rng.randint(1, 15)
    body = {"target": blow.rng.choice(PATHS), "status": blow.rng.choice(STATUSES), "body": {"error": "sorry"}}
    switches = blow.stage.second_node.faults if body["target"] == "/rpc2" else blow.faults
    await blow.control("error", **body, count=count)
    rule = blow.faults.rules.pop()
    switches.rules.append(rule)
    await blow.last(20)
    blow.struck(count - rule.remaining, what=f"{body['target']} {body['status']}")
    if rule in switches.rules:
        switches.rules.remove(rule)


async def _interfere(blow: Blow, hit: Interference) -> None:
    interferences = blow.stage.conditions.interferences
    count = hit.remaining
    interferences.append(hit)
    await blow.last(15)
    blow.struck(count - hit.remaining, what=f"{hit.path} {hit.status if hit.page is not None else 'lost'}")
    interferences[:] = [other for other in interferences if other is not hit]


async def answer_with_pages(blow: Blow) -> None:
    status, page = blow.rng.choice(PAGES)
    path = blow.rng.choice(PATHS)
    await _interfere(blow, Interference(path=path, remaining=blow.rng.randint(1, 8), page=page, status=status))


async def lose_requests(blow: Blow) -> None:
    path = blow.rng.choice(PATHS)
    is_lost_after = blow.rng.random() < 0.5
    await _interfere(blow, Interference(path=path, remaining=blow.rng.randint(1, 10), is_lost_after=is_lost_after))


async def delay_answers(blow: Blow) -> None:
    path = blow.rng.choice((*PATHS, "/"))
    switches = blow.stage.second_node.faults if path == "/rpc2" else blow.faults
    delay_ms = int(50 * 700 ** blow.rng.random())
    switches.latency_ms[path] = delay_ms
    blow.struck(what=f"{path} {delay_ms} ms")
    await blow.last(15)
    switches.latency_ms.pop(path, None)


async def delay_data_api(blow: Blow) -> None:
    delay_ms = int(5_000 * (LATE_S_MAX / 5) ** blow.rng.random())
    await blow.control("lag", data_api_ms=delay_ms)
    blow.struck(what=f"{delay_ms} ms")
    await blow.last(30)
    await blow.control("lag", data_api_ms=blow.stage.world.config.index_delay_ms)


async def lose_rows(blow: Blow) -> None:
    conditions = blow.stage.conditions
    before, conditions.lost_rows = conditions.rows_lost, 0.05 + 0.3 * blow.rng.random()
    await blow.last(20)
    conditions.lost_rows = 0.0
    blow.struck(conditions.rows_lost - before)


async def delay_stream(blow: Blow) -> None:
    await blow.control("lag", rtds_ms=blow.rng.randint(2_000, 60_000))
    blow.struck()
    await blow.last(20)
    await blow.control("lag", rtds_ms=1_000)


async def change_tick(blow: Blow) -> None:
    """Make the grid of a market finer or coarser, whatever is open there."""
    quoted = [market for market in blow.stage.world.exchange.catalogue.all() if market.has_book]
    market, tick = blow.rng.choice(quoted), blow.rng.choice(TICKS)
    await blow.control("tick", token=str(market.tokens[0]), tick=tick)
    blow.struck(what=f"{market.slug} {tick}")
