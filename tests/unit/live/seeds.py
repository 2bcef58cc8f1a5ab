"""Seeded stories of a live account: orders, faults and deaths of the process, then the venue's own record is asked."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from copytrade.domain.attempts import OPEN_STATUSES, ExecutionAttempt, Settlement
from copytrade.domain.fills import Side
from copytrade.domain.orders import OrderType
from copytrade.domain.units import MICRO
from copytrade.domain.venue_orders import SignatureType
from copytrade.ports.ledger import Ledger
from tests.makers import NOW_MS, YES, micro
from tests.unit.live.life import TTL_MS, Floor, Life, on_floor, quiet
from tests.virtual_time import run_virtual

ORDERS = 8
DAY_USDC = 60
ORDER_USDC = 15
QUIET_S = 700
"""How long after the last fault: longer than any doubt may last."""
PAGE = "<html>bad gateway</html>"
RESTARTING = {"error": "matching engine is restarting", "retry_after_seconds": 20}
FAULTS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "lost_answer": [
        ("trouble", {"kind": "lost_response", "ms": 200}),
        ("trouble", {"kind": "status", "status": 502, "body": PAGE, "applied": True}),
        ("trouble", {"kind": "status", "status": 425, "body": RESTARTING, "applied": True}),
    ],
    "timeout": [("trouble", {"kind": "late_response", "ms": 15_000})],
    "lost_request": [
        ("trouble", {"kind": "lost_request", "ms": 50}),
        ("trouble", {"kind": "status", "status": 500}),
    ],
    "duplicate": [("trouble", {"kind": "duplicate"})],
    "delayed": [
        ("delay", {"ms": 3_000, "word": "delayed"}),
        ("delay", {"ms": 2_000, "word": "unmatched"}),
        ("delay", {"ms": 2_000, "word": "pondering"}),
    ],
    "window": [
        ("engine", {"mode": "restarting", "for_ms": 6_000, "post_only_ms": 6_000}),
        ("engine", {"mode": "cancel_only", "for_ms": 3_000}),
    ],
    "settlement": [
        ("settlement", {"next": ["fail"], "retry_ms": 300, "retries": 1}),
        ("settlement", {"next": ["retry"], "retry_ms": 300}),
    ],
    "stream": [("freeze", {"kind": "user"}), ("drop", {"kind": "user"}), ("answers", {"pushes": 3})],
    "key": [("credentials", {"revoke": True})],
    "reads": [
        ("trouble", {"kind": "lost_request", "target": "GET /data", "count": 3, "ms": 100}),
        ("trouble", {"kind": "lost_response", "target": "DELETE /order", "ms": 100}),
        ("answers", {"forgets_closed": True}),
    ],
    "death": [],
}


@dataclass(kw_only=True)
class Outcome:
    """What a story left behind, and what is wrong with it."""

    attempts: list[ExecutionAttempt] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    struck: Counter[str] = field(default_factory=Counter)
    """How often each class of faults was brought about."""


def play(seed: int, *, only: str | None = None) -> Outcome:
    """Play one seed; `only` names the one class of faults it has."""
    outcome: Outcome = run_virtual(
        lambda: on_floor(lambda floor: _story(floor, random.Random(seed), only), seed=seed), epoch_ms=NOW_MS, seed=seed
    )
    return outcome


async def _story(floor: Floor, draw: random.Random, only: str | None) -> Outcome:
    kinds = [only] if only else [kind for kind in FAULTS if draw.random() < 0.7]
    settings: dict[str, Any] = {
        "way_ms": draw.choice([0, 5, 40]),
        "kind": draw.choice(list(SignatureType)),
        "order_type": draw.choice([OrderType.GTC, OrderType.GTC, OrderType.FAK]),
        "per_order": str(ORDER_USDC),
        "per_day": str(DAY_USDC),
    }
    life = Life(floor, **settings)
    await life.fund()
    await life.start()
    await asyncio.sleep(2)
    outcome = Outcome()
    for number in range(ORDERS):
        await _show(floor, draw)
        for kind in kinds:
            if FAULTS[kind] and draw.random() < 0.2:
                command, body = draw.choice(FAULTS[kind])
                await floor.control(command, **body)
                outcome.struck[kind] += 1
        attempt = await _decide(life, draw, number)
        outcome.attempts.append(attempt)
        sending = asyncio.create_task(life.send(attempt))
        if "death" in kinds and draw.random() < 0.4:
            await asyncio.sleep(draw.choice([0, 0.001, 0.006, 0.02, 0.05, 0.1, 1.0]))
            life = await _die(life, sending, floor, settings)
            outcome.struck["death"] += 1
        await asyncio.wait({sending}, timeout=draw.choice([1, 3, 20]))
        if not sending.done():
            await sending
        elif not sending.cancelled():
            sending.result()
    await floor.control("heal")
    await quiet(QUIET_S)
    await life.stop()
    await _judge(floor, life, outcome)
    return outcome


async def _show(floor: Floor, draw: random.Random) -> None:
    size = draw.choice([5, 15, 40])
    await floor.show(bids=f"0.49:{size}", asks=f"0.50:{size}")


async def _decide(life: Life, draw: random.Random, number: int) -> ExecutionAttempt:
    held = life.portfolio.sellable(YES)
    if held >= micro("5") and draw.random() < 0.4:
        size = min(held, micro("20")) // 10_000 * 10_000
        return await life.decide(f"sell {number}", side=Side.SELL, size_shares_target=size, limit_price=micro("0.49"))
    size = micro(draw.choice(["5", "12.34", "20", "33.33"]))
    return await life.decide(f"buy {number}", size_shares_target=size, limit_price=micro(draw.choice(["0.5", "0.45"])))


async def _die(life: Life, sending: asyncio.Task[None], floor: Floor, settings: dict[str, Any]) -> Life:
    sending.cancel()
    await life.kill()
    await asyncio.wait({sending})
    ledger: Ledger = life.ledger
    again = Life(floor, ledger=ledger, **settings)
    await again.start()
    await asyncio.sleep(3)
    return again


async def _judge(floor: Floor, life: Life, outcome: Outcome) -> None:
    """Hold the ledger to what the venue remembers."""
    posts = await floor.read("posts")
    stored = {one.id: await life.now(one.id) for one in outcome.attempts}
    outcome.complaints += [
        *_about_posts(posts, list(stored.values())),
        *_about_fills(await floor.read("trades"), life),
        *(complaint for attempt in stored.values() for complaint in _about_attempt(attempt, life)),
        *await _about_account(floor, life),
    ]
    if "ACCOUNT_DIFFERS" in life.noted():
        outcome.complaints.append("the comparison stopped it")
    outcome.seen = {"posts": len(posts), "fills": len(life.ledger.executions)}


def _about_posts(posts: list[dict[str, Any]], attempts: list[ExecutionAttempt]) -> Iterator[str]:
    by_hash = {one.order_hash: one for one in attempts if one.order_hash is not None}
    for post in posts:
        attempt = by_hash.get(post["order_id"])
        if attempt is None:
            yield f"a second hash: {post['order_id']} is of no attempt"
        elif post["at_ms"] > attempt.decided_at_ms + TTL_MS + 1_000:
            yield f"posted {post['at_ms'] - attempt.decided_at_ms} ms after its decision"
    sent = {post["order_id"] for post in posts}
    bought = [one for one in attempts if one.side is Side.BUY and one.order_hash in sent]
    spent = [one.size_shares_target * one.limit_price // MICRO for one in bought]
    if sum(spent) > DAY_USDC * MICRO:
        yield f"a limit exceeded: {sum(spent)} in a day"
    yield from (f"a limit exceeded: {one} in an order" for one in spent if one > ORDER_USDC * MICRO)


def _about_fills(trades: list[dict[str, Any]], life: Life) -> Iterator[str]:
    fills = {fill.venue_trade_id: fill for fill in life.ledger.executions}
    for trade in trades:
        for part in (part for part in trade["fills"] if part["wallet"] == life.wallet):
            fill = fills.pop(f"{trade['trade_id']}:{part['order_id']}", None)
            if fill is None or fill.shares != part["shares"]:
                yield f"untracked fill: {part}"
            elif trade["status"] in {"CONFIRMED", "FAILED"} and fill.settlement.value != trade["status"].lower():
                yield f"settlement: {trade['status']} is {fill.settlement}"
    yield from (f"a fill the venue does not have: {trade_id}" for trade_id in fills)


def _about_attempt(attempt: ExecutionAttempt, life: Life) -> Iterator[str]:
    if attempt.status in OPEN_STATUSES:
        yield f"open after {QUIET_S} s: {attempt.status} {attempt.order_hash}"
    own = [fill for fill in life.ledger.executions if fill.attempt_id == attempt.id]
    filled = sum(fill.shares for fill in own if fill.settlement is not Settlement.FAILED)
    if filled != attempt.filled_shares:
        yield f"filled shares {attempt.filled_shares}, executions {filled}"


async def _about_account(floor: Floor, life: Life) -> list[str]:
    (account,) = (one for one in await floor.read("accounts") if one["wallet"] == life.wallet)
    held = {one.token_id: one.shares for one in await life.ledger.positions() if one.shares}
    complaints = []
    if held != {token: shares for token, shares in account["shares"].items() if shares}:
        complaints.append(f"holds {account['shares']}, ledger {held}")
    if any(order["is_open"] for order in await floor.read("orders")):
        complaints.append("an order is open at the venue")
    return complaints
