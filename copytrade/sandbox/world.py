"""The coherent little world: markets, books, chain and records, moved by one timeline."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from copytrade.sandbox import digest
from copytrade.sandbox.catalogue import Listing, list_markets, register
from copytrade.sandbox.chain import Block, Chain, Transaction
from copytrade.sandbox.contracts import COLLATERAL
from copytrade.sandbox.events import collateral_transfer
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.flow import Flow, list_leaders
from copytrade.sandbox.happening import BlockMined, BlocksRemoved, Happening, Listener
from copytrade.sandbox.leading import Leader
from copytrade.sandbox.ledger import FillLedger
from copytrade.sandbox.timeline import Timeline

BLOCK_LEAD_MS = 750
"""A head arrives this long before its own timestamp on average (measured 2026-09)."""
PAYMENTS_MAX = 3
BLOCK_JITTER = 0.08
"""Blocks are this much early or late at most, as a part of the block time."""


class ReorgFate(StrEnum):
    """What becomes of the transactions of replaced blocks."""

    MOVED = "moved"
    """They are in other new blocks, at other log indexes."""
    DELAYED = "delayed"
    """They are mined in the first block after the new ones."""
    DROPPED = "dropped"
    """They never happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldConfig:
    """What the world is made of; times in ms, `start_ms` in Unix ms."""

    start_ms: int
    seed: int = 0
    block_ms: int = 1_500
    finality_depth: int = 3
    history_blocks: int = 120
    first_block: int = 97_640_000
    index_delay_ms: int = 2_000
    filler_markets: int = 110
    invented_flow: bool = True
    crossing_chance: float = 0
    """How likely a maker trades with an order that stands in the way of a quote of his, instead of not quoting."""


class World:
    """Everything the services answer from. Nothing in it waits or reads a clock.

    `advance` moves time; the same seed and start give the same world, however often it is
    called.
    """

    def __init__(
        self,
        config: WorldConfig,
        *,
        listings: Sequence[Listing] | None = None,
        past: Sequence[tuple[Transaction, ...]] = (),
    ) -> None:
        """Build the world and let it live through its history up to `start_ms`.

        `listings` replace the invented markets and leaders; `past` gives the transactions of
        the first blocks.
        """
        self.config = config
        history_ms = config.history_blocks * max(config.block_ms, 1_500)
        self.timeline = Timeline(start_ms=config.start_ms - history_ms)
        self.chain = Chain(first_number=config.first_block, finality_depth=config.finality_depth)
        self.ledger = FillLedger()
        self._listeners: list[Listener] = []
        self._random = random.Random(f"{config.seed}:chain")
        self._payments = 0
        self._delayed: list[Transaction] = []
        self._planned: deque[tuple[Transaction, ...]] = deque(past)
        known = list(
            list_markets(seed=config.seed, start_ms=config.start_ms, filler=config.filler_markets)
            if listings is None
            else listings
        )
        self.exchange = Exchange(
            catalogue=register(known),
            timeline=self.timeline,
            ledger=self.ledger,
            publish=self.publish,
            seed=config.seed,
        )
        self.leaders: list[Leader] = list_leaders(config.seed) if listings is None else []
        self.flow = Flow(
            exchange=self.exchange,
            timeline=self.timeline,
            listings=known,
            leaders=self.leaders,
            seed=config.seed,
            crossing_chance=config.crossing_chance,
        )
        self._begin(history_ms)

    @property
    def now_ms(self) -> int:
        """The world's time, Unix ms."""
        return self.timeline.now_ms

    def listen(self, listener: Listener) -> None:
        """Call `listener` with everything that happens from now on."""
        self._listeners.append(listener)

    def publish(self, happening: Happening) -> None:
        """Tell every listener."""
        for listener in self._listeners:
            listener(happening)

    def advance(self, now_ms: int) -> None:
        """Let everything happen that is due by `now_ms`."""
        self.timeline.advance(now_ms)

    def plan(self, transactions: tuple[Transaction, ...]) -> None:
        """Put transactions, with their exact log indexes, into the next block."""
        self._planned.append(transactions)

    def mine(self) -> Block:
        """Seal a block with every settlement waiting, now."""
        planned = self._planned.popleft() if self._planned else ()
        transactions = [
            *self._unrelated(),
            *planned,
            *self._delayed,
            *self.exchange.take_pending(),
        ]
        self._delayed = []
        return self._append(transactions)

    def reorg(self, *, depth: int, fate: ReorgFate = ReorgFate.MOVED, extra: int = 1) -> tuple[Block, ...]:
        """Replace the newest `depth` blocks by `depth + extra` others; return the new ones."""
        removed = self.chain.remove_top(depth)
        self.ledger.remove(removed)
        self.publish(BlocksRemoved(blocks=removed))
        waiting = [
            transaction for block in removed for transaction in block.transactions if transaction.to != COLLATERAL
        ]
        if fate is not ReorgFate.MOVED:
            self._delayed.extend(waiting if fate is ReorgFate.DELAYED else ())
            waiting = []
        added = []
        for at in range(len(removed) + extra):
            last = at == len(removed) + extra - 1
            count = len(waiting) if last else len(waiting) // 2
            batch, waiting = waiting[:count][::-1], waiting[count:]
            added.append(self._append([*self._unrelated(at_least=at + 1), *batch]))
        return tuple(added)

    def _begin(self, history_ms: int) -> None:
        self._append([])
        self.flow.open_books()
        if self.config.invented_flow:
            self.flow.start()
        if self.config.block_ms:
            self.timeline.after(self.config.block_ms, self._mine_on_schedule)
            self.timeline.advance(self.config.start_ms)
        else:
            for _ in range(self.config.history_blocks):
                step = history_ms // self.config.history_blocks
                self.timeline.advance(self.now_ms + step)
                self.mine()
        if self.config.invented_flow:
            self.flow.begin_present()

    def _mine_on_schedule(self) -> None:
        late_ms = int(self.config.block_ms * self._random.uniform(-BLOCK_JITTER, BLOCK_JITTER))
        self.timeline.after(self.config.block_ms + late_ms, self._mine_on_schedule)
        self.mine()

    def _append(self, transactions: Sequence[Transaction]) -> Block:
        now_ms = self.timeline.now_ms
        timestamp = (now_ms + BLOCK_LEAD_MS + 500) // 1_000
        if self.chain.height:
            timestamp = max(timestamp, self.chain.head.timestamp)
        block = self.chain.append(transactions, timestamp=timestamp, mined_ms=now_ms)
        self.ledger.place(block)
        self.publish(BlockMined(block=block))
        return block

    def _unrelated(self, *, at_least: int = 0) -> list[Transaction]:
        """Make payments of other people, so that log indexes are not predictable."""
        made = []
        for _ in range(max(at_least, self._random.randrange(PAYMENTS_MAX + 1))):
            self._payments += 1
            sender = digest.derive_address("payer", self._random.randrange(500))
            receiver = digest.derive_address("payee", self._random.randrange(500))
            event = collateral_transfer(sender=sender, receiver=receiver, amount=self._random.randrange(1, 10**9))
            made.append(
                Transaction(
                    tx_hash=digest.derive_hash("payment", self.config.seed, self._payments),
                    sender=sender,
                    to=COLLATERAL,
                    events=(event,),
                )
            )
        return made
