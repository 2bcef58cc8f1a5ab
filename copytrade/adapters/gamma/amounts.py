"""Exact values out of the venue's JSON: amounts, ids, tokens, fees; numbers never pass through a float."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from copytrade.domain.market import NO_FEES, FeeSchedule, OutcomeToken, is_token_id
from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copytrade.domain.units import Millis, Price, Ratio

TAKER_DELAY_MS: Final = 150
"""Of markets with `itode` since 2026-09-04 (changelog; the concept page still says 250)."""
CENT: Final[Price] = 10_000
MIN_ORDER_SHARES: Final = 5 * MICRO
VERSIONS: Final = frozenset({"v1", "v2"})
AMOUNT_MAX: Final = Decimal(10**9)
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class NotAPageError(Exception):
    """A body is not what the route answers."""


class NoTokensError(ValueError):
    """A market from before the order book: it has no outcome tokens to trade."""


def padded_condition(text: str) -> str:
    """Return a condition id with 64 digits; Gamma shows those of Protocol V2 with 62.

    :raises ValueError: it is no condition id.
    """
    digits = text.lower().removeprefix("0x")
    if len(digits) not in {62, 64} or not all(digit in "0123456789abcdef" for digit in digits):
        raise ValueError(f"not a condition id: {text!r}")
    return "0x" + digits.ljust(64, "0")


def outcome_tokens(token_ids: Sequence[str], outcomes: Sequence[str]) -> tuple[OutcomeToken, ...]:
    """Return the tokens in outcome order.

    :raises NoTokensError: there are none.
    :raises ValueError: they are not what tokens can be.
    """
    if not token_ids:
        raise NoTokensError("no outcome tokens")
    if len(token_ids) != len(outcomes) or len(set(token_ids)) != len(token_ids):
        raise ValueError(f"{len(token_ids)} tokens for {len(outcomes)} outcomes")
    if not all(map(is_token_id, token_ids)):
        raise ValueError("a token id that is no uint256")
    return tuple(
        OutcomeToken(token_id=token_id, outcome=sys.intern(outcome), outcome_index=index)
        for index, (token_id, outcome) in enumerate(zip(token_ids, outcomes, strict=True))
    )


def schedule_of(rate: Decimal, exponent: Decimal) -> FeeSchedule:
    """Return a fee schedule, the same object for the same terms.

    :raises ValueError: it cannot be one.
    """
    if not exponent.is_finite() or not 0 <= exponent <= 10 or exponent != int(exponent):
        raise ValueError(f"fee exponent {exponent}")
    return _same_schedule(micro_of(rate), int(exponent)) if rate else NO_FEES


def tick_of(value: Decimal) -> Price:
    """Return a tick size.

    :raises ValueError: no price could be on its grid.
    """
    tick = micro_of(value)
    if not 0 < tick <= MICRO // 2:
        raise ValueError(f"tick size {value}")
    return tick


def micro_of(value: Decimal) -> int:
    """Return an amount in micro-units, exactly; the same object for the same amount.

    :raises ValueError: it is negative, beyond reason or too fine.
    """
    if not value.is_finite() or not 0 <= value <= AMOUNT_MAX:
        raise ValueError(f"amount {value}")
    scaled = value * MICRO
    if scaled != int(scaled):
        raise ValueError(f"more than six decimals: {value}")
    return _same_amount(int(scaled))


def millis_of(text: str | None) -> Millis | None:
    """Return an end date; one that is not readable is none, for markets trade on past it anyway."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1000


# A hundred thousand markets have a handful of ticks, minimums and fees: each is kept once.
@lru_cache(maxsize=1_000)
def _same_amount(amount: int) -> int:
    return amount


@lru_cache(maxsize=1_000)
def _same_schedule(rate: Ratio, exponent: int) -> FeeSchedule:
    return FeeSchedule(rate=rate, exponent=exponent)
