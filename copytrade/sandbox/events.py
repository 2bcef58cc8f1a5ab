"""Encode the logs a settlement emits, as ABI words (CTF Exchange V2 `Events.sol`)."""

from __future__ import annotations

from dataclasses import dataclass

from copytrade.sandbox import contracts

BUY = 0
SELL = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A log before it has a place in a block; all hex in lower case."""

    address: str
    topics: tuple[str, ...]
    data: str


def order_filled(
    *,
    exchange: str,
    order_hash: str,
    maker: str,
    taker: str,
    side: int,
    token_id: int,
    maker_amount: int,
    taker_amount: int,
    fee: int,
    builder: int = 0,
    metadata: int = 0,
) -> Event:
    """Encode `OrderFilled` of V2 and V3; amounts in micro-units."""
    return Event(
        address=exchange,
        topics=(contracts.ORDER_FILLED, order_hash, topic(maker), topic(taker)),
        data=words(side, token_id, maker_amount, taker_amount, fee, builder, metadata),
    )


def orders_matched(
    *,
    exchange: str,
    order_hash: str,
    maker: str,
    side: int,
    token_id: int,
    maker_amount: int,
    taker_amount: int,
) -> Event:
    """Encode `OrdersMatched`, which closes each `matchOrders` call."""
    return Event(
        address=exchange,
        topics=(contracts.ORDERS_MATCHED, order_hash, topic(maker)),
        data=words(side, token_id, maker_amount, taker_amount),
    )


def fee_charged(*, exchange: str, amount: int) -> Event:
    """Encode `FeeCharged`, emitted before the taker's own `OrderFilled`."""
    return Event(
        address=exchange,
        topics=(contracts.FEE_CHARGED, topic(contracts.FEE_RECEIVER)),
        data=words(amount),
    )


def collateral_transfer(*, sender: str, receiver: str, amount: int) -> Event:
    """Encode the ERC-20 `Transfer` of pUSD."""
    return Event(
        address=contracts.COLLATERAL,
        topics=(contracts.TRANSFER, topic(sender), topic(receiver)),
        data=words(amount),
    )


def share_transfer(*, ledger: str, operator: str, sender: str, receiver: str, token_id: int, amount: int) -> Event:
    """Encode the ERC-1155 `TransferSingle` of outcome shares."""
    return Event(
        address=ledger,
        topics=(contracts.TRANSFER_SINGLE, topic(operator), topic(sender), topic(receiver)),
        data=words(token_id, amount),
    )


def condition_resolution(*, condition: str, oracle: str, question: str, payouts: tuple[int, ...]) -> Event:
    """Encode `ConditionResolution` of the Conditional Tokens; payouts are numerators over their sum."""
    return Event(
        address=contracts.CONDITIONAL_TOKENS,
        topics=(contracts.CONDITION_RESOLUTION, condition, topic(oracle), question),
        data=words(len(payouts), 0x40, len(payouts), *payouts),
    )


def topic(address: str) -> str:
    """Left-pad an address to the 32 bytes of an indexed topic."""
    return "0x" + address[2:].rjust(64, "0")


def words(*values: int) -> str:
    """Encode unsigned integers as consecutive 32-byte words."""
    return "0x" + "".join(f"{value:064x}" for value in values)
