"""One market of the imitated venue and what its answers need to know about it."""

from __future__ import annotations

from dataclasses import dataclass

from copytrade.sandbox import contracts
from copytrade.sandbox.micro import ONE

YES = 0
NO = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """The market's own fee schedule; `rate` and `rebate` in micro-units, zero rate is no fee."""

    kind: str
    rate: int
    exponent: int = 1
    rebate: int = 250_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EventGroup:
    """The event a market belongs to; `tags` are (label, slug) pairs, the category first."""

    event_id: str
    slug: str
    title: str
    tags: tuple[tuple[str, str], ...]
    neg_risk: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A binary market; sizes, prices and the tick in micro-units, times in Unix ms.

    `condition` has 64 hex digits for both protocol versions; Gamma shows V2 ones with 62.
    """

    market_id: str
    condition: str
    question: str
    slug: str
    group: EventGroup
    outcomes: tuple[str, str]
    tokens: tuple[int, int]
    tick: int
    fees: Fees
    created_ms: int
    end_ms: int
    version: str = "v1"
    min_size: int = 5 * ONE
    enable_order_book: bool = True
    taker_delay: bool = False
    seconds_delay: int = 0
    closed: bool = False
    payouts: tuple[int, int] | None = None
    resolved_ms: int | None = None
    resolution: str = ""
    """How far the oracle has come: proposed, disputed, resolved."""
    former_tokens: tuple[int, int] | None = None
    """The tokens of the first protocol that this market of the second took the place of."""

    @property
    def neg_risk(self) -> bool:
        """Whether the market settles on the neg-risk exchange (its event says so)."""
        return self.group.neg_risk

    @property
    def exchange(self) -> str:
        """The exchange contract whose logs carry this market's fills."""
        if self.version == "v2":
            return contracts.EXCHANGE_V3
        return contracts.EXCHANGE_NEG_RISK if self.neg_risk else contracts.EXCHANGE_STANDARD

    @property
    def ledger(self) -> str:
        """The ERC-1155 contract that holds this market's shares."""
        return contracts.POSITION_MANAGER if self.version == "v2" else contracts.CONDITIONAL_TOKENS

    @property
    def gamma_condition(self) -> str:
        """The condition id as Gamma spells it: 62 hex digits for V2."""
        return self.condition[:-2] if self.version == "v2" else self.condition

    @property
    def has_book(self) -> bool:
        """Whether the CLOB keeps a book for it now."""
        return self.enable_order_book and not self.closed

    def outcome_of(self, token: int) -> int:
        """Return 0 or 1; raises ValueError for a token of another market."""
        return self.tokens.index(token)


class Catalogue:
    """Every market that exists, by condition and by token."""

    def __init__(self) -> None:
        """Start empty."""
        self._by_condition: dict[str, Market] = {}
        self._by_token: dict[int, str] = {}

    def put(self, market: Market) -> None:
        """Add a market, or replace what is known of it."""
        self._by_condition[market.condition] = market
        for token in market.tokens:
            self._by_token[token] = market.condition

    def all(self) -> list[Market]:
        """Return every market in order of creation."""
        return list(self._by_condition.values())

    def by_condition(self, condition: str) -> Market | None:
        """Find a market by its 64-digit condition id."""
        return self._by_condition.get(condition.lower())

    def by_token(self, token: int) -> Market | None:
        """Find a market by one of its tokens."""
        condition = self._by_token.get(token)
        return None if condition is None else self._by_condition[condition]

    def by_token_text(self, text: str) -> Market | None:
        """Find a market by a token in decimal; None for anything that is no token."""
        return self.by_token(int(text)) if text.isascii() and text.isdigit() else None
