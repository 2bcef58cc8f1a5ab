"""Trades of accounts on their way to the chain: matched, mined, confirmed, or retried and failed."""

from __future__ import annotations

import functools
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from copytrade.sandbox import digest
from copytrade.sandbox.book import Order, own_price
from copytrade.sandbox.chain import Block
from copytrade.sandbox.events import BUY
from copytrade.sandbox.exchange import LEGS_PER_CALL_MAX, Exchange, PendingTransaction
from copytrade.sandbox.happening import BlockMined, BlocksRemoved, Happening
from copytrade.sandbox.market import Market
from copytrade.sandbox.matching import Leg
from copytrade.sandbox.settlement import Fill, settle
from copytrade.sandbox.timeline import Timeline
from copytrade.sandbox.trading.conditions import Conditions, Fate
from copytrade.sandbox.trading.funds import Funds

KEPT_MAX = 100_000
"""How many trades are remembered; the oldest are forgotten first."""
REORG_PATIENCE_MS = 10_000
"""How long a trade may be without a block after a reorg took its own away."""


class TradeStatus(StrEnum):
    """Where a trade is; the last two are final."""

    MATCHED = "MATCHED"
    MINED = "MINED"
    RETRYING = "RETRYING"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"


@dataclass(slots=True, kw_only=True)
class Trade:
    """One taker against some makers in one transaction; `fills` as the chain will carry them, the taker's last.

    `bucket` counts the trades one match was split into.
    """

    trade_id: str
    market: Market
    taker: Order
    legs: tuple[Leg, ...]
    fills: tuple[Fill, ...]
    bucket: int
    matched_ms: int
    updated_ms: int
    transaction: PendingTransaction
    fate: Fate
    attempts: int = 0
    status: TradeStatus = TradeStatus.MATCHED
    is_sent: bool = False
    block_number: int | None = None

    @property
    def taker_fill(self) -> Fill:
        """The taker's side of it."""
        return self.fills[-1]

    @property
    def price(self) -> int:
        """The price of the last leg, of the taker's outcome, micro-units."""
        return own_price(self.legs[-1].book_price, self.taker.outcome)

    @property
    def is_owed(self) -> bool:
        """Whether the chain still has to move what it moves."""
        return self.status is not TradeStatus.FAILED and self.block_number is None

    def outflow(self, wallet: str, token: int | None) -> int:
        """Return what it takes from a wallet: shares of a token, or for None collateral with fees."""
        total = 0
        for fill in self.fills:
            given = None if fill.side == BUY else fill.token
            if fill.owner == wallet and given == token:
                total += fill.maker_amount + (fill.fee if fill.side == BUY else 0)
        return total


class Settlements:
    """Sends trades to the chain and follows what becomes of them."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        timeline: Timeline,
        funds: Funds,
        conditions: Conditions,
        finalized: Callable[[], int],
        tell: Callable[[Trade], None],
        seed: int,
    ) -> None:
        """Call `tell` at every new status of a trade."""
        self._exchange = exchange
        self._timeline = timeline
        self._funds = funds
        self._conditions = conditions
        self._finalized = finalized
        self._tell = tell
        self._seed = seed
        self._made = 0
        self._by_id: dict[str, Trade] = {}
        self._on_way: dict[str, Trade] = {}
        """Trades that are not final, by the hash of their present transaction."""

    def all(self) -> Iterable[Trade]:
        """Return every trade in the order they were matched."""
        return self._by_id.values()

    def find(self, trade_id: str) -> Trade:
        """Return a trade by its id; raises KeyError."""
        return self._by_id[trade_id]

    def owed_by(self, wallet: str, token: int | None) -> int:
        """Return what matched trades will take from a wallet: of a token, or of its collateral."""
        return sum(trade.outflow(wallet, token) for trade in self._on_way.values() if trade.is_owed)

    def begin(self, market: Market, taker: Order, legs: Sequence[Leg]) -> list[Trade]:
        """Make the trades of a match; they are sent a little later."""
        return [
            self._make(market, taker, tuple(legs[start : start + LEGS_PER_CALL_MAX]), bucket)
            for bucket, start in enumerate(range(0, len(legs), LEGS_PER_CALL_MAX))
        ]

    def hear(self, happening: Happening) -> None:
        """Follow the chain."""
        if not self._on_way:
            return
        if isinstance(happening, BlockMined):
            self._mined(happening.block)
        elif isinstance(happening, BlocksRemoved):
            self._removed({block.number for block in happening.blocks})

    def _make(self, market: Market, taker: Order, legs: tuple[Leg, ...], bucket: int) -> Trade:
        self._made += 1
        now_ms = self._timeline.now_ms
        trade = Trade(
            trade_id=str(uuid.UUID(bytes=digest.derive("trade", self._seed, self._made)[:16], version=4)),
            market=market,
            taker=taker,
            legs=legs,
            fills=tuple(fill for _, fill in settle(market, taker, legs).fills),
            bucket=bucket,
            matched_ms=now_ms,
            updated_ms=now_ms,
            transaction=self._exchange.prepare(market),
            fate=self._conditions.draw_fate(),
        )
        self._by_id[trade.trade_id] = self._on_way[trade.transaction.tx_hash] = trade
        if len(self._by_id) > KEPT_MAX:
            del self._by_id[next(iter(self._by_id))]
        if trade.fate is not Fate.NEVER:
            self._timeline.after(self._conditions.broadcast_ms, functools.partial(self._attempt, trade))
        return trade

    def _attempt(self, trade: Trade) -> None:
        """Send the transaction, or see it fail: as decided, or because somebody cannot pay."""
        is_spoiled = trade.fate is Fate.FAIL or (trade.fate is Fate.RETRY and trade.attempts == 0)
        trade.attempts += 1
        if not is_spoiled and self._can_be_paid(trade):
            trade.is_sent = True
            self._exchange.send(trade.transaction, trade.market, trade.taker, trade.legs)
            return
        if trade.attempts > self._conditions.retries:
            self._end(trade, TradeStatus.FAILED)
            return
        self._change(trade, TradeStatus.RETRYING)
        del self._on_way[trade.transaction.tx_hash]
        trade.transaction = self._exchange.prepare(trade.market)
        self._on_way[trade.transaction.tx_hash] = trade
        self._timeline.after(self._conditions.retry_ms, functools.partial(self._attempt, trade))

    def _can_be_paid(self, trade: Trade) -> bool:
        """Say whether the chain would let everybody involved give what he owes, after what is sent already."""
        sent: dict[tuple[str, int | None], int] = defaultdict(int)
        for other in self._on_way.values():
            if other is trade or (other.is_sent and other.is_owed):
                for fill in other.fills:
                    given = None if fill.side == BUY else fill.token
                    sent[fill.owner, given] += fill.maker_amount + (fill.fee if fill.side == BUY else 0)
        return all(
            self._funds.can_give(fill, sent[fill.owner, None if fill.side == BUY else fill.token])
            for fill in trade.fills
        )

    def _mined(self, block: Block) -> None:
        for transaction in block.transactions:
            trade = self._on_way.get(transaction.tx_hash)
            if trade is not None:
                trade.block_number = block.number
                self._change(trade, TradeStatus.MINED)
        final = self._finalized()
        for trade in list(self._on_way.values()):
            if trade.block_number is not None and trade.block_number <= final:
                self._end(trade, TradeStatus.CONFIRMED)

    def _removed(self, numbers: set[int]) -> None:
        for trade in self._on_way.values():
            if trade.block_number in numbers:
                trade.block_number = None
                self._timeline.after(REORG_PATIENCE_MS, functools.partial(self._give_up, trade))

    def _give_up(self, trade: Trade) -> None:
        if trade.is_owed and trade.transaction.tx_hash in self._on_way:
            self._end(trade, TradeStatus.FAILED)

    def _end(self, trade: Trade, status: TradeStatus) -> None:
        del self._on_way[trade.transaction.tx_hash]
        self._change(trade, status)

    def _change(self, trade: Trade, status: TradeStatus) -> None:
        trade.status = status
        trade.updated_ms = self._timeline.now_ms
        self._tell(trade)
