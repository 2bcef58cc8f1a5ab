"""The invariants, over a whole ledger: one list and one implementation for people, simulation and fault scripts.

Each check reads streams of rows and yields what is wrong, exactly; none keeps more than the positions and what
moved one of them.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeVar

from copytrade.domain.invariants import Breach, Invariant, Verdict
from copytrade.engine.audit_money import MoneyAudit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from copytrade.domain.invariants import AuditRules
    from copytrade.domain.units import Millis
    from copytrade.ports.audit import AttemptRow, Evidence, RangeRow

T = TypeVar("T")

BREACHES_MAX: Final = 1_000
"""Breaches of one invariant that are kept; the others are counted."""
GRACE_MS: Final = 60_000
"""A decision may be due for so long while the worker works on it."""
CHAIN_GRACES: Final = 10
"""So many graces for what the chain must settle first: a node that lags has blocks proved again from below."""
TELL_EVERY: Final = 100_000
FILLS: Final = "leader_fill"
"""The table of the leaders' fills, each of which was disposed of or waits."""
FORGOTTEN: Final = "a fill that was forgotten"
STILL_WAITS: Final = "a fill that still waits"
NEVER_PROVED: Final = "blocks that were never proved"

_SENT: Final = frozenset({"SUBMITTED", "PARTIAL", "FILLED"})
_NEVER_SENT: Final = frozenset({"SKIPPED", "PENDING"})
_REPEATED: Final = {
    "attempt": Invariant.ONE_ATTEMPT,
    "order_hash": Invariant.SIGNED_ONCE,
    "trade": Invariant.NOT_OVERFILLED,
}


def audit(
    evidence: Evidence, rules: AuditRules, *, tell: Callable[[str, int], None] | None = None
) -> tuple[Verdict, ...]:
    """Return the verdict on every invariant, by number; `tell` hears what is read, and how many rows of it so far."""
    return _Audit(evidence, rules, tell or _nobody).run()


def _nobody(_what: str, _rows: int) -> None:
    return


class _Audit:
    """One pass over each stream."""

    def __init__(self, evidence: Evidence, rules: AuditRules, tell: Callable[[str, int], None]) -> None:
        self._evidence = evidence
        self._rules = rules
        self._tell = tell
        self._rows: dict[Invariant, int] = defaultdict(int)

    def run(self) -> tuple[Verdict, ...]:
        """Make every check."""
        kept: dict[Invariant, list[Breach]] = {invariant: [] for invariant in Invariant}
        more: dict[Invariant, int] = defaultdict(int)
        for breach in self._breaches():
            if len(kept[breach.invariant]) < BREACHES_MAX:
                kept[breach.invariant].append(breach)
            else:
                more[breach.invariant] += 1
        return tuple(
            Verdict(invariant=one, rows=self._rows[one], breaches=tuple(kept[one]), more=more[one]) for one in Invariant
        )

    def _breaches(self) -> Iterator[Breach]:
        yield from self._repeated()
        yield from self._attempts()
        yield from MoneyAudit(self._evidence, self._watched).breaches()
        yield from self._waiting()
        yield from self._cursors()
        yield from self._ranges()
        yield from self._unconfirmed()
        yield from self._dangling()
        yield from self._counts()

    def _watched(self, what: str, rows: Iterable[T], *invariants: Invariant) -> Iterator[T]:
        """Yield rows, counting them for the invariants they are looked at for."""
        count = 0
        for count, row in enumerate(rows, start=1):
            yield row
            if count % TELL_EVERY == 0:
                self._tell(what, count)
        self._tell(what, count)
        for invariant in invariants:
            self._rows[invariant] += count

    def _repeated(self) -> Iterator[Breach]:
        for row in self._evidence.repeated():
            yield _breach(_REPEATED[row.of], f"the same {row.of} more than once", row.key, times=row.times)

    def _attempts(self) -> Iterator[Breach]:
        rows = self._watched(
            "attempts",
            self._evidence.attempts(),
            Invariant.ONE_ATTEMPT,
            Invariant.WRITTEN_BEFORE_SENT,
            Invariant.SIGNED_ONCE,
            Invariant.FRESH_BOOKS,
            Invariant.NOTHING_DELETED,
        )
        age_max = self._rules.book_age_ms_max
        for row in rows:
            if not row.has_fill:
                yield _breach(
                    Invariant.NOTHING_DELETED, "an attempt on a fill that is gone", row.id, fill=row.leader_fill_id
                )
            if row.book_age_ms is not None and row.book_age_ms > age_max and row.decision == "TRADE":
                yield _breach(
                    Invariant.FRESH_BOOKS, "a trade on an old book", row.id, age_ms=row.book_age_ms, most=age_max
                )
            yield from _sending(row)
            if (row.decision == "SKIP") != (row.status == "SKIPPED"):
                yield _breach(
                    Invariant.DISPOSED,
                    "a decision and a status that disagree",
                    row.id,
                    has=row.decision,
                    and_is=row.status,
                )
            if row.placed_at is not None and row.placed_at < row.decided_at:
                yield _breach(Invariant.WRITTEN_BEFORE_SENT, "an order placed before it was decided", row.id)

    def _waiting(self) -> Iterator[Breach]:
        self._rows[Invariant.DISPOSED] += self._evidence.count(self._rules.now_ms)[FILLS]
        for row in self._watched("fills that wait", self._evidence.waiting()):
            waits_ms = self._rules.now_ms - row.stored_ms
            if not row.awaits_decision:
                yield _breach(Invariant.DISPOSED, FORGOTTEN, row.id, tx_hash=row.tx_hash)
            elif row.is_confirmed and waits_ms > self._rules.grace_ms:
                yield _breach(Invariant.DISPOSED, STILL_WAITS, row.id, tx_hash=row.tx_hash, seconds=waits_ms // 1000)

    def _cursors(self) -> Iterator[Breach]:
        for row in self._watched("cursors", self._evidence.cursors(), Invariant.BLOCKS_COVERED):
            if row.proved_block is not None and row.proved_block > row.last_block:
                yield _breach(
                    Invariant.BLOCKS_COVERED,
                    "a cursor proved beyond what was read",
                    f"{row.exchange_address}|{row.leader_address}",
                    read=row.last_block,
                    proved=row.proved_block,
                )

    def _ranges(self) -> Iterator[Breach]:
        """Look for holes in what was proved for everybody; a single leader's past is proved where two nodes agree."""
        proved = {(row.exchange_address, row.leader_address): row.proved_block for row in self._evidence.cursors()}
        until = proved.get(("*", "*")) or 0
        below: RangeRow | None = None
        for row in self._watched("proved ranges", self._evidence.ranges(), Invariant.BLOCKS_COVERED):
            if not _is_global(row):
                continue
            yield from self._hole(below, row.from_block - 1)
            if below is None or row.to_block > below.to_block:
                below = row
        yield from self._hole(below, until)

    def _hole(self, below: RangeRow | None, last: int) -> Iterator[Breach]:
        """Name the blocks from a range to `last`, if there are any and nobody is at work on them."""
        if below is None or last <= below.to_block or not self._is_over(below.proved_ms):
            return
        blocks = last - below.to_block
        yield _breach(Invariant.BLOCKS_COVERED, NEVER_PROVED, f"{below.to_block + 1}-{last}", blocks=blocks)

    def _is_over(self, since_ms: Millis) -> bool:
        """Whether what the chain must settle first has had its time."""
        return self._rules.now_ms - since_ms > self._rules.grace_ms * CHAIN_GRACES

    def _unconfirmed(self) -> Iterator[Breach]:
        for row in self._watched("unconfirmed fills", self._evidence.unconfirmed(), Invariant.BLOCKS_COVERED):
            if self._is_over(row.stored_ms):
                yield _breach(
                    Invariant.BLOCKS_COVERED,
                    "a fill in a proved block that nobody confirmed",
                    row.id,
                    tx_hash=row.tx_hash,
                    block=row.block_number,
                )

    def _dangling(self) -> Iterator[Breach]:
        for row in self._evidence.dangling():
            yield _breach(Invariant.NOTHING_DELETED, row.what, row.id)

    def _counts(self) -> Iterator[Breach]:
        """Compare with the newest count of each table: of rows that old, none can have come or gone since."""
        now: dict[Millis, dict[str, int]] = {}
        looked_at: set[str] = set()
        for row in self._watched("earlier counts", self._evidence.counted(), Invariant.NOTHING_DELETED):
            if row.table in looked_at:
                continue
            looked_at.add(row.table)
            if row.until_ms not in now:
                now[row.until_ms] = dict(self._evidence.count(row.until_ms))
            if now[row.until_ms][row.table] < row.rows:
                yield _breach(
                    Invariant.NOTHING_DELETED,
                    "rows that are gone",
                    row.table,
                    counted=row.rows,
                    now=now[row.until_ms][row.table],
                )


def _sending(row: AttemptRow) -> Iterator[Breach]:
    """Judge by its status what an attempt may have of an order."""
    if row.status in _SENT and (row.order_hash is None or row.placed_at is None):
        yield _breach(Invariant.WRITTEN_BEFORE_SENT, "a sent order that has no identity", row.id, status=row.status)
    if row.status in _NEVER_SENT and (row.order_hash is not None or row.first_fill_at is not None):
        yield _breach(Invariant.WRITTEN_BEFORE_SENT, "an order that was never sent and is", row.id, status=row.status)


def _is_global(row: RangeRow) -> bool:
    return (row.exchange_address, row.leader_address) == ("*", "*")


def _breach(invariant: Invariant, what: str, subject: str, **detail: object) -> Breach:
    return Breach(invariant=invariant, what=what, subject=subject, detail=tuple(detail.items()))
