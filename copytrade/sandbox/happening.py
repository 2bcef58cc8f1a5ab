"""What happens in the world, told to the sockets in the order it happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from copytrade.sandbox.book import LevelChange
from copytrade.sandbox.chain import Block
from copytrade.sandbox.market import Market
from copytrade.sandbox.settlement import Fill


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockMined:
    """A new head."""

    block: Block


@dataclass(frozen=True, slots=True, kw_only=True)
class BlocksRemoved:
    """Blocks that a reorg took off the chain, oldest first; their successors follow."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookChanged:
    """Level changes of one order; each inner tuple is one socket message."""

    market: Market
    messages: tuple[tuple[LevelChange, ...], ...]
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookPublished:
    """The venue sends whole books again, as it does after each trade."""

    market: Market
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TradePrinted:
    """A settlement was sent; side, price and outcome are the taker's, micro-units."""

    market: Market
    outcome: int
    side: int
    price: int
    size: int
    tx_hash: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementSent:
    """One `matchOrders` was sent to the chain; its fills in the order of their logs, the taker's last."""

    tx_hash: str
    fills: tuple[Fill, ...]
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TickChanged:
    """The market's tick changed; `market` already has the new one."""

    market: Market
    old_tick: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOpened:
    """A market was created."""

    market: Market
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketResolved:
    """A market ended; `winner` is the outcome that pays one, None when both pay a half."""

    market: Market
    winner: int | None
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameReplayed:
    """A recorded socket message, ready to send to subscribers of the market."""

    market: Market
    frame: dict[str, object]
    at_ms: int


Happening = (
    BlockMined
    | BlocksRemoved
    | BookChanged
    | BookPublished
    | TradePrinted
    | SettlementSent
    | TickChanged
    | MarketOpened
    | MarketResolved
    | FrameReplayed
)
Listener = Callable[[Happening], None]
