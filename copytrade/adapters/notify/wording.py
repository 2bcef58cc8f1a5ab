"""How happenings read: the same words on a line, in the table and in the summary."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import Decision, ExecutionAttempt, Reason
from copytrade.domain.fills import LeaderFill, Side
from copytrade.domain.units import BPS, MICRO, format_micro

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from copytrade.domain.book import BookSnapshot, Level
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis, Price, Shares, Usdc

TITLE_WIDTH: Final = 34
BAR_WIDTH: Final = 20
PROGRESS: Final = "_PROGRESS"
"""How the codes of notes end that say how far a long read has come."""


def clock_time(at_ms: Millis) -> str:
    """Return UTC hours to milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%H:%M:%S.%f")[:-3]


def shares(amount: Shares) -> str:
    """Return shares with two decimals, the rest cut."""
    return format_micro(amount, decimals=2)


def price(amount: Price | None) -> str:
    """Return a price with up to four decimals, or a dash."""
    return "-" if amount is None else format_micro(amount, decimals=4)


def usdc(amount: Usdc) -> str:
    """Return signed money with up to four decimals."""
    return format_micro(amount, decimals=4)


def leader_name(label: str, address: str) -> str:
    """Return the label, else a short form of the address."""
    return label or f"{address[:6]}..{address[-4:]}"


def market_name(market: Market | None, token_id: str) -> str:
    """Return the market's title, cut, and the outcome; a short token id while it is unknown."""
    if market is None:
        return f"token {token_id[:6]}..{token_id[-4:]}"
    title = market.title if len(market.title) <= TITLE_WIDTH else f"{market.title[: TITLE_WIDTH - 2]}.."
    return f"{title} [{market.outcome_of(token_id)}]"


def market_in_short(market: Market | None, token_id: str) -> str:
    """Return the outcome, then the title, which may be cut; a short token id while it is unknown."""
    return market_name(None, token_id) if market is None else f"[{market.outcome_of(token_id)}] {market.title}"


def touch(book: BookSnapshot | None) -> str:
    """Return best bid with its size / best ask with its size."""
    if book is None:
        return "no book"
    bid = f"{shares(book.bids[0].size)}@{price(book.bids[0].price)}" if book.bids else "-"
    ask = f"{price(book.asks[0].price)}@{shares(book.asks[0].size)}" if book.asks else "-"
    return f"{bid} / {ask}"


def level(levels: Sequence[Level]) -> str:
    """Return the best of some levels as size @ price, or a dash."""
    return f"{shares(levels[0].size)} @ {price(levels[0].price)}" if levels else "-"


def seen_book(book: BookSnapshot | None) -> str:
    """Return which book a decision saw."""
    return "no book" if book is None else f"book {touch(book)}"


def reason_codes(reasons: Iterable[Reason]) -> str:
    """Return the codes alone."""
    return ", ".join(reason.code for reason in reasons)


def reasons_in_full(reasons: Iterable[Reason]) -> str:
    """Return each code with its numbers."""
    return "; ".join(
        " ".join([one.code, *(f"{name}={_short(value)}" for name, value in one.numbers)]) for one in reasons
    )


def progress(code: str, detail: Mapping[str, object]) -> str:
    """Return a bar, how much that is, and how long the rest may take at the speed so far."""
    done, left = int(str(detail.get("blocks_done", 0))), int(str(detail.get("blocks_left", 0)))
    whole = max(1, done + left)
    bar = "#" * (BAR_WIDTH * done // whole)
    minutes, seconds = divmod(int(str(detail.get("seconds_left", 0))), 60)
    return (
        f"{code.removesuffix(PROGRESS).lower()} [{bar:.<{BAR_WIDTH}}] {100 * done // whole}%"
        f" | {done:,} of {whole:,} blocks, {detail.get('fills', 0)} fills | about {minutes}:{seconds:02} left"
    )


def _short(value: str) -> str:
    return value if len(value) <= 20 else f"{value[:6]}..{value[-4:]}"


def verdict(attempt: ExecutionAttempt) -> str:
    """Return TRADE with size and limit, or SKIP."""
    if attempt.decision is Decision.SKIP:
        return "SKIP"
    return f"TRADE {attempt.side} {shares(attempt.size_shares_target)} limit {price(attempt.limit_price)}"


def slippage(fill: LeaderFill, our_price: Price) -> tuple[Price, int]:
    """Return what we paid more (or got less) per share than the leader, in micro-USDC and in bps of his price."""
    worse = our_price - fill.price if fill.side is Side.BUY else fill.price - our_price
    return worse, worse * BPS // fill.price if fill.price else 0


def signed(amount: int, text: str) -> str:
    """Return `text` with a plus sign if `amount` is above zero."""
    return f"+{text}" if amount > 0 else text


def slippage_words(fill: LeaderFill, our_price: Price) -> str:
    """Return the slippage in price and bps; plus is worse for us."""
    worse, bps = slippage(fill, our_price)
    return f"{signed(worse, price(worse))} ({signed(bps, str(bps))} bps)"


def value(amount: Shares, at: Price) -> Usdc:
    """Return what `amount` is worth at a price, rounded down."""
    return amount * at // MICRO
