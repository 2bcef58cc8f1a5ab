"""What must be true, judged from the ledger's rows and the world's own record; never from the worker's memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from copytrade.adapters.memory import MemoryLedger, StoredFill
from copytrade.adapters.memory.audit import MemoryEvidence
from copytrade.domain.attempts import OPEN_STATUSES, AttemptStatus, Decision, ExecutionAttempt, Reason
from copytrade.domain.fills import Side
from copytrade.domain.invariants import AuditRules
from copytrade.domain.risk import Limit
from copytrade.domain.scopes import EVERYTHING
from copytrade.domain.units import format_micro
from copytrade.engine.audit import audit
from copytrade.ports.leader_fills import CursorScope
from copytrade.sandbox.happening import BookChanged, Happening, MarketOpened
from copytrade.sandbox.ledger import FillRecord
from copytrade.sandbox.market import Market
from copytrade.sandbox.world import World
from tests.copying import waiting_by_reasons
from tests.reference.stakes import breaches, stakes_of
from tests.simulation.life import LIMITS, SETTINGS

Breaches = Iterator[str]
Touch = tuple[str, str]

HEAD_LAG_MAX = 2
NO_HURRY_MS = 3_600_000
AUDIT_EVERY_MS = 7_000
"""What the whole ledger is wrong about does not come right again; looking each second would only take time."""
TOUCH_AGE_MS_MAX = 5_000 + 3_000 + 1_000
"""The oldest book that may be traded on, the slowest socket, and the way of a request."""


class Touches:
    """The best bid and ask of every token at every time, from the venue's own books."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._history: dict[str, list[tuple[int, Touch]]] = defaultdict(list)
        for market in world.exchange.catalogue.all():
            self._note(market)
        world.listen(self._on)

    def _on(self, happening: Happening) -> None:
        if isinstance(happening, BookChanged | MarketOpened):
            self._note(happening.market)

    def _note(self, market: Market) -> None:
        for outcome, token in enumerate(market.tokens):
            bids, asks = self._world.exchange.book(market).view(outcome)
            touch = (_shown(bids), _shown(asks))
            history = self._history[str(token)]
            if not history or history[-1][1] != touch:
                history.append((self._world.now_ms, touch))

    def between(self, token_id: str, first_ms: int, last_ms: int) -> set[Touch]:
        """Return every touch that stood at some instant of that time."""
        history = self._history[token_id]
        standing = [touch for at_ms, touch in history if at_ms <= first_ms][-1:]
        return {*standing, *(touch for at_ms, touch in history if first_ms < at_ms <= last_ms)}


def _shown(levels: list) -> str:
    best = next((level for level in reversed(levels) if level.size >= 10_000), None)
    return "none" if best is None else format_micro(best.price)


@dataclass(slots=True, kw_only=True)
class Checker:
    """Remembers what rows there were, so that it sees when one is gone."""

    ledger: MemoryLedger
    world: World
    touches: Touches
    fills: set[UUID] = field(default_factory=set)
    raws: set[object] = field(default_factory=set)
    attempts: set[UUID] = field(default_factory=set)
    audit_at_ms: int = 0
    interrupted: dict[UUID, int] = field(default_factory=dict)
    """Attempts that were open when the worker died, with what they had filled."""

    def note_death(self) -> None:
        """Remember what was open."""
        for attempt in self.ledger._attempts.values():
            if attempt.status in OPEN_STATUSES:
                self.interrupted.setdefault(attempt.id, attempt.filled_shares)

    def always(self) -> Breaches:
        """Yield what is wrong at any time."""
        yield from self._deleted()
        yield from self._attempts()
        yield from self._executions()
        if self.world.now_ms >= self.audit_at_ms:
            self.audit_at_ms = self.world.now_ms + AUDIT_EVERY_MS
            yield from self._audit(grace_ms=NO_HURRY_MS)
        yield from self._limits()

    def finally_(self) -> Breaches:
        """Yield what is wrong once everything has come to rest."""
        yield from self._deleted()
        yield from self._attempts()
        yield from self._executions()
        yield from self._audit(grace_ms=0)
        yield from self._fills()
        yield from self._identities()
        yield from self._dispositions()
        yield from self._interrupted()
        yield from self._books()
        yield from self._carries()

    def _audit(self, *, grace_ms: int) -> Breaches:
        """Judge by the invariants that every ledger is held to."""
        now_ms = self.world.now_ms
        rules = AuditRules(now_ms=now_ms, book_age_ms_max=SETTINGS.quote_stale_ms, grace_ms=grace_ms)
        for verdict in audit(MemoryEvidence(self.ledger), rules):
            yield from map(str, verdict.breaches)

    def _deleted(self) -> Breaches:
        now = (set(self.ledger.stored), set(self.ledger.payloads), set(self.ledger._attempts))
        ever = (self.fills, self.raws, self.attempts)
        for name, before, after in zip(("fills", "raw rows", "attempts"), ever, now, strict=True):
            before.update(after)
            if gone := len(before) - len(after):
                yield f"{gone} {name} were deleted"

    def _attempts(self) -> Breaches:
        for attempt in self.ledger._attempts.values():
            if not attempt.reasons:
                yield f"attempt {attempt.id} has no reason"
            stored = self.ledger.stored.get(attempt.leader_fill_id)
            if stored is None:
                continue
            since_s = self.ledger._leaders[stored.recorded.fill.leader].followed_since_ms // 1000
            if stored.recorded.fill.fill_ts_ms // 1000 < since_s:
                yield f"attempt {attempt.id} copies a fill of before its leader was followed"
            age_ms = attempt.decided_at_ms - stored.recorded.fill.fill_ts_ms
            if attempt.decision is Decision.TRADE and age_ms > SETTINGS.fill_max_age_ms:
                yield f"attempt {attempt.id} copies a fill {age_ms} ms old"

    def _executions(self) -> Breaches:
        filled: Counter[UUID] = Counter()
        for fill in self.ledger.executions:
            attempt = self.ledger._attempts[fill.attempt_id]
            filled[attempt.id] += fill.shares
            if fill.fill_at_ms > (attempt.placed_at_ms or 0) + attempt.ttl_ms + 5_000:
                yield f"execution {fill.venue_trade_id} is after the life of its order"
        for attempt in self.ledger._attempts.values():
            if filled[attempt.id] != attempt.filled_shares:
                yield f"attempt {attempt.id}: {filled[attempt.id]} executed, not {attempt.filled_shares}"

    def _limits(self) -> Breaches:
        """What is held and what open orders may still cost, at worst, passes no limit."""
        if any(attempt.leader_fill_id not in self.ledger.stored for attempt in self.ledger._attempts.values()):
            return  # Told by _attempts; nobody can say any more whom those followed.
        market_of = {token.token_id: market for market in self.ledger._markets.values() for token in market.tokens}
        in_force = (Limit(name, EVERYTHING, value) for name, value in LIMITS.items())
        yield from breaches(stakes_of(self.ledger, market_of.__getitem__), in_force)

    def _carries(self) -> Breaches:
        """What waits is what the reasons of the attempts add up to, however often the worker died between them."""
        said: dict[object, list[tuple[Reason, ...]]] = defaultdict(list)
        for attempt in self.ledger._attempts.values():
            stored = self.ledger.stored.get(attempt.leader_fill_id)
            if stored is None:
                yield f"the fill of attempt {attempt.id} is gone"
                continue
            owner = (attempt.strategy_id, attempt.account_id, stored.recorded.leader_id)
            said[*owner, attempt.token_id].append(attempt.reasons)
        for key, reasons in said.items():
            carry = self.ledger.carried.get(key)
            if waiting_by_reasons(reasons) != (carry.shares if carry else 0):
                yield f"{waiting_by_reasons(reasons)} wait by the reasons on {key}, and {carry} is kept"

    def _truth(self) -> dict[str, list[FillRecord]]:
        leaders = self.ledger._leaders
        return {address: self.world.ledger.of_owner(address) for address in leaders}

    def covered(self) -> int:
        """Return the last block the worker says it has read."""
        cursor = self.ledger._cursors.get(CursorScope())
        return -1 if cursor is None else cursor.last_processed_block

    def _fills(self) -> Breaches:
        """Every canonical fill in the covered blocks is stored once and as it was; the others are orphaned."""
        covered = self.covered()
        if covered < self.world.chain.head.number - HEAD_LAG_MAX:
            yield f"the cursor is at {covered}, the head at {self.world.chain.head.number}"
        live: dict[object, list[StoredFill]] = defaultdict(list)
        for stored in self.ledger.stored.values():
            place = stored.recorded.fill.place
            if stored.orphaned_at_ms is None and place is not None:
                live[stored.recorded.fill.tx_hash, place.block_hash, place.log_index].append(stored)
        for address, records in self._truth().items():
            since_s = self.ledger._leaders[address].followed_since_ms // 1000
            for record in records:
                found = live.pop((record.tx_hash, record.block_hash, record.log_index), [])
                yield from _judge(record, found, is_due=record.timestamp >= since_s and record.block_number <= covered)
        for (tx_hash, block_hash, _), found in live.items():
            yield f"{len(found)} fills of {tx_hash} in block {block_hash[:10]} are no leader's"
        yield from self._unplaced()

    def _unplaced(self) -> Breaches:
        """A row that only an API reported is one whose block a reorg took away before the chain was read."""
        gone = {record.tx_hash for records in self._truth().values() for record in records if not record.canonical}
        for stored in self.ledger.stored.values():
            fill = stored.recorded.fill
            if fill.place is None and stored.orphaned_at_ms is None and fill.tx_hash not in gone:
                yield f"the fill of {fill.tx_hash} never met its log"

    def _identities(self) -> Breaches:
        """A fill that moved is one row: no order has more rows in a transaction than it ever had logs there."""
        logs: Counter[tuple[str, str, str]] = Counter()
        for records in self._truth().values():
            logs.update((record.tx_hash, record.fill.order_hash, record.block_hash) for record in records)
        most: dict[tuple[str, str], int] = defaultdict(int)
        for (tx_hash, order_hash, _), count in logs.items():
            most[tx_hash, order_hash] = max(most[tx_hash, order_hash], count)
        rows = Counter(
            (stored.recorded.fill.tx_hash, place.order_hash)
            for stored in self.ledger.stored.values()
            if (place := stored.recorded.fill.place) is not None
        )
        for identity, count in rows.items():
            if count > most[identity]:
                yield f"order {identity[1]} has {count} rows in {identity[0]}, and {most[identity]} logs"

    def _dispositions(self) -> Breaches:
        tried = {attempt.leader_fill_id: attempt for attempt in self.ledger._attempts.values()}
        for fill_id, stored in self.ledger.stored.items():
            fill = stored.recorded.fill
            leader = self.ledger._leaders[fill.leader]
            attempt = tried.get(fill_id)
            is_due = fill.fill_ts_ms // 1000 >= leader.followed_since_ms // 1000 and stored.orphaned_at_ms is None
            if is_due and attempt is None:
                yield f"fill {fill_id} of {fill.tx_hash} has no attempt"
            if attempt is not None and attempt.status is AttemptStatus.PENDING:
                yield f"attempt {attempt.id} is PENDING, its fill orphaned: {stored.orphaned_at_ms is not None}"
            elif attempt is not None and attempt.status in OPEN_STATUSES:
                yield f"attempt {attempt.id} never ended: {attempt.status}"

    def _interrupted(self) -> Breaches:
        for attempt_id, filled in self.interrupted.items():
            attempt = self.ledger._attempts[attempt_id]
            if attempt.filled_shares != filled:
                yield f"attempt {attempt_id} was open at a death and filled {attempt.filled_shares - filled} after it"

    def _books(self) -> Breaches:
        """A trade was decided on a touch that the venue did show lately."""
        for attempt in self.ledger._attempts.values():
            if attempt.decision is Decision.TRADE and not self._was_shown(attempt):
                yield f"attempt {attempt.id} was decided on a touch that nobody showed: {attempt.reasons[0]}"

    def _was_shown(self, attempt: ExecutionAttempt) -> bool:
        touch = dict(attempt.reasons[0].numbers)["touch"]
        first_ms = attempt.decided_at_ms - TOUCH_AGE_MS_MAX
        shown = self.touches.between(attempt.token_id, first_ms, attempt.decided_at_ms)
        return any(touch == (ask if attempt.side is Side.BUY else bid) for bid, ask in shown)


def _judge(record: FillRecord, found: list[StoredFill], *, is_due: bool) -> Breaches:
    what = f"fill of {record.tx_hash} in block {record.block_number}, log {record.log_index}"
    if not record.canonical:
        if found:
            yield f"{what}: not on the chain any more, and not orphaned"
        return
    if is_due and len(found) != 1:
        yield f"{what}: stored {len(found)} times"
    for stored in found:
        fill, truth = stored.recorded.fill, record.fill
        told = (fill.leader, fill.token_id, fill.side, fill.role, fill.size, fill.usdc, fill.fee, fill.fill_ts_ms)
        side = Side.BUY if truth.side == 0 else Side.SELL
        facts = (truth.owner, str(truth.token), side, truth.role, truth.size, truth.collateral, truth.fee)
        if told != (*facts, record.timestamp * 1000):
            yield f"{what}: stored as {told}"
