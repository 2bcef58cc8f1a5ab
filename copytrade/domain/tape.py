"""What the venue tells about a market beside its books: trades as they are printed, and announcements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from copytrade.domain.fills import Side
    from copytrade.domain.market_events import MarketResolved, TickSizeChanged
    from copytrade.domain.units import Millis, Price, Shares


@dataclass(frozen=True, slots=True, kw_only=True)
class TradePrint:
    """One settlement as the venue prints it: the taker's token and side, its total size, the last price it reached.

    It follows the change of the book that the trade made, recorded ones by 70 to 90 ms.
    """

    token_id: str
    side: Side
    price: Price
    size: Shares


Told: TypeAlias = "TradePrint | TickSizeChanged | MarketResolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeEntry:
    """One thing that was told; numbers grow and never repeat within a process, `at_ms` is our clock."""

    number: int
    at_ms: Millis
    told: Told
