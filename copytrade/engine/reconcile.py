"""The comparison of the chain with the Data API and our own tables, leader by leader and day by day.

The chain is read afresh, once for all leaders. What it has at or below our cursor must be in our tables, and the
reverse, without any delay; the Data API may be ten minutes behind. Beside it stands what our tables say against
themselves: tokens without a market, orders that never ended, and everything the audit finds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from uuid import UUID

from copytrade.domain.attempts import ExecutionMode
from copytrade.domain.market import is_combo
from copytrade.domain.reconciliation import DayCount, Discrepancy, Kind, LeaderCount, Reconciliation, Severity
from copytrade.domain.units import format_micro
from copytrade.engine.audit import FORGOTTEN, NEVER_PROVED, STILL_WAITS
from copytrade.engine.audit_money import CASH_DIFFERS, CASH_NOT_KEPT, NOT_ITS_FOLD, NOT_KEPT
from copytrade.engine.verify import API_DELAY_MS, DAY_MS, differences
from copytrade.ports.leader_fills import CursorScope
from copytrade.ports.witnesses import PastLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.invariants import Breach
    from copytrade.domain.leaders import Leader
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock
    from copytrade.ports.leader_fills import Cursor
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.reconciliation import LedgerAudit
    from copytrade.ports.witnesses import ChainWitness, Trade, TradeWitness

WINDOW_MAX_MS: Final = 7 * DAY_MS
"""How far back a comparison looks where nobody says."""
UNMAPPED_MS: Final = 10_000
"""A new token may be without its market for so long."""

Edges = list[tuple["Millis", int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Day:
    """Blocks of one day, both ends included, and whether two providers said the same of them."""

    from_ms: Millis
    to_ms: Millis
    from_block: int
    to_block: int
    is_agreed: bool


class Reconcile:
    """Asks every witness and compares; changes nothing."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        chain: ChainWitness,
        api: TradeWitness,
        ours: TradeWitness,
        audit: LedgerAudit,
        clock: Clock,
        tell: Callable[[int, int], None],
    ) -> None:
        """Prepare; `tell` hears how many blocks are read and how many are left."""
        self._ledger: Final = ledger
        self._chain: Final = chain
        self._api: Final = api
        self._ours: Final = ours
        self._audit: Final = audit
        self._clock: Final = clock
        self._tell: Final = tell

    async def run(
        self,
        leaders: Sequence[Leader],
        *,
        from_ms: Millis | None = None,
        to_ms: Millis | None = None,
        others: bool = True,
    ) -> Reconciliation:
        """Compare what leaders did since a time (None: seven days) and since they are followed, up to another.

        What our tables say of other leaders against themselves is told too, unless `others` is False.

        :raises WitnessUnavailableError: a witness cannot answer.
        """
        last, final_ms = await self._chain.final_block()
        until_ms = final_ms if to_ms is None else min(final_ms, to_ms - 1)
        start_ms = until_ms - WINDOW_MAX_MS if from_ms is None else from_ms
        since = {leader.address: _since(leader, start_ms) for leader in leaders}
        edges, lost = await self._edges(since, until_ms, last)
        found, days = await self._read(sorted(since), edges)
        counts, discrepancies = [], lost
        for leader in leaders:
            compared = _Leader(
                leader,
                since[leader.address],
                until_ms,
                over_ms=until_ms // 1000 * 1000 if until_ms == final_ms else until_ms + 1,
                cursor=await self._cursor_of(leader),
            )
            own = [trade for trade in found if trade.account == leader.address and compared.covers(trade)]
            listed = await self._api.trades(leader.address, since_ms=compared.since_ms)
            stored = await self._ours.trades(leader.address, since_ms=compared.since_ms)
            listed, stored = compared.within(listed), compared.within(stored)
            counts.append(compared.count(days, own, listed, stored))
            discrepancies += [*compared.against_api(own, listed), *compared.against_ours(own, stored)]
            discrepancies += await self._unmapped(leader, stored)
        discrepancies += await self._overdue()
        discrepancies += [await self._said_by(breach) for breach in await self._audit.breaches()]
        if not others:
            discrepancies = [one for one in discrepancies if one.leader is None or one.leader in since]
        return Reconciliation(
            from_ms=min(since.values(), default=until_ms),
            to_ms=until_ms,
            leaders=tuple(counts),
            discrepancies=tuple(discrepancies),
        )

    async def _edges(self, since: dict[str, Millis], until_ms: Millis, last: int) -> tuple[Edges, list[Discrepancy]]:
        """Return the days, and what of the past nobody keeps: the leaders begin after it, and that is told."""
        try:
            return await self._days(min(since.values(), default=until_ms), until_ms, last), []
        except PastLostError as lost:
            kept_ms = min(-(-lost.from_ms // 1000) * 1000, until_ms)
        cut = sorted(address for address, since_ms in since.items() if since_ms < kept_ms)
        told = [_lost(address, since[address], kept_ms) for address in cut]
        since.update(dict.fromkeys(cut, kept_ms))
        return await self._days(kept_ms, until_ms, last), told

    async def _days(self, since_ms: Millis, until_ms: Millis, last: int) -> Edges:
        """Return where each day begins, its time and first block; at the end, what comes after the last."""
        after = await self._chain.first_block_at(until_ms // 1000 * 1000 + 1000)
        days = range((since_ms // DAY_MS + 1) * DAY_MS, until_ms + 1, DAY_MS)
        starts = [(start, await self._chain.first_block_at(start)) for start in (since_ms, *days)]
        return [*starts, (until_ms + 1, max(starts[-1][1], min(after, last + 1)))]

    async def _read(self, accounts: Sequence[str], edges: Edges) -> tuple[list[Trade], list[_Day]]:
        trades: list[Trade] = []
        days = []
        for (from_ms, first), (to_ms, after) in pairwise(edges):
            is_agreed, at = True, first
            while accounts and at < after:
                part = await self._chain.read(accounts, first=at, limit=after - 1)
                trades += part.trades
                is_agreed = is_agreed and part.is_agreed
                at = part.last + 1
                self._tell(at - edges[0][1], edges[-1][1] - at)
            days.append(_Day(from_ms=from_ms, to_ms=to_ms, from_block=first, to_block=after - 1, is_agreed=is_agreed))
        return trades, days

    async def _cursor_of(self, leader: Leader) -> _Cursors:
        return _Cursors(
            live=await self._ledger.cursor(CursorScope()),
            past=await self._ledger.cursor(CursorScope(leader_address=leader.address)),
        )

    async def _unmapped(self, leader: Leader, stored: Iterable[Trade]) -> list[Discrepancy]:
        """Name the tokens whose market is not known, each by its first fill."""
        first: dict[str, Trade] = {}
        for trade in stored:
            first.setdefault(trade.token_id, trade)
        asked = [token_id for token_id in first if not is_combo(token_id)]
        known = await self._ledger.mapped(asked)
        now_ms = self._clock.now_ms()
        return [
            Discrepancy(
                kind=Kind.UNMAPPED_TOKEN,
                leader=leader.address,
                tx_hash=first[token_id].tx_hash,
                where_missing="registry",
                severity=_severity(is_late=now_ms - first[token_id].at_ms <= UNMAPPED_MS),
                detail=(("token_id", token_id),),
                fill_id=first[token_id].fill_id,
            )
            for token_id in asked
            if token_id not in known
        ]

    async def _overdue(self) -> list[Discrepancy]:
        """Name the orders that should be over; one on paper that no worker could end is only interrupted."""
        now_ms, alive_ms = self._clock.now_ms(), await self._ledger.gates_saved_ms()
        found = []
        for attempt in await self._ledger.open_attempts():
            if now_ms > attempt.over_ms:
                is_left = attempt.mode is ExecutionMode.PAPER and alive_ms is not None and alive_ms <= attempt.over_ms
                found.append(await self._open(attempt, is_left=is_left))
        return found

    async def _open(self, attempt: ExecutionAttempt, *, is_left: bool) -> Discrepancy:
        fill = await self._ledger.fill(attempt.leader_fill_id)
        return Discrepancy(
            kind=Kind.INTERRUPTED_ORDER if is_left else Kind.OPEN_ATTEMPT,
            leader=None if fill is None else fill.fill.leader,
            tx_hash=None if fill is None else fill.fill.tx_hash,
            where_missing="ending",
            severity=_severity(is_late=is_left),
            detail=(("attempt", attempt.id), ("status", attempt.status)),
        )

    async def _said_by(self, breach: Breach) -> Discrepancy:
        kind, where = _SAID.get(breach.what, (Kind.BROKEN_INVARIANT, "ledger"))
        fill_id = UUID(breach.subject) if kind is Kind.UNDECIDED_FILL else None
        fill = None if fill_id is None else await self._ledger.fill(fill_id)
        return Discrepancy(
            kind=kind,
            leader=None if fill is None else fill.fill.leader,
            tx_hash=None if fill is None else fill.fill.tx_hash,
            where_missing=where,
            severity=Severity.ERROR,
            detail=(("what", breach.what), ("subject", breach.subject), *breach.detail),
            fill_id=fill_id,
        )


_SAID: Final = {
    FORGOTTEN: (Kind.UNDECIDED_FILL, "attempts"),
    STILL_WAITS: (Kind.UNDECIDED_FILL, "attempts"),
    NEVER_PROVED: (Kind.MISSING_BLOCKS, "proof"),
    NOT_ITS_FOLD: (Kind.POSITION_MISMATCH, "positions"),
    NOT_KEPT: (Kind.POSITION_MISMATCH, "positions"),
    CASH_DIFFERS: (Kind.POSITION_MISMATCH, "balances"),
    CASH_NOT_KEPT: (Kind.POSITION_MISMATCH, "balances"),
}


class _Cursors:
    """How far a leader's fills are read: live since he was added, from his own cursor before."""

    def __init__(self, *, live: Cursor | None, past: Cursor | None) -> None:
        self._live = live
        self._past = past

    def has_read(self, trade: Trade, leader: Leader) -> bool | None:
        """Whether our feed says it has read a trade's block; None where the chain is not read at all."""
        if self._live is None and self._past is None:
            return None
        is_live = trade.at_ms >= leader.created_at_ms // 1000 * 1000
        cursors = (self._past, self._live if is_live else None)
        read_to = max(-1 if one is None else one.last_processed_block for one in cursors)
        return trade.block_number is not None and trade.block_number <= read_to


class _Leader:
    """One leader's trades by each witness, compared."""

    def __init__(
        self, leader: Leader, since_ms: Millis, until_ms: Millis, *, over_ms: Millis, cursor: _Cursors
    ) -> None:
        """Prepare; blocks after the last that is read may have the times from `over_ms` on."""
        self._leader = leader
        self.since_ms = since_ms
        self._until_ms = until_ms
        self._over_ms = over_ms
        self._cursor = cursor

    def covers(self, trade: Trade) -> bool:
        """Whether a trade is of the time that is compared."""
        return self.since_ms <= trade.at_ms <= self._until_ms

    def within(self, trades: Iterable[Trade]) -> list[Trade]:
        """Return the trades of the time that is compared."""
        return [trade for trade in trades if self.covers(trade)]

    def count(
        self, days: Sequence[_Day], own: Sequence[Trade], listed: Sequence[Trade], stored: Sequence[Trade]
    ) -> LeaderCount:
        """Count each day's trades."""
        counts = []
        for day in days:
            if day.to_ms > self.since_ms:
                chain, api, ours = (
                    sum(day.from_ms <= one.at_ms < day.to_ms for one in side) for side in (own, listed, stored)
                )
                counts.append(
                    DayCount(
                        from_ms=max(day.from_ms, self.since_ms),
                        to_ms=day.to_ms,
                        from_block=day.from_block,
                        to_block=day.to_block,
                        chain=chain,
                        data_api=api,
                        ledger=ours,
                        is_agreed=day.is_agreed,
                    )
                )
        return LeaderCount(
            address=self._leader.address, label=self._leader.label, from_ms=self.since_ms, days=tuple(counts)
        )

    def against_api(self, own: Sequence[Trade], listed: Sequence[Trade]) -> list[Discrepancy]:
        """Name what the Data API lacks, or has too much; it may be ten minutes behind."""
        missing, extra = differences(own, listed)
        late_from_ms = self._until_ms - API_DELAY_MS
        return [
            *(
                self._of(Kind.MISSING_TRADE, one, "data_api", _severity(is_late=one.at_ms >= late_from_ms))
                for one in missing
            ),
            *(self._of(Kind.EXTRA_TRADE, one, "chain", Severity.ERROR) for one in extra if self._is_over(one)),
        ]

    def against_ours(self, own: Sequence[Trade], stored: Sequence[Trade]) -> list[Discrepancy]:
        """Name what our tables lack, or have too much: below the cursor nothing is excused."""
        placed_first = sorted(stored, key=lambda one: one.block_number is None)  # of two equal ones the later is extra
        missing, extra = differences(own, placed_first)
        on_chain = Counter(map(_identity, own))
        found = []
        for one in missing:
            has_read = self._cursor.has_read(one, self._leader)
            is_late = not has_read if has_read is not None else one.at_ms >= self._until_ms - API_DELAY_MS
            found.append(self._of(Kind.MISSING_FILL, one, "ledger", _severity(is_late=is_late)))
        for one in filter(self._is_over, extra):
            kind = Kind.DUPLICATE_FILL if on_chain[_identity(one)] else Kind.EXTRA_FILL
            found.append(self._of(kind, one, "chain", Severity.ERROR))
        return found

    def _is_over(self, trade: Trade) -> bool:
        return trade.at_ms < self._over_ms

    def _of(self, kind: Kind, trade: Trade, where: str, severity: Severity) -> Discrepancy:
        return Discrepancy(
            kind=kind,
            leader=self._leader.address,
            tx_hash=trade.tx_hash,
            where_missing=where,
            severity=severity,
            detail=(
                ("side", trade.side),
                ("token_id", trade.token_id),
                ("size", format_micro(trade.size)),
                ("at_ms", trade.at_ms),
            ),
            fill_id=trade.fill_id,
            block=trade.block_number,
            at_ms=trade.at_ms,
        )


def _since(leader: Leader, start_ms: Millis) -> Millis:
    """Return where the comparison begins: whole seconds, as blocks are stamped."""
    return -(-max(start_ms, leader.followed_since_ms // 1000 * 1000) // 1000) * 1000


def _lost(address: str, since_ms: Millis, kept_ms: Millis) -> Discrepancy:
    return Discrepancy(
        kind=Kind.LOST_PAST,
        leader=address,
        tx_hash=None,
        where_missing="chain",
        severity=Severity.PENDING,
        detail=(("from_ms", since_ms), ("compared_from_ms", kept_ms)),
    )


def _identity(trade: Trade) -> tuple[str, str, str]:
    return trade.tx_hash, trade.token_id, trade.side


def _severity(*, is_late: bool) -> Severity:
    return Severity.PENDING if is_late else Severity.ERROR
