"""What a leader did: one fill of one of his orders, as a source reported it and as the ledger holds it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from copytrade.domain.units import Millis, Price, Shares, Usdc


class Side(StrEnum):
    """The side of the order that was filled, from its owner's view."""

    BUY = "BUY"
    SELL = "SELL"


class LeaderRole(StrEnum):
    """Whether the leader's order rested (maker) or crossed (taker)."""

    MAKER = "maker"
    TAKER = "taker"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """Where a sighting of a fill came from."""

    POLYGON = "polygon"
    DATA_API = "data_api"
    RTDS = "rtds"
    LEADER_EVENT = "leader_event"
    """An exit that is no sale, mirrored: such a fill was never on an exchange, and is nobody's report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPlace:
    """Where on the chain an `OrderFilled` log was seen; addresses and hashes in lower-case hex.

    The place is not the identity: a reorg moves a log, while (transaction hash, order hash, ordinal of
    that order's logs in the transaction) stay.
    """

    exchange_address: str
    block_number: int
    block_hash: str
    log_index: int
    order_hash: str
    maker: str
    taker: str

    def dedupe_key(self, tx_hash: str) -> str:
        """Return exchange|block|tx|logIndex, the key under which a chain row is unique."""
        return f"{self.exchange_address}|{self.block_number}|{tx_hash}|{self.log_index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderFill:
    """One fill of a leader's order.

    `place` and `fee` are None while only an API has reported it. `price` is `usdc` over `size`, to the
    nearest micro-unit; `usdc` excludes the fee. `fill_ts_ms` is the block's own time (whole seconds).
    """

    leader: str
    source: Source
    tx_hash: str
    token_id: str
    side: Side
    role: LeaderRole
    price: Price
    size: Shares
    usdc: Usdc
    fee: Usdc | None
    fill_ts_ms: Millis
    detected_at_ms: Millis
    place: LogPlace | None

    @property
    def aged_from_ms(self) -> Millis:
        """When its age begins: at its block; at its detection where it is told by nothing faster than an API."""
        return self.detected_at_ms if self.source is Source.LEADER_EVENT else self.fill_ts_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One source's report of a fill, with its payload as received.

    `source_key` is unique within the source, so the same report read twice is one raw row:
    blockHash|txHash|logIndex for a log, and txHash|leader|token|side|size|price|n for an API row, where n
    counts identical rows from 0.
    """

    fill: LeaderFill
    source_key: str
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFill:
    """A leader fill as the ledger holds it, deduplicated over all sources."""

    id: UUID
    leader_id: UUID
    dedupe_key: str
    fill: LeaderFill


def api_dedupe_key(source: Source, source_key: str) -> str:
    """Return the key of a fill that only an API has reported; the chain row rewrites it."""
    return f"{source}|{source_key}"
