"""Who can say, apart from the worker's own feed, what a leader traded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from copytrade.domain.fills import Side, Sighting
    from copytrade.domain.units import Millis, Shares


class WitnessUnavailableError(Exception):
    """A witness cannot answer; the text starts with its name (polygon, data_api)."""


class PastLostError(WitnessUnavailableError):
    """The chain of that time is kept by nobody who was asked; from `from_ms` on every block is kept."""

    def __init__(self, text: str, *, from_ms: Millis) -> None:
        super().__init__(text)
        self.from_ms = from_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One trade of an account, as far as every witness tells it; identical ones are real.

    `block_number` is what the chain tells beside, `fill_id` what our own tables call it.
    """

    tx_hash: str
    token_id: str
    side: Side
    size: Shares
    at_ms: Millis
    account: str = ""
    block_number: int | None = None
    fill_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainPart:
    """What the blocks up to `last` held; `is_agreed` if two providers said so.

    `sightings` are the logs the trades stand on, as a source would report them.
    """

    last: int
    trades: tuple[Trade, ...]
    is_agreed: bool
    sightings: tuple[Sighting, ...] = ()


class ChainWitness(Protocol):
    """The chain, read afresh."""

    async def final_block(self) -> tuple[int, Millis]:
        """Return the newest final block and its time.

        :raises WitnessUnavailableError: no node answers as it should.
        """

    async def first_block_at(self, at_ms: Millis) -> int:
        """Return the first block that is not before a time.

        :raises WitnessUnavailableError: no node answers as it should.
        """

    async def read(self, accounts: Sequence[str], *, first: int, limit: int) -> ChainPart:
        """Return the trades of accounts from a final block on, up to `limit` or as far as one answer reaches.

        :raises WitnessUnavailableError: no node answers as it should.
        """


class TransactionWitness(Protocol):
    """The chain, asked for single transactions."""

    async def block_of(self, tx_hash: str) -> int | None:
        """Return the final block in which a transaction succeeded, None if it failed or every node knows none.

        :raises WitnessUnavailableError: a node does not answer as it should, or the block is not final.
        """


class TradeWitness(Protocol):
    """Another record of an account's trades."""

    async def trades(self, account: str, *, since_ms: Millis) -> Sequence[Trade]:
        """Return all trades since a time (whole seconds).

        :raises WitnessUnavailableError: it cannot be read.
        """
