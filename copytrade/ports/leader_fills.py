"""Where leader fills come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from copytrade.domain.fills import Sighting, Source
    from copytrade.domain.leaders import Leader
    from copytrade.domain.units import Millis

ANY_ADDRESS: Final = "*"


class SourceUnusableError(Exception):
    """The source can never work as configured (wrong chain, not JSON, refused): a person must act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorScope:
    """What one cursor row covers; `*` stands for every exchange or every leader. The role is always maker."""

    exchange_address: str = ANY_ADDRESS
    leader_address: str = ANY_ADDRESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a scope has been read (`last_processed_block`) and proved (`proved_block`), inclusive.

    `proved_block` None means nothing has been proved yet; it never exceeds `last_processed_block`.
    """

    scope: CursorScope
    last_processed_block: int
    proved_block: int | None


class ProofMethod(StrEnum):
    """What showed that an answer for a block is complete."""

    BLOOM = "bloom"
    SECOND_READ = "second_read"
    SECOND_PROVIDER = "second_provider"
    RECEIPTS = "receipts"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedRange:
    """Final blocks, both ends included, that were proved complete for a scope; adjacent ones become one.

    `is_single_source` if all there is for some of them is the word of one provider.
    """

    scope: CursorScope
    from_block: int
    to_block: int
    methods: frozenset[ProofMethod]
    is_single_source: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FillsSeen:
    """Fills a source reports, with the cursor that moves once they are stored (in the same transaction).

    A live notification carries no cursor; a completed range does, also when it holds no fills. What was
    proved travels with the cursor that tells of it; `head_block` is the newest block the nodes know.
    """

    source: Source
    sightings: tuple[Sighting, ...]
    cursor: Cursor | None = None
    proved: tuple[ProvedRange, ...] = ()
    head_block: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRef:
    """One log of one block: what a reorg takes away."""

    block_hash: str
    tx_hash: str
    log_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FillsRemoved:
    """Logs that are no longer on the canonical chain; `rewind_to` is the block the cursor falls back to."""

    logs: tuple[LogRef, ...]
    rewind_to: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FillsConfirmed:
    """API rows that a later poll still returns, by source key: confirmed where no chain source runs."""

    source: Source
    source_keys: tuple[str, ...]
    at_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainConfirmed:
    """Every fill at or below `block_number` is final: its block is on the finalized chain."""

    block_number: int
    at_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceNote:
    """Something an operator should find later: code such as RECONNECTED, QUARANTINED, GAP_FILLED, DRIFT.

    `detail` is JSON-ready; a quarantined item carries its payload (cut to a bound) under "payload".
    """

    source: Source
    code: str
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProgress:
    """How far long work has come, for who watches now: it is shown, and kept nowhere."""

    source: Source
    code: str
    detail: Mapping[str, object]


SourceEvent: TypeAlias = FillsSeen | FillsRemoved | FillsConfirmed | ChainConfirmed | SourceNote | SourceProgress


class LeaderRoll(Protocol):
    """The enabled leaders right now; changes while running."""

    def leaders(self) -> Mapping[str, Leader]:
        """Return the enabled leaders by lower-case address; a new object after each change."""

    async def changed(self) -> None:
        """Wait until `leaders` would return something else than it did at this call."""


class CursorReader(Protocol):
    """The cursors as last committed."""

    async def cursor(self, scope: CursorScope) -> Cursor | None:
        """Return the cursor of exactly this scope, None if it never moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLog:
    """A log that is the place of a stored fill."""

    ref: LogRef
    block_number: int
    leader: str


class StoredLogs(Protocol):
    """The logs behind stored fills, as last committed."""

    async def unconfirmed_logs(self) -> tuple[StoredLog, ...]:
        """Return the logs of fills that are neither confirmed nor orphaned, lowest block first."""


class LeaderFillSource(Protocol):
    """A feed of leader fills: at least once, in any order, possibly with duplicates."""

    def events(self) -> AsyncIterator[SourceEvent]:
        """Yield what the feed reports until cancelled, healing its own connections.

        Starts from the committed cursor where the feed has one, so that nothing is missed over a
        restart. The consumer stores an event before it takes the next one.

        :raises SourceUnusableError: the feed can never work as configured.
        """
