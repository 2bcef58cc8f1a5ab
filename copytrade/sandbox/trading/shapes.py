"""Orders and trades as the venue spells them, for requests and for the user socket."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from copytrade.sandbox import digest
from copytrade.sandbox.book import Order, own_price
from copytrade.sandbox.events import BUY
from copytrade.sandbox.matching import Leg
from copytrade.sandbox.micro import decimal_text
from copytrade.sandbox.settlement import Fill
from copytrade.sandbox.trading.conditions import Conditions
from copytrade.sandbox.trading.feed import OrderEvent
from copytrade.sandbox.trading.orders import PlacedOrder, PlacedOrders
from copytrade.sandbox.trading.trades import Trade

SIDES = ("BUY", "SELL")
NOT_SENT = "MATCHED_NOT_BROADCASTED"

Json = dict[str, Any]


class Spelling:
    """Spells what needs to know more than one order or trade: who owns the other sides."""

    def __init__(self, *, orders: PlacedOrders, conditions: Conditions) -> None:
        """Look owners up in the given orders."""
        self._orders = orders
        self._conditions = conditions

    def answer(self, order: PlacedOrder, trades: Sequence[Trade], *, word: str) -> Json:
        """Return the answer to an order that was taken."""
        given, got = (order.spent, order.matched) if order.is_buy else (order.matched, order.spent)
        hashes = [trade.transaction.tx_hash for trade in trades]
        return {
            "success": True,
            "errorMsg": None if self._conditions.null_errors else "",
            "orderID": order.order_id,
            "status": word,
            "makingAmount": self._amount(given),
            "takingAmount": self._amount(got),
            "transactionsHashes": hashes if self._conditions.hashes_inline else [],
            "tradeIDs": [trade.trade_id for trade in trades],
        }

    def order(self, order: PlacedOrder) -> Json:
        """Return an order as requests for it are answered."""
        return {
            **self._facts(order),
            "status": order.status,
            "created_at": order.created_ms // 1_000,
            "associate_trades": list(order.trade_ids),
        }

    def order_message(self, order: PlacedOrder, event: OrderEvent, *, status: str, at_ms: int) -> Json:
        """Return an order as the user socket tells of it."""
        return {
            **self._facts(order),
            "event_type": "order",
            "type": event,
            "order_owner": order.signed.owner,
            "status": status,
            "created_at": str(order.created_ms // 1_000),
            "associate_trades": list(order.trade_ids),
            "timestamp": str(at_ms),
        }

    def trade(self, trade: Trade, *, own: Sequence[PlacedOrder]) -> Json:
        """Return a trade as its owner's requests are answered."""
        unsent = trade.status == "MATCHED" and not trade.is_sent
        return {
            **self._trade_facts(trade, own),
            "status": f"TRADE_STATUS_{NOT_SENT if unsent else trade.status}",
            "transaction_hash": "" if unsent else trade.transaction.tx_hash,
        }

    def trade_message(self, trade: Trade, *, own: Sequence[PlacedOrder], at_ms: int) -> Json:
        """Return a trade as the user socket tells an owner of it."""
        return {
            **self._trade_facts(trade, own),
            "event_type": "trade",
            "type": "TRADE",
            "status": trade.status,
            "trade_owner": own[0].signed.owner,
            "transaction_hash": trade.transaction.tx_hash,
            "timestamp": str(at_ms),
        }

    def _amount(self, micro: int) -> str:
        if micro == 0:
            return ""
        return str(micro) if self._conditions.integer_amounts else decimal_text(micro)

    def _facts(self, order: PlacedOrder) -> Json:
        """Return what both spellings share; a FAK or FOK buyer's size is his amount, as recorded."""
        size = order.signed.collateral if order.signed.spends_budget else order.signed.shares
        return {
            "id": order.order_id,
            "market": order.market.condition,
            "asset_id": str(order.signed.fields.token),
            "owner": order.signed.owner,
            "maker_address": digest.checksummed(order.wallet),
            "side": SIDES[order.signed.fields.side],
            "original_size": decimal_text(size),
            "size_matched": decimal_text(order.matched),
            "price": decimal_text(order.limit),
            "outcome": order.market.outcomes[order.outcome],
            "expiration": str(order.signed.expiration),
            "order_type": order.signed.order_type,
        }

    def _trade_facts(self, trade: Trade, own: Sequence[PlacedOrder]) -> Json:
        """Return what both spellings share: the top is the taker's, makers are listed, whoever asks."""
        fill = trade.taker_fill
        as_taker = any(order.order_id == trade.taker.order_hash for order in own)
        return {
            "id": trade.trade_id,
            "taker_order_id": trade.taker.order_hash,
            "market": trade.market.condition,
            "asset_id": str(fill.token),
            "side": SIDES[fill.side],
            "size": decimal_text(fill.size),
            "price": decimal_text(trade.price),
            "fee_rate_bps": "0",
            "owner": self._owner(trade.taker),
            "maker_address": digest.checksummed(fill.owner),
            "outcome": trade.market.outcomes[trade.taker.outcome],
            "bucket_index": trade.bucket,
            "match_time": str(trade.matched_ms // 1_000),
            "last_update": str(trade.updated_ms // 1_000),
            "trader_side": "TAKER" if as_taker else "MAKER",
            "maker_orders": [
                self._maker(leg, made, trade.market.outcomes)
                for leg, made in zip(trade.legs, trade.fills[:-1], strict=True)
            ],
        }

    def _maker(self, leg: Leg, fill: Fill, outcomes: tuple[str, str]) -> Json:
        maker = leg.maker
        return {
            "order_id": maker.order_hash,
            "owner": self._owner(maker),
            "maker_address": digest.checksummed(maker.owner),
            "matched_amount": decimal_text(leg.size),
            "price": decimal_text(own_price(leg.book_price, maker.outcome)),
            "fee_rate_bps": "",
            "asset_id": str(fill.token),
            "outcome": outcomes[maker.outcome],
            "outcome_index": maker.outcome,
            "side": SIDES[BUY if maker.side == BUY else 1],
        }

    def _owner(self, order: Order) -> str:
        """Return the API key of an order's owner; people outside the venue's accounts have one made up."""
        placed = self._orders.find(order.order_hash)
        if placed is not None:
            return placed.signed.owner
        return str(uuid.UUID(bytes=digest.derive("api key of", order.owner)[:16], version=4))
