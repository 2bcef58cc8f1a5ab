"""The venue's engine: takes orders, keeps books, and hands settlements to the chain."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from copytrade.sandbox import contracts, digest, events
from copytrade.sandbox.book import Book, LevelChange, Order, own_price
from copytrade.sandbox.chain import Transaction
from copytrade.sandbox.events import BUY, Event
from copytrade.sandbox.happening import (
    BookChanged,
    BookPublished,
    Listener,
    MarketOpened,
    MarketResolved,
    SettlementSent,
    TickChanged,
    TradePrinted,
)
from copytrade.sandbox.ledger import FillLedger
from copytrade.sandbox.market import YES, Catalogue, Market
from copytrade.sandbox.matching import Leg, Match, match, would_cross
from copytrade.sandbox.micro import ONE
from copytrade.sandbox.settlement import Fill, settle
from copytrade.sandbox.timeline import Timeline

LEGS_PER_CALL_MAX = 5
"""Resting orders settled by one `matchOrders`; the operator splits longer matches."""
SHARED_TX_CHANCE = 0.12
PRINT_DELAY_MS = 80
"""From match to `last_trade_price`, as in recorded market sockets."""


@dataclass(slots=True, kw_only=True)
class PendingTransaction:
    """A settlement sent but not mined; one transaction may carry several `matchOrders`."""

    tx_hash: str
    sender: str
    to: str
    events: list[Event] = field(default_factory=list)

    def sealed(self) -> Transaction:
        """Return it as a block will hold it."""
        return Transaction(tx_hash=self.tx_hash, sender=self.sender, to=self.to, events=tuple(self.events))


class Custodian(Protocol):
    """Whoever sees to it that matches of some orders are settled, in his own time or not at all."""

    def concerns(self, taker: Order, legs: Sequence[Leg]) -> bool:
        """Say whether one of the orders is in his care."""
        ...

    def take_over(self, market: Market, taker: Order, legs: Sequence[Leg]) -> str:
        """Take the match over and return the hash of its transaction."""
        ...


class Exchange:
    """Order entry for every market. All amounts are micro-units."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        timeline: Timeline,
        ledger: FillLedger,
        publish: Listener,
        seed: int,
    ) -> None:
        """Open with the catalogue's markets and empty books."""
        self.catalogue = catalogue
        self._timeline = timeline
        self._ledger = ledger
        self._publish = publish
        self._seed = seed
        self._random = random.Random(f"{seed}:operator")
        self._books: dict[str, Book] = {}
        self._last_trade: dict[str, int] = {}
        self._changed_ms: dict[str, int] = {}
        self._pending: list[PendingTransaction] = []
        self._held: dict[tuple[str, int], int] = defaultdict(int)
        self._orders = 0
        self._transactions = 0
        self.custodian: Custodian | None = None

    def book(self, market: Market) -> Book:
        """Return the market's book."""
        return self._books.setdefault(market.condition, Book())

    def last_trade(self, market: Market) -> int | None:
        """Return the price of the last match, of its taker's outcome."""
        return self._last_trade.get(market.condition)

    def changed_ms(self, market: Market) -> int:
        """Return when the book last changed."""
        return self._changed_ms.get(market.condition, market.created_ms)

    def held(self, owner: str, token: int) -> int:
        """Return what a wallet bought less what it sold, micro-shares, matched ones included.

        Negative for wallets that sell out of a split this world does not record.
        """
        return self._held[owner, token]

    def new_order(self, *, owner: str, outcome: int, side: int, price: int, size: int) -> Order:
        """Make an order with a hash of its own."""
        self._orders += 1
        return Order(
            order_hash=digest.derive_hash("order", self._seed, self._orders),
            owner=owner,
            outcome=outcome,
            side=side,
            price=price,
            size=size,
        )

    def submit(self, market: Market, order: Order, *, rest: bool) -> Match:
        """Match the order, then rest what is left or drop it."""
        book = self.book(market)
        self._clear_own(market, order)
        result = match(book, order)
        changes = list(result.changes)
        if rest and result.unfilled:
            changes.insert(0, book.add(order, remaining=result.unfilled))
        if result.legs:
            self._settle(market, order, result.legs)
        self._changed(market, changes)
        if result.legs:
            self._publish(BookPublished(market=market, at_ms=self._timeline.now_ms))
        return result

    def match_directly(
        self,
        market: Market,
        taker: Order,
        makers: Sequence[Order],
        *,
        pending: PendingTransaction | None = None,
    ) -> PendingTransaction:
        """Settle orders against each other beside the book, in one `matchOrders`.

        It goes into `pending` when given, else into a transaction of its own.
        """
        legs = [Leg(maker=maker, size=maker.size, book_price=maker.book_price) for maker in makers]
        used = pending or self._new_transaction(market)
        self._call_match_orders(used, market, taker, legs)
        self._note_trade(market, taker, legs, used.tx_hash)
        return used

    def prepare(self, market: Market) -> PendingTransaction:
        """Make a transaction of its own hash that is not sent yet."""
        self._transactions += 1
        return PendingTransaction(
            tx_hash=digest.derive_hash("tx", self._seed, self._transactions),
            sender=digest.derive_address("operator", self._random.randrange(50)),
            to=market.exchange,
        )

    def send(self, pending: PendingTransaction, market: Market, taker: Order, legs: Sequence[Leg]) -> None:
        """Send a prepared transaction that settles a match; the next block has it."""
        self._pending.append(pending)
        self._call_match_orders(pending, market, taker, legs)

    def restate(self, market: Market, changes: Iterable[LevelChange], *, last_trade: int | None) -> None:
        """Set recorded levels without telling anybody: the recording has its own messages."""
        for change in changes:
            self.book(market).restate(change, owner=contracts.ZERO_ADDRESS)
        if last_trade is not None:
            self._last_trade[market.condition] = last_trade
        self._changed_ms[market.condition] = self._timeline.now_ms

    def queue_settlement(self, market: Market, taker: Order, maker: Order, *, tx_hash: str) -> None:
        """Settle two orders under a given transaction hash, without a print."""
        pending = PendingTransaction(
            tx_hash=tx_hash, sender=digest.derive_address("operator", tx_hash), to=market.exchange
        )
        self._pending.append(pending)
        leg = Leg(maker=maker, size=maker.size, book_price=maker.book_price)
        self._call_match_orders(pending, market, taker, [leg])

    def cancel(self, market: Market, order_hash: str) -> None:
        """Take an order off the book, if it is still there."""
        change = self.book(market).cancel(order_hash)
        if change is not None:
            self._changed(market, [change])

    def set_levels(
        self, market: Market, *, owner: str, bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]]
    ) -> None:
        """Replace the book by resting orders of one owner; prices of the first outcome.

        Orders in somebody's care stay, and match what reaches them.
        """
        book = self.book(market)
        kept = [order for order in book.orders() if self.custodian is not None and self.custodian.concerns(order, ())]
        gone = [order for order in book.orders() if order not in kept]
        changes = [change for order in gone if (change := book.cancel(order.order_hash)) is not None]
        for side, levels in ((0, bids), (1, asks)):
            for price, size in levels:
                order = self.new_order(owner=owner, outcome=YES, side=side, price=price, size=size)
                if any(other.is_bid != order.is_bid and would_cross(order, other.book_price) for other in kept):
                    self.submit(market, order, rest=True)
                else:
                    changes.append(book.add(order, remaining=size))
        self._changed(market, list({(c.is_bid, c.price): c for c in changes}.values()))
        self._publish(BookPublished(market=market, at_ms=self._timeline.now_ms))

    def open_market(self, market: Market) -> None:
        """Add a market and announce it."""
        self.catalogue.put(market)
        self._publish(MarketOpened(market=market, at_ms=self._timeline.now_ms))

    def resolve_market(self, market: Market, payouts: tuple[int, int], *, announced: bool = True) -> None:
        """Close a market, drop its book, report the payouts on the chain and announce the result.

        A market whose payouts add up to nothing is no report the contract takes.
        """
        now_ms = self._timeline.now_ms
        closed = replace(market, closed=True, payouts=payouts, resolved_ms=now_ms, resolution="resolved")
        self.catalogue.put(closed)
        self._books[market.condition] = Book()
        if market.version == "v1" and any(payouts):
            self.report_payouts(market, payouts)
        if announced:
            winner = payouts.index(ONE) if ONE in payouts else None
            self._publish(MarketResolved(market=closed, winner=winner, at_ms=now_ms))

    def report_payouts(self, market: Market, payouts: tuple[int, int]) -> None:
        """Put the report of an oracle into the next block."""
        pending = self._new_transaction(market)
        question = digest.derive_hash("question", market.condition)
        oracle = digest.derive_address("oracle")
        pending.to = contracts.CONDITIONAL_TOKENS
        pending.events.append(
            events.condition_resolution(condition=market.condition, oracle=oracle, question=question, payouts=payouts)
        )

    def await_resolution(self, market: Market, resolution: str) -> None:
        """Say how far the oracle has come; trading goes on."""
        self.catalogue.put(replace(market, resolution=resolution))

    def change_tick(self, market: Market, tick: int) -> None:
        """Give a market another tick and announce it."""
        changed = replace(market, tick=tick)
        self.catalogue.put(changed)
        self._publish(TickChanged(market=changed, old_tick=market.tick, at_ms=self._timeline.now_ms))

    def take_pending(self) -> list[Transaction]:
        """Return the settlements that the next block includes."""
        ready = [pending.sealed() for pending in self._pending]
        self._pending.clear()
        return ready

    def _clear_own(self, market: Market, order: Order) -> None:
        book = self.book(market)
        opposite = [resting for resting in book.orders() if resting.is_bid != order.is_bid]
        for resting in opposite:
            if resting.owner == order.owner and would_cross(order, resting.book_price):
                self.cancel(market, resting.order_hash)

    def _changed(self, market: Market, changes: Sequence[LevelChange]) -> None:
        if not changes:
            return
        # What one order does has one stamp and one hash; two orders never share them, as in recordings of the venue.
        at_ms = max(self._timeline.now_ms, self._changed_ms.get(market.condition, 0) + 1)
        self._changed_ms[market.condition] = at_ms
        messages = tuple((change,) for change in changes)
        self._publish(BookChanged(market=market, messages=messages, at_ms=at_ms))

    def _settle(self, market: Market, taker: Order, legs: Sequence[Leg]) -> None:
        if self.custodian is not None and self.custodian.concerns(taker, legs):
            self._note_trade(market, taker, legs, self.custodian.take_over(market, taker, legs))
            return
        pending = self._transaction(market)
        for start in range(0, len(legs), LEGS_PER_CALL_MAX):
            if start and self._random.getrandbits(1):
                pending = self._transaction(market)
            self._call_match_orders(pending, market, taker, legs[start : start + LEGS_PER_CALL_MAX])
        self._note_trade(market, taker, legs, pending.tx_hash)

    def _call_match_orders(
        self, pending: PendingTransaction, market: Market, taker: Order, legs: Sequence[Leg]
    ) -> None:
        settled = settle(market, taker, legs)
        offset = len(pending.events)
        pending.events.extend(settled.events)
        fills: list[tuple[int, Fill]] = [(offset + at, fill) for at, fill in settled.fills]
        self._ledger.announce(pending.tx_hash, fills)
        for _, fill in fills:
            bought = fill.size if fill.side == BUY else -fill.size
            self._held[fill.owner, fill.token] += bought
        sent = tuple(fill for _, fill in fills)
        self._publish(SettlementSent(tx_hash=pending.tx_hash, fills=sent, at_ms=self._timeline.now_ms))

    def _transaction(self, market: Market) -> PendingTransaction:
        shareable = self._pending and self._pending[-1].to == market.exchange
        if shareable and self._random.random() < SHARED_TX_CHANCE:
            return self._pending[-1]
        return self._new_transaction(market)

    def _new_transaction(self, market: Market) -> PendingTransaction:
        pending = self.prepare(market)
        self._pending.append(pending)
        return pending

    def _note_trade(self, market: Market, taker: Order, legs: Sequence[Leg], tx_hash: str) -> None:
        self._last_trade[market.condition] = own_price(legs[-1].book_price, taker.outcome)
        self._schedule_print(market, taker, legs, tx_hash)

    def _schedule_print(self, market: Market, taker: Order, legs: Sequence[Leg], tx_hash: str) -> None:
        size = sum(leg.size for leg in legs)
        price = own_price(legs[-1].book_price, taker.outcome)
        printed_ms = self._timeline.now_ms + PRINT_DELAY_MS

        def print_trade() -> None:
            self._publish(
                TradePrinted(
                    market=market,
                    outcome=taker.outcome,
                    side=taker.side,
                    price=price,
                    size=size,
                    tx_hash=tx_hash,
                    at_ms=printed_ms,
                )
            )

        self._timeline.after(PRINT_DELAY_MS, print_trade)
