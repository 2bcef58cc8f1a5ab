"""What the chain, the Data API and our own tables say of the same trades, and where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from uuid import UUID

    from copytrade.domain.units import Millis


class Severity(StrEnum):
    """Whether a difference is one, or may still come right by itself."""

    ERROR = "error"
    PENDING = "pending"


class Kind(StrEnum):
    """What differs."""

    MISSING_FILL = "missing_fill"
    EXTRA_FILL = "extra_fill"
    DUPLICATE_FILL = "duplicate_fill"
    MISSING_TRADE = "missing_trade"
    EXTRA_TRADE = "extra_trade"
    UNMAPPED_TOKEN = "unmapped_token"
    UNDECIDED_FILL = "undecided_fill"
    OPEN_ATTEMPT = "open_attempt"
    INTERRUPTED_ORDER = "interrupted_order"
    """A paper order that was open when the last worker stopped: the next start ends it, nothing is wrong."""
    MISSING_BLOCKS = "missing_blocks"
    POSITION_MISMATCH = "position_mismatch"
    BROKEN_INVARIANT = "broken_invariant"
    LOST_PAST = "lost_past"
    """The chain of a time is kept by no node that was asked: nothing before `compared_from_ms` could be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """One difference: of which leader and transaction, where what is missing, and what else tells it apart.

    `leader` and `tx_hash` are None where it is nobody's alone. `fill_id` names our row, `block` and `at_ms` where
    the chain has it, for whoever repairs.
    """

    kind: Kind
    leader: str | None
    tx_hash: str | None
    where_missing: str
    severity: Severity
    detail: tuple[tuple[str, object], ...] = ()
    fill_id: UUID | None = None
    block: int | None = None
    at_ms: Millis = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as one flat object."""
        return {
            "kind": str(self.kind),
            "leader": self.leader,
            "tx_hash": self.tx_hash,
            "where_missing": self.where_missing,
            "severity": str(self.severity),
            **({} if self.block is None else {"block": self.block}),
            **({} if self.fill_id is None else {"fill": str(self.fill_id)}),
            **{name: str(value) for name, value in self.detail},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCount:
    """One leader's trades in some blocks, both ends included, by each witness; `to_ms` is the first time after."""

    from_ms: Millis
    to_ms: Millis
    from_block: int
    to_block: int
    chain: int
    data_api: int
    ledger: int
    is_agreed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderCount:
    """One leader's days."""

    address: str
    label: str
    from_ms: Millis
    days: tuple[DayCount, ...]


KEPT_MAX: Final = 100
"""Differences that a summary keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What came of one comparison, of blocks from one time to another."""

    from_ms: Millis
    to_ms: Millis
    leaders: tuple[LeaderCount, ...]
    discrepancies: tuple[Discrepancy, ...]

    @property
    def is_ok(self) -> bool:
        """Whether nothing is wrong; what is only late is not."""
        return not self.errors

    @property
    def errors(self) -> tuple[Discrepancy, ...]:
        """What is wrong."""
        return tuple(one for one in self.discrepancies if one.severity is Severity.ERROR)

    def is_agreed(self, of: Discrepancy) -> bool:
        """Whether two providers said the same of the blocks that a difference is about."""
        days = (day for leader in self.leaders if leader.address == of.leader for day in leader.days)
        return any(day.is_agreed and day.from_ms <= of.at_ms < day.to_ms for day in days)

    def summary(self, *, at_ms: Millis) -> Summary:
        """Return what is kept of it."""
        return Summary(
            at_ms=at_ms,
            from_ms=self.from_ms,
            to_ms=self.to_ms,
            leaders=len(self.leaders),
            errors=len(self.errors),
            pending=len(self.discrepancies) - len(self.errors),
            differences=tuple(one.as_json() for one in self.discrepancies[:KEPT_MAX]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A comparison as it is kept: when it was made, of which time, and what came of it."""

    at_ms: Millis
    from_ms: Millis
    to_ms: Millis
    leaders: int
    errors: int
    pending: int
    differences: tuple[dict[str, Any], ...]
    """The first hundred of them, as objects."""
