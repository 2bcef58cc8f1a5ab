"""What must hold of a ledger's rows at any time, beyond what the program's own audit judges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from copytrade.domain.attempts import Decision, Reason
from copytrade.domain.fills import Side
from copytrade.domain.units import LOT, MICRO
from copytrade.settings import Settings
from tests.copying import waiting_by_reasons
from tests.simulation.storage import Kept

Breaches = Iterator[str]

TTL_SLACK_MS = 5_000
CHANGES_OF_SIZE = ("CUT_BY", "RELEASED")


def rows_hold(kept: Kept, settings: Settings) -> Breaches:
    """Yield what is wrong with the rows as they are now."""
    yield from _attempts(kept, settings.fill_max_age_ms)
    yield from _copies(kept, settings.copy_ratio)
    yield from _executions(kept)


def _attempts(kept: Kept, fill_age_max_ms: int) -> Breaches:
    for attempt in kept.attempts.values():
        if not attempt.reasons:
            yield f"attempt {attempt.id} has no reason"
        is_skip = attempt.decision is Decision.SKIP
        if attempt.order_hash is None and attempt.filled_shares:
            yield f"attempt {attempt.id} was filled and never sent"
        stored = kept.fills.get(attempt.leader_fill_id)
        if stored is None:
            yield f"attempt {attempt.id} is about no fill"
            continue
        since_s = kept.leaders[stored.recorded.fill.leader].followed_since_ms // 1000
        if stored.recorded.fill.fill_ts_ms // 1000 < since_s:
            yield f"attempt {attempt.id} copies a fill of before its leader was followed"
        age_ms = attempt.decided_at_ms - stored.recorded.fill.fill_ts_ms
        book_age = dict(attempt.reasons[0].numbers).get("book_age_ms") if attempt.reasons else None
        if book_age is not None and int(book_age) < 0:
            yield f"attempt {attempt.id} was decided on a book that is {book_age} ms old"
        if not is_skip and age_ms > fill_age_max_ms:
            yield f"attempt {attempt.id} copies a fill {age_ms} ms old"


def _copies(kept: Kept, ratio: int) -> Breaches:
    """A copy is of the leader's own token and side, and of his size times the ratio, unless something cut it."""
    for attempt in kept.attempts.values():
        stored = kept.fills.get(attempt.leader_fill_id)
        if stored is None:
            continue
        fill = stored.recorded.fill
        if (attempt.token_id, attempt.side) != (fill.token_id, fill.side):
            yield f"attempt {attempt.id} is about another token or side than its fill"
        is_plain = not any(one.code.startswith(CHANGES_OF_SIZE) for one in attempt.reasons)
        if attempt.decision is Decision.TRADE and attempt.side is Side.BUY and is_plain:
            wanted = fill.size * ratio // MICRO // LOT * LOT
            if attempt.size_shares_target != wanted:
                yield f"attempt {attempt.id} is for {attempt.size_shares_target}, and {wanted} was due"


def _executions(kept: Kept) -> Breaches:
    for fill in kept.executions:
        attempt = kept.attempts[fill.attempt_id]
        better = fill.price <= attempt.limit_price if fill.side is Side.BUY else fill.price >= attempt.limit_price
        if not better:
            yield f"execution {fill.venue_trade_id} at {fill.price} is beyond the limit {attempt.limit_price}"
        placed_ms = attempt.placed_at_ms or 0
        if not placed_ms <= fill.fill_at_ms <= placed_ms + attempt.ttl_ms + TTL_SLACK_MS:
            yield f"execution {fill.venue_trade_id} is outside the life of its order"


def carries_add_up(kept: Kept) -> Breaches:
    """What waits is what the reasons of the attempts add up to, however often the worker died between them."""
    said: dict[object, list[tuple[Reason, ...]]] = defaultdict(list)
    for attempt in kept.attempts.values():
        stored = kept.fills.get(attempt.leader_fill_id)
        if stored is not None:
            owner = (attempt.strategy_id, attempt.account_id, stored.recorded.leader_id)
            said[*owner, attempt.token_id].append(attempt.reasons)
    for key, reasons in said.items():
        carry = kept.carries.get(key)
        if waiting_by_reasons(reasons) != (carry.shares if carry else 0):
            yield f"{waiting_by_reasons(reasons)} wait by the reasons on {key}, and {carry} is kept"
