"""What the venue announces about a market while it trades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from copytrade.domain.units import Price


@dataclass(frozen=True, slots=True, kw_only=True)
class TickSizeChanged:
    """The grid of a market's prices changed; announced once for each outcome, sometimes twice."""

    condition_id: str
    token_id: str
    tick_size: Price


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketResolved:
    """A market was resolved; `winning_token_id` is None when the venue names no single winner."""

    condition_id: str
    token_ids: tuple[str, ...]
    winning_token_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketListed:
    """A market was opened."""

    condition_id: str
    token_ids: tuple[str, ...]


MarketEvent: TypeAlias = TickSizeChanged | MarketResolved | MarketListed
