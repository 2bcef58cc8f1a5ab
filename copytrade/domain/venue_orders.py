"""An order as the venue takes it: what is signed of it, and what is posted beside that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from copytrade.domain.fills import Side
from copytrade.domain.market import is_position_id
from copytrade.domain.orders import EXPIRY_LEAD_MS, OrderType, spend_down
from copytrade.domain.units import ceil_to, floor_to, notional_down, shares_for_down

if TYPE_CHECKING:
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis, Price, Shares

SALT_BITS: Final = 52
"""The salt travels as a JSON number, which a double must hold exactly."""
ZERO_WORD: Final = "0x" + "00" * 32
MARKET_STEP: Final = 100
"""What a FAK or FOK order asks for has four decimals at most (the venue's own error text)."""
COARSE_TICK: Final[Price] = 100_000
COARSE_STEP: Final = 1_000
"""On this tick it has three (the official client's table)."""
SECOND_MS: Final[Millis] = 1_000
EXPIRY_SLACK_MS: Final[Millis] = 5_000
"""What the way to the venue may take: it measures the shortest life of a GTD order from when it has it."""


class SignatureType(IntEnum):
    """Who holds the money and how he signs: the key itself, a proxy, a Safe, or a deposit wallet (ERC-1271)."""

    EOA = 0
    PROXY = 1
    SAFE = 2
    WALLET = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanges:
    """The exchange contracts in use, addresses in lower case."""

    ctf: str
    neg_risk: str
    v3: str

    def of(self, market: Market, token_id: str) -> tuple[str, str]:
        """Return the contract that trades a token, and the version in its signing domain."""
        if is_position_id(token_id):
            return self.v3, "3"
        return (self.neg_risk if market.neg_risk else self.ctf), "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose money orders move: `wallet` holds it, `owner` is the address of the key; both in lower case."""

    wallet: str
    owner: str
    signature_type: SignatureType

    @property
    def signer(self) -> str:
        """The address an order names as its signer."""
        return self.wallet if self.signature_type is SignatureType.WALLET else self.owner


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """What identifies an order at the venue; amounts in micro-units, addresses in lower case.

    `exchange` and `protocol` are the signing domain. `order_type` and `expiration_s` are posted, not signed.
    """

    salt: int
    maker: str
    signer: str
    token_id: str
    maker_amount: int
    taker_amount: int
    side: Side
    signature_type: SignatureType
    timestamp_ms: Millis
    exchange: str
    protocol: str
    order_type: OrderType
    expiration_s: int = 0
    metadata: str = ZERO_WORD
    builder: str = ZERO_WORD


def salt_of(attempt_id: UUID) -> int:
    """Return the salt of the one order an attempt may ever become."""
    digest = sha256(f"order salt|{attempt_id}".encode()).digest()
    return int.from_bytes(digest[:8]) >> (64 - SALT_BITS)


def amounts_of(order_type: OrderType, *, side: Side, shares: Shares, limit: Price, tick: Price) -> tuple[int, int]:
    """Return what an order offers and asks, micro-units, as the venue's rules of accuracy have it.

    Exact for orders that may rest, on the grids of the lot and the tick. A FAK or FOK order is cut: a buyer
    spends whole cents, and what is asked for is rounded down, so that the price the amounts make is the limit
    or a hair beyond it and an offer that rests exactly there can be met (the official client's rule).
    """
    step = COARSE_STEP if tick == COARSE_TICK else MARKET_STEP
    if side is Side.SELL:
        asked = notional_down(shares, limit)
        return shares, asked if order_type.may_rest else floor_to(asked, step)
    spend = spend_down(order_type, side=side, shares=shares, limit=limit)
    if spend is None:
        return notional_down(shares, limit), shares
    return spend, floor_to(shares_for_down(spend, limit), step)


def venue_order(
    attempt: ExecutionAttempt, market: Market, *, order_type: OrderType, account: Account, exchanges: Exchanges
) -> VenueOrder:
    """Return the order an attempt becomes: the same one, however often and wherever it is asked for.

    Its time is when it was decided, and its salt is made from the attempt, so nothing of it is drawn.
    """
    exchange, protocol = exchanges.of(market, attempt.token_id)
    offered, asked = amounts_of(
        order_type,
        side=attempt.side,
        shares=attempt.size_shares_target,
        limit=attempt.limit_price,
        tick=market.tick_size,
    )
    return VenueOrder(
        salt=salt_of(attempt.id),
        maker=account.wallet,
        signer=account.signer,
        token_id=attempt.token_id,
        maker_amount=offered,
        taker_amount=asked,
        side=attempt.side,
        signature_type=account.signature_type,
        timestamp_ms=attempt.decided_at_ms,
        exchange=exchange,
        protocol=protocol,
        order_type=order_type,
        expiration_s=expiration_s(attempt) if order_type is OrderType.GTD else 0,
    )


def expiration_s(attempt: ExecutionAttempt) -> int:
    """Return the instant a GTD order names, in whole seconds: it expires a minute before, a little after its TTL."""
    named_ms = attempt.decided_at_ms + attempt.ttl_ms + EXPIRY_LEAD_MS + EXPIRY_SLACK_MS
    return ceil_to(named_ms, SECOND_MS) // SECOND_MS
