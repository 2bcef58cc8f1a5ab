"""Turn a match into the logs of `matchOrders` (CTF Exchange V2 `Trading.sol`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from copytrade.sandbox import contracts, events
from copytrade.sandbox.book import Order
from copytrade.sandbox.events import BUY, Event
from copytrade.sandbox.fees import sweep_fee_down
from copytrade.sandbox.market import Market
from copytrade.sandbox.matching import Leg, MatchKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """The facts of one `OrderFilled`, from the order owner's point of view, micro-units."""

    exchange: str
    condition: str
    owner: str
    taker_topic: str
    role: str
    side: int
    token: int
    maker_amount: int
    taker_amount: int
    fee: int
    order_hash: str
    builder: int = 0
    metadata: int = 0

    @property
    def size(self) -> int:
        """Shares, micro-units."""
        return self.taker_amount if self.side == BUY else self.maker_amount

    @property
    def collateral(self) -> int:
        """Collateral before the fee, micro-units."""
        return self.maker_amount if self.side == BUY else self.taker_amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The logs of one `matchOrders` and its fills, each with its place among the logs."""

    events: tuple[Event, ...]
    fills: tuple[tuple[int, Fill], ...]


def settle(market: Market, taker: Order, legs: Sequence[Leg]) -> Settlement:
    """Emit what the contract emits: makers, then the taker's aggregate, then OrdersMatched."""
    maker_fills = [_maker_fill(market, taker, leg) for leg in legs]
    taker_fill = _taker_fill(market, taker, legs)
    logs = [_pull(market, fill) for fill in (taker_fill, *maker_fills)]
    logs.extend(_mint_or_merge(market, taker, legs))
    fills: list[tuple[int, Fill]] = []
    for fill in maker_fills:
        logs.append(_pay_out(market, fill))
        fills.append((len(logs), fill))
        logs.append(_order_filled(fill))
    logs.extend(_fee(market, taker_fill))
    logs.append(_pay_out(market, taker_fill))
    fills.append((len(logs), taker_fill))
    logs.append(_order_filled(taker_fill))
    logs.append(_orders_matched(taker_fill))
    return Settlement(events=tuple(logs), fills=tuple(fills))


def _maker_fill(market: Market, taker: Order, leg: Leg) -> Fill:
    maker = leg.maker
    buying = maker.side == BUY
    return Fill(
        exchange=market.exchange,
        condition=market.condition,
        owner=maker.owner,
        taker_topic=taker.owner,
        role="maker",
        side=maker.side,
        token=market.tokens[maker.outcome],
        maker_amount=leg.maker_collateral if buying else leg.size,
        taker_amount=leg.size if buying else leg.maker_collateral,
        fee=0,
        order_hash=maker.order_hash,
        builder=maker.builder,
        metadata=maker.metadata,
    )


def _taker_fill(market: Market, taker: Order, legs: Iterable[Leg]) -> Fill:
    size = collateral = 0
    for leg in legs:
        size += leg.size
        collateral += leg.taker_collateral(taker)
    fee = sweep_fee_down(size=size, collateral=collateral, rate=market.fees.rate, exponent=market.fees.exponent)
    buying = taker.side == BUY
    return Fill(
        exchange=market.exchange,
        condition=market.condition,
        owner=taker.owner,
        taker_topic=market.exchange,
        role="taker",
        side=taker.side,
        token=market.tokens[taker.outcome],
        maker_amount=collateral if buying else size,
        taker_amount=size if buying else collateral,
        fee=fee,
        order_hash=taker.order_hash,
        builder=taker.builder,
        metadata=taker.metadata,
    )


def _pull(market: Market, fill: Fill) -> Event:
    if fill.side == BUY:
        return events.collateral_transfer(
            sender=fill.owner, receiver=fill.exchange, amount=fill.maker_amount + fill.fee
        )
    return events.share_transfer(
        ledger=market.ledger,
        operator=fill.exchange,
        sender=fill.owner,
        receiver=fill.exchange,
        token_id=fill.token,
        amount=fill.maker_amount,
    )


def _pay_out(market: Market, fill: Fill) -> Event:
    if fill.side != BUY:
        return events.collateral_transfer(
            sender=fill.exchange, receiver=fill.owner, amount=fill.taker_amount - fill.fee
        )
    return events.share_transfer(
        ledger=market.ledger,
        operator=fill.exchange,
        sender=fill.exchange,
        receiver=fill.owner,
        token_id=fill.token,
        amount=fill.taker_amount,
    )


def _mint_or_merge(market: Market, taker: Order, legs: Iterable[Leg]) -> list[Event]:
    size = sum(leg.size for leg in legs if leg.kind(taker) is not MatchKind.COMPLEMENTARY)
    if size == 0:
        return []
    exchange, ledger, nobody = market.exchange, market.ledger, contracts.ZERO_ADDRESS
    minting = taker.side == BUY
    holder = (nobody, exchange) if minting else (exchange, nobody)
    payer = (exchange, ledger) if minting else (ledger, exchange)
    shares = [
        events.share_transfer(
            ledger=ledger,
            operator=exchange,
            sender=holder[0],
            receiver=holder[1],
            token_id=token,
            amount=size,
        )
        for token in market.tokens
    ]
    return [
        events.collateral_transfer(sender=payer[0], receiver=payer[1], amount=size),
        *shares,
    ]


def _fee(market: Market, fill: Fill) -> list[Event]:
    if fill.fee == 0:
        return []
    return [
        events.fee_charged(exchange=market.exchange, amount=fill.fee),
        events.collateral_transfer(sender=fill.exchange, receiver=contracts.FEE_RECEIVER, amount=fill.fee),
    ]


def _order_filled(fill: Fill) -> Event:
    return events.order_filled(
        exchange=fill.exchange,
        order_hash=fill.order_hash,
        maker=fill.owner,
        taker=fill.taker_topic,
        side=fill.side,
        token_id=fill.token,
        maker_amount=fill.maker_amount,
        taker_amount=fill.taker_amount,
        fee=fill.fee,
        builder=fill.builder,
        metadata=fill.metadata,
    )


def _orders_matched(fill: Fill) -> Event:
    return events.orders_matched(
        exchange=fill.exchange,
        order_hash=fill.order_hash,
        maker=fill.owner,
        side=fill.side,
        token_id=fill.token,
        maker_amount=fill.maker_amount,
        taker_amount=fill.taker_amount,
    )
