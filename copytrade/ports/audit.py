"""What a whole ledger says of itself, row by row, to be judged by `engine.audit`.

Rows come as streams, so that a ledger of millions is judged in little memory, and all of them from one state of
it. Amounts are micro-units, ids text. A `Moment` is a time in whatever form the ledger keeps it: moments of one
ledger compare with each other, and are nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from copytrade.domain.invariants import Invariant
    from copytrade.domain.units import Millis, Price, Shares, Usdc

Moment: TypeAlias = Any


class AttemptRow(NamedTuple):
    """One attempt; `book_age_ms` is what its reasons say of the book it was decided on, None if they do not."""

    id: str
    leader_fill_id: str
    has_fill: bool
    decision: str
    status: str
    order_hash: str | None
    book_age_ms: Millis | None
    decided_at: Moment
    placed_at: Moment | None
    first_fill_at: Moment | None


class EntryRow(NamedTuple):
    """What moved a position: an execution (`kind` is its side, BUY or SELL) or a settlement (its kind).

    `amount` is what an execution moved without its fee, or what a settlement brought; `cost` is a
    settlement's. The rest is of an execution alone: whether it failed, and the attempt it belongs to, None if
    there is none; `fits` if strategy, account, token and side are the attempt's; `ended_at` is None while the
    attempt is open; `takes_only` where its order was FAK or FOK.
    """

    strategy_id: str
    account_id: str
    token_id: str
    ordinal: int
    key: str
    kind: str
    shares: Shares
    price: Price
    fee: Usdc
    amount: Usdc
    realized: Usdc
    cost: Usdc
    has_failed: bool
    at: Moment
    attempt_id: str | None
    fits: bool
    target: Shares
    limit: Price
    is_paper: bool
    placed_at: Moment | None
    ended_at: Moment | None
    takes_only: bool


class PositionRow(NamedTuple):
    """A position as it is stored."""

    strategy_id: str
    account_id: str
    token_id: str
    shares: Shares
    cost: Usdc
    realized: Usdc
    fees: Usdc


class BalanceRow(NamedTuple):
    """The cash of a strategy on an account as it is stored."""

    strategy_id: str
    account_id: str
    start_cash: Usdc
    cash: Usdc


class SettlementRow(NamedTuple):
    """A settlement beside what follows from elsewhere: the sums of its parts, and the payout that was recorded.

    `payout` is None where no resolution is recorded; it counts for resolutions alone. `group` is the same for
    what was settled together: account, market and time.
    """

    id: str
    group: tuple[str, ...]
    kind: str
    shares: Shares
    proceeds: Usdc
    cost: Usdc
    realized: Usdc
    parts_shares: Shares
    parts_proceeds: Usdc
    parts_cost: Usdc
    parts_realized: Usdc
    payout: Price | None


class WaitingRow(NamedTuple):
    """A leader fill that is to be copied, is not orphaned and has no attempt."""

    id: str
    tx_hash: str
    is_confirmed: bool
    awaits_decision: bool
    stored_ms: Millis


class CursorRow(NamedTuple):
    """How far a scope was read and proved; `*` is every exchange or leader."""

    exchange_address: str
    leader_address: str
    last_block: int
    proved_block: int | None


class RangeRow(NamedTuple):
    """Blocks that were proved for a scope, both ends included, and when the last of them were."""

    exchange_address: str
    leader_address: str
    from_block: int
    to_block: int
    proved_ms: Millis


class UnconfirmedRow(NamedTuple):
    """A fill in a block that was proved, neither confirmed nor orphaned."""

    id: str
    tx_hash: str
    block_number: int
    stored_ms: Millis


class RepeatedRow(NamedTuple):
    """What should be unique and is there `times` times; `of` says what it is: attempt, order_hash or trade."""

    of: str
    key: str
    times: int


class DanglingRow(NamedTuple):
    """A row whose counterpart is gone: a report without its fill, or a fill without any report."""

    what: str
    id: str


class CountedRow(NamedTuple):
    """How many rows a table had, by an earlier count, of those created up to then."""

    table: str
    until_ms: Millis
    rows: int


T = TypeVar("T")


class Watched(Protocol):
    """Counts rows while they are read."""

    def __call__(self, what: str, rows: Iterable[T], *invariants: Invariant) -> Iterator[T]:
        """Yield the rows, which are looked at for these invariants."""


class Evidence(Protocol):
    """One state of a ledger. Every stream may be read once."""

    def attempts(self) -> Iterator[AttemptRow]:
        """Yield every attempt, in no order."""

    def repeated(self) -> Iterator[RepeatedRow]:
        """Yield attempts of one (fill, strategy, account), order hashes, and trades of one account met twice."""

    def entries(self) -> Iterator[EntryRow]:
        """Yield executions and settlements by strategy, account, token and ordinal."""

    def positions(self) -> Iterator[PositionRow]:
        """Yield positions by strategy, account and token."""

    def balances(self) -> Iterator[BalanceRow]:
        """Yield the balance of every strategy and account."""

    def settlements(self) -> Iterator[SettlementRow]:
        """Yield every settlement."""

    def waiting(self) -> Iterator[WaitingRow]:
        """Yield the fills that have no attempt and should have, or will."""

    def cursors(self) -> Iterator[CursorRow]:
        """Yield every cursor."""

    def ranges(self) -> Iterator[RangeRow]:
        """Yield every proved range by scope and block."""

    def unconfirmed(self) -> Iterator[UnconfirmedRow]:
        """Yield fills at or below the proved block of the cursor over everything that nobody confirmed."""

    def dangling(self) -> Iterator[DanglingRow]:
        """Yield rows whose counterpart is gone."""

    def counted(self) -> Iterator[CountedRow]:
        """Yield what earlier counts said, newest first for each table."""

    def count(self, until_ms: Millis) -> Mapping[str, int]:
        """Return how many rows each table has now that were created up to a time: fills, raw rows, attempts."""
