"""What the answer to a posted order means. Only documented words are believed; all else is a doubt, to be looked up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from copytrade.domain.attempts import AttemptStatus, Reason, reason

if TYPE_CHECKING:
    from copytrade.adapters.live.transport import Answer
    from copytrade.domain.units import Millis

WORDS: Final = frozenset({"live", "matched", "delayed", "unmatched"})
"""None of them says how much was filled, and none that it is final."""
DOUBT_MS: Final[Millis] = 600_000
"""How long an order of which nobody knows may still turn up."""
WINDOW_DOUBT_MS: Final[Millis] = 30_000
"""The same for one the venue said it does not take now."""
_REFUSALS: Final = (
    ("not enough balance / allowance", "NOT_ENOUGH_BALANCE"),
    ("the balance is not enough", "NOT_ENOUGH_BALANCE"),
    ("invalid post-only order", "POST_ONLY_CROSSES"),
    ("the market is not yet ready", "MARKET_NOT_ACCEPTING"),
    ("the orderbook", "MARKET_NOT_ACCEPTING"),
    ("invalid nonce", "INVALID_NONCE"),
    ("invalid expiration", "INVALID_EXPIRATION"),
    ("order_version_mismatch", "ORDER_VERSION"),
    ("invalid order version", "ORDER_VERSION"),
    ("maker address not allowed", "WALLET_NOT_ALLOWED"),
    ("the order signer address has to be", "WALLET_NOT_ALLOWED"),
    ("the order owner has to be", "WALLET_NOT_ALLOWED"),
    ("invalid signature", "INVALID_SIGNATURE"),
    ("lower than the minimum", "SIZE_BELOW_MINIMUM"),
    ("min size: $", "BELOW_MARKETABLE_MINIMUM"),
    ("breaks minimum tick size rule", "OFF_TICK"),
    ("invalid amounts", "OFF_LOT"),
    ("invalid order payload", "INVALID_PAYLOAD"),
    ("address banned", "BANNED"),
    ("closed only mode", "CLOSED_ONLY"),
)
"""Texts of HTTP 400, or of 200 without success, that prove that the order was not taken (docs, error codes)."""
_KILLED: Final = (
    ("fok orders are fully filled or killed", "FOK_NOT_FILLED"),
    ("no orders found to match with fak order", "FAK_NOT_FILLED"),
)
_DUPLICATE: Final = ("duplicated", "same order has already been placed", "already exists")
_CLOSING: Final = frozenset({401, 403, 425, 429, 503})
"""With these the venue takes no orders now, whatever it says or does not say besides."""
_WINDOWS: Final = (
    ("matching engine is restarting", "ENGINE_RESTARTING"),
    ("post-only mode", "POST_ONLY_MODE"),
    ("cancel-only", "CANCEL_ONLY_MODE"),
    ("currently disabled", "TRADING_DISABLED"),
    ("too many requests", "RATE_LIMITED"),
    ("restricted in your region", "REGION_BLOCKED"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The venue has the order; `word` is what it says of it, in lower case."""

    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The venue provably did not take it."""

    status: AttemptStatus
    why: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Nobody knows. `patience_ms` is how long it may still turn up, `why` is why it ended if it never does.

    `closes` is set where the venue takes no orders at all now. `may_resend`: whether the same bytes may be
    sent again while they are wanted, once a look-up finds nothing.
    """

    why: Reason
    patience_ms: Millis = DOUBT_MS
    closes: bool = False
    may_resend: bool = False


Verdict = Taken | Refused | Doubt


def verdict_of(answer: Answer, *, order_hash: str) -> Verdict:
    """Judge an answer to `POST /order`."""
    closes = answer.status in _CLOSING
    if not answer.is_json or not isinstance(answer.body, dict):
        return Doubt(why=reason("UNREADABLE_ANSWER", status=answer.status), closes=closes, may_resend=not closes)
    text = answer.text
    if answer.status in {200, 201} and (not text or _claims_it(answer.body, order_hash)):
        return _taken(answer.body, order_hash, complaint=text)
    if answer.status in {200, 201, 400} and (refused := _refused(text)) is not None:
        return refused
    return _doubt(answer, text)


def _claims_it(body: dict[str, Any], order_hash: str) -> bool:
    """Tell whether the venue says that it has this order."""
    return body.get("success") is True and _named(body) == order_hash


def _named(body: dict[str, Any]) -> str:
    return str(body.get("orderID") or "").lower()


def _taken(body: dict[str, Any], order_hash: str, *, complaint: str) -> Verdict:
    """Believe a claim that comes without a complaint; with one it contradicts itself."""
    word = str(body.get("status") or "").lower()
    if _claims_it(body, order_hash) and not complaint:
        return Taken(word=word)
    return Doubt(why=reason("UNCLEAR_ANSWER", order_id=_named(body)[:80], word=word[:40], venue=complaint))


def _refused(text: str) -> Refused | None:
    said = text.lower()
    if any(words in said for words in _DUPLICATE):
        return None
    for words, code in _KILLED:
        if words in said:
            return Refused(status=AttemptStatus.CANCELED, why=reason(code, venue=text))
    for words, code in _REFUSALS:
        if words in said:
            return Refused(status=AttemptStatus.FAILED, why=reason(code, venue=text))
    return None


def _doubt(answer: Answer, text: str) -> Doubt:
    said = text.lower()
    if any(words in said for words in _DUPLICATE):
        return Doubt(why=reason("DUPLICATED", venue=text))
    for words, code in _WINDOWS:
        if words in said and answer.status in {403, 425, 429, 503}:
            why = reason(code, status=answer.status, venue=text)
            return Doubt(why=why, patience_ms=WINDOW_DOUBT_MS, closes=True)
    closes = answer.status in _CLOSING
    why = reason("UNCLEAR_ANSWER", status=answer.status, venue=text)
    return Doubt(why=why, closes=closes, may_resend=not closes and answer.status >= 500)
