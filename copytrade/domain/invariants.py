"""What must hold of a ledger at any time, and how a breach of it is said."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from copytrade.domain.units import Millis


class Invariant(IntEnum):
    """What must hold, by its number; `sentence` says it."""

    ONE_ATTEMPT = 1
    WRITTEN_BEFORE_SENT = 2
    SIGNED_ONCE = 3
    WITHIN_LIMITS = 4
    DISPOSED = 5
    NOT_OVERFILLED = 6
    MONEY = 7
    FRESH_BOOKS = 8
    BLOCKS_COVERED = 9
    NOTHING_DELETED = 10

    @property
    def sentence(self) -> str:
        """The invariant in words."""
        return _SENTENCES[self]


_SENTENCES: Final = {
    Invariant.ONE_ATTEMPT: "one leader fill makes at most one attempt per strategy and account",
    Invariant.WRITTEN_BEFORE_SENT: "nothing was sent that the ledger did not already hold",
    Invariant.SIGNED_ONCE: "an attempt in doubt was never signed twice",
    Invariant.WITHIN_LIMITS: "exposure, counting in-flight orders as filled, never passed a limit",
    Invariant.DISPOSED: "every confirmed leader fill has a disposition",
    Invariant.NOT_OVERFILLED: "the sum of fills is at most the attempt's size",
    Invariant.MONEY: "position = fold(fills, settlements), cash is conserved",
    Invariant.FRESH_BOOKS: "no trade on a book older than its limit",
    Invariant.BLOCKS_COVERED: "cursors cover every block, no hole, fills and cursor agree",
    Invariant.NOTHING_DELETED: "no fill, raw row or attempt was ever deleted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One thing that is wrong: what is said of which row, and the numbers that show it."""

    invariant: Invariant
    what: str
    subject: str
    detail: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        """Say it in one line."""
        numbers = " ".join(f"{name}={value}" for name, value in self.detail)
        return f"{self.what}: {self.subject}{f' ({numbers})' if numbers else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one invariant: how many rows were looked at, the breaches kept, and how many more there are."""

    invariant: Invariant
    rows: int
    breaches: tuple[Breach, ...]
    more: int = 0

    @property
    def is_ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.breaches


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRules:
    """What is judged by: the time it is, how old a book may be, and how long something due may be under way."""

    now_ms: Millis
    book_age_ms_max: Millis
    grace_ms: Millis
