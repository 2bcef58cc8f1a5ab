"""Orders and trades as the venue tells of them, from requests and from the user stream alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from copytrade.domain.attempts import Liquidity, Settlement
from copytrade.domain.fills import Side
from copytrade.domain.matching import Match
from copytrade.domain.units import MICRO, parse_micro

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.domain.units import Millis, Price, Shares

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_BELOW: Final = 10**12
"""A time below this is in seconds: documents and examples disagree about the unit."""
_LATEST_MS: Final = 10**13
"""No trade is matched after this (the year 2286): it is another unit, or garbage."""
_TEXT_CHARS_MAX: Final = 1_000
_SETTLEMENTS: Final[Mapping[str, Settlement]] = {
    "MATCHED": Settlement.MATCHED,
    "MATCHED_NOT_BROADCASTED": Settlement.MATCHED,
    "MINED": Settlement.MINED,
    "CONFIRMED": Settlement.CONFIRMED,
    "RETRYING": Settlement.RETRYING,
    "FAILED": Settlement.FAILED,
}


class MalformedRowError(Exception):
    """A row that cannot be taken at face value; the text names the field."""


class OrderPhase(Enum):
    """Where an order is at the venue. UNCLEAR is a word we do not know: it is never taken for an end."""

    OPEN = auto()
    MATCHED = auto()
    ENDED = auto()
    UNCLEAR = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """An order; `matched` in micro-shares, None where it is not said. `trades` are the ids of its trades."""

    order_hash: str
    phase: OrderPhase
    word: str
    matched: Shares | None
    trades: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTrade:
    """What one trade did to one order of ours; `price` is the average over all it met, `settlement` how far it is.

    `met` is what a taker met, price by price, empty where the trade does not say; a fee is charged for all of it.
    """

    trade_id: str
    order_hash: str
    token_id: str
    side: Side
    shares: Shares
    price: Price
    liquidity: Liquidity
    settlement: Settlement
    matched_ms: Millis
    tx_hash: str
    met: tuple[Match, ...] = ()

    @property
    def key(self) -> str:
        """Its name in the ledger: one trade may hold several orders of ours."""
        return f"{self.trade_id}:{self.order_hash}"

    @property
    def is_possible(self) -> bool:
        """Whether something was traded at all, and every price is one."""
        prices = (self.price, *(match.price for match in self.met))
        return self.shares > 0 and all(0 < price < MICRO for price in prices)


def read_order(row: Any) -> OrderRow:
    """Read an order of a request or a push.

    :raises MalformedRowError: it is none.
    """
    if not isinstance(row, dict):
        raise MalformedRowError("an order is no object")
    word = _text(row, "status").upper().removeprefix("ORDER_STATUS_")
    trades = row.get("associate_trades") or []
    if not isinstance(trades, list):
        raise MalformedRowError("associate_trades")
    return OrderRow(
        order_hash=_text(row, "id").lower(),
        phase=_phase(word),
        word=word[:80],
        matched=None if row.get("size_matched") is None or row["size_matched"] == "" else _micro(row, "size_matched"),
        trades=frozenset(map(str, trades)),
    )


def read_trade(row: Any, *, wallet: str, api_key: str) -> tuple[OwnTrade, ...]:
    """Return what a trade did to each order of ours: by wallet (lower case), or by the API key it was posted with.

    :raises MalformedRowError: it is no trade.
    """
    if not isinstance(row, dict):
        raise MalformedRowError("a trade is no object")
    makers = row.get("maker_orders") or []
    if not isinstance(makers, list) or not all(isinstance(maker, dict) for maker in makers):
        raise MalformedRowError("maker_orders")
    owners = (wallet, api_key)
    found: dict[str, OwnTrade] = {}
    for maker in makers:
        if _is_ours(maker, owners):
            part = _maker_part(row, maker)
            known = found.get(part.order_hash)
            found[part.order_hash] = part if known is None else _together(known, part)
    if _is_ours(row, owners) and str(row.get("trader_side") or "TAKER").upper() != "MAKER":
        part = _taker_part(row, makers)
        found[part.order_hash] = part
    return tuple(found.values())


def settlement_of(word: str) -> Settlement:
    """Return how far a trade is; a word we do not know is no progress and no end."""
    return _SETTLEMENTS.get(word.upper().removeprefix("TRADE_STATUS_"), Settlement.MATCHED)


def _phase(word: str) -> OrderPhase:
    if word in {"LIVE", "DELAYED", "UNMATCHED"}:
        return OrderPhase.OPEN
    if word == "MATCHED":
        return OrderPhase.MATCHED
    return OrderPhase.ENDED if word.startswith(("CANCELED", "CANCELLED", "INVALID", "EXPIRED")) else OrderPhase.UNCLEAR


def _is_ours(part: dict[str, Any], owners: tuple[str, str]) -> bool:
    wallet, api_key = owners
    is_our_key = api_key != "" and part.get("owner") == api_key
    return is_our_key or str(part.get("maker_address") or "").lower() == wallet


def _taker_part(row: dict[str, Any], makers: list[dict[str, Any]]) -> OwnTrade:
    token_id, shares = _text(row, "asset_id"), _micro(row, "size")
    met = _met(makers, token_id=token_id, shares=shares)
    return OwnTrade(
        order_hash=_text(row, "taker_order_id").lower(),
        token_id=token_id,
        side=_side(row),
        shares=shares,
        price=_average(met) if met else _micro(row, "price"),
        liquidity=Liquidity.TAKER,
        met=met,
        **_shared(row),
    )


def _maker_part(row: dict[str, Any], maker: dict[str, Any]) -> OwnTrade:
    return OwnTrade(
        order_hash=_text(maker, "order_id").lower(),
        token_id=_text(maker, "asset_id"),
        side=_side(maker),
        shares=_micro(maker, "matched_amount"),
        price=_micro(maker, "price"),
        liquidity=Liquidity.MAKER,
        **_shared(row),
    )


def _shared(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "trade_id": _text(row, "id"),
        "settlement": settlement_of(_text(row, "status")),
        "matched_ms": _instant(row),
        "tx_hash": str(row.get("transaction_hash") or "").lower(),
    }


def _together(one: OwnTrade, other: OwnTrade) -> OwnTrade:
    """Add up two parts of one order in one trade; both are at its own price."""
    return replace(one, shares=one.shares + other.shares)


def _met(makers: list[dict[str, Any]], *, token_id: str, shares: Shares) -> tuple[Match, ...]:
    """Return what a taker met, at prices of his own outcome; the price at the top of a trade is only one of them."""
    met = tuple(
        Match(price if maker.get("asset_id") == token_id else MICRO - price, amount)
        for maker in makers
        for price, amount in [(_micro(maker, "price"), _micro(maker, "matched_amount"))]
    )
    return met if shares > 0 and sum(match.shares for match in met) == shares else ()


def _average(met: tuple[Match, ...]) -> Price:
    """Return the average price to the nearest micro-unit, halves up."""
    paid, shares = sum(match.price * match.shares for match in met), sum(match.shares for match in met)
    return (2 * paid + shares) // (2 * shares)


def _text(row: dict[str, Any], name: str) -> str:
    """Return a text that any database stores and any log shows."""
    value = row.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _TEXT_CHARS_MAX or not value.isprintable():
        raise MalformedRowError(name)
    return value


def _micro(row: dict[str, Any], name: str) -> int:
    try:
        amount = parse_micro(str(row.get(name)))
    except ValueError:
        raise MalformedRowError(name) from None
    if not 0 <= amount < 2**63:
        raise MalformedRowError(name)
    return amount


def _side(row: dict[str, Any]) -> Side:
    try:
        return Side(_text(row, "side").upper())
    except ValueError:
        raise MalformedRowError("side") from None


def _instant(row: dict[str, Any]) -> Millis:
    """Return when a trade was matched: seconds, milliseconds or ISO 8601 (UTC if nothing is said), by either name."""
    text = str(row.get("match_time") or row.get("matchtime") or row.get("timestamp") or "")
    at_ms = _digits_ms(text) if text.isascii() and text.isdigit() and len(text) <= 15 else _iso_ms(text)
    if not 0 < at_ms < _LATEST_MS:
        raise MalformedRowError("match_time")
    return at_ms


def _digits_ms(text: str) -> Millis:
    number = int(text)
    return number * 1_000 if number < _SECONDS_BELOW else number


def _iso_ms(text: str) -> Millis:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise MalformedRowError("match_time") from None
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)
