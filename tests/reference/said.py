"""What the naive venue is told: a market, its books, its tape and orders, in decimals and milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

CENT = Decimal("0.01")
SECOND = 1_000


@dataclass
class RefState:
    """A book as stated at an instant; both sides None when the book was lost then."""

    at: int
    bids: dict[Decimal, Decimal] | None
    asks: dict[Decimal, Decimal] | None

    @property
    def good(self):
        if self.bids is None or self.asks is None:
            return False
        return not (self.bids and self.asks and max(self.bids) >= min(self.asks))


@dataclass
class RefWord:
    """A line of the tape: a trade (of a taker on an outcome), a new tick, or the resolution."""

    at: int
    what: str
    outcome: str = ""
    side: str = ""
    price: Decimal = Decimal(0)
    size: Decimal = Decimal(0)


@dataclass
class RefMarket:
    tick: Decimal
    min_size: Decimal
    fee_rate: Decimal
    fee_exponent: int
    delay: int
    is_open: bool
    remembers: bool
    queues: bool


@dataclass
class RefOrder:
    id: str
    outcome: str
    kind: str
    side: str
    limit: Decimal
    size: Decimal
    decided: int
    placed: int
    ttl: int
    cancel_at: int | None = None
    where: str = "in flight"
    release: int | None = None
    left: Decimal = field(init=False)
    ahead: Decimal = Decimal(0)
    missing: list = field(default_factory=list)
    fills: list = field(default_factory=list)
    ending: tuple | None = None

    def __post_init__(self):
        self.left = self.size

    @property
    def expiry(self):
        over = self.placed + self.ttl
        return -(-over // SECOND) * SECOND if self.kind == "GTD" else over

    @property
    def end(self):
        end = self.expiry
        if self.cancel_at is not None:
            end = min(end, max(self.cancel_at, self.placed))
        if self.release is not None:
            end = max(end, self.release)
        return end

    @property
    def is_bid(self):
        """Whether it is a bid on the first outcome's book: selling the second outcome is buying the first."""
        return (self.side == "BUY") == (self.outcome == "first")

    def own(self, price):
        """Turn a price of the first outcome into one of its own outcome, or back."""
        return price if self.outcome == "first" else 1 - price

    @property
    def rank(self):
        return -self.own(self.limit) if self.is_bid else self.own(self.limit)

    @property
    def money(self):
        if self.kind in ("FAK", "FOK") and self.side == "BUY":
            return (self.size * self.limit).quantize(CENT, rounding=ROUND_DOWN)
        return None
