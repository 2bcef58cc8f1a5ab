"""What a share of each outcome pays, from the Data API: the only place that tells 50/50 and void apart from a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from copytrade.adapters.gamma.amounts import UNREADABLE, NotAPageError, padded_condition
from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from copytrade.domain.market import Market
    from copytrade.domain.units import Price


class _Resolution(msgspec.Struct):
    status: str
    payouts: list[int] | None = None
    condition_id: str | None = None


class _Envelope(msgspec.Struct):
    data: _Resolution | list[_Resolution] | None = None


_decode = msgspec.json.Decoder(_Envelope).decode


def parse_payouts(body: bytes, market: Market) -> tuple[Price, ...] | None:
    """Return a market's payouts, None while the venue has not resolved it.

    A share of all outcomes together never pays more than a dollar, and never nothing: the contract
    refuses such a report, so zeros are a market that was not reported yet.

    :raises NotAPageError: the answer is nothing of the kind, or its payouts are impossible for this market.
    """
    try:
        rows = _decode(body).data
    except UNREADABLE as error:
        raise NotAPageError(str(error)) from error
    if isinstance(rows, _Resolution):
        rows = [rows]
    for row in rows or ():
        if row.status != "resolved" or not any(row.payouts or ()):
            continue
        if row.condition_id is not None and not _names(row.condition_id, market):
            continue
        return _checked(row.payouts or [], market)
    return None


def _names(condition_id: str, market: Market) -> bool:
    try:
        return padded_condition(condition_id) == market.condition_id
    except ValueError:
        return False


def _checked(payouts: list[int], market: Market) -> tuple[Price, ...]:
    if len(payouts) != len(market.tokens) or min(payouts) < 0 or sum(payouts) > MICRO:
        raise NotAPageError(f"payouts {payouts[:8]} for {len(market.tokens)} outcomes")
    return tuple(payouts)
