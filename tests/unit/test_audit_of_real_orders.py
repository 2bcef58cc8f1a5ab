"""A real order may get a little more than it asked for, one for an amount of money a lot more, and nothing beyond."""

from __future__ import annotations

from typing import Any

import pytest

from copytrade.domain.booking import DUST
from copytrade.engine.audit_money import _Executed
from copytrade.ports.audit import EntryRow
from tests.makers import micro


def a_row(*, shares: str, price: str, more: int = 0, **changed: Any) -> EntryRow:
    told = {
        "strategy_id": "copy",
        "account_id": "live-0x1",
        "token_id": "10",
        "ordinal": 0,
        "key": "t",
        "kind": "BUY",
        "shares": micro(shares) + more,
        "price": micro(price),
        "fee": 0,
        "amount": micro(shares) * micro(price) // 10**6,
        "realized": 0,
        "cost": 0,
        "has_failed": False,
        "at": 0,
        "attempt_id": "a",
        "fits": True,
        "target": micro("10"),
        "limit": micro("0.50"),
        "is_paper": False,
        "placed_at": 0,
        "ended_at": None,
        "takes_only": False,
    }
    return EntryRow(**(told | changed))


@pytest.mark.parametrize(
    ("row", "is_too_much"),
    [
        (a_row(shares="10", price="0.5"), False),
        (a_row(shares="10", price="0.5", more=DUST), False),
        (a_row(shares="10", price="0.5", more=DUST + 1), True),
        (a_row(shares="10", price="0.5", more=1, is_paper=True), True),
        (a_row(shares="12.5", price="0.4", takes_only=True), False),
        (a_row(shares="12.5", price="0.4"), True),
        (a_row(shares="12.6", price="0.41", takes_only=True), True),
        (a_row(shares="12.5", price="0.4", takes_only=True, kind="SELL"), True),
        (a_row(shares="12.5", price="0.4", takes_only=True, is_paper=True), True),
    ],
)
def test_what_an_order_may_have_got(row: EntryRow, *, is_too_much: bool) -> None:
    executed = _Executed(row)
    executed.add(row)

    assert executed.is_too_much() is is_too_much


def test_what_an_order_got_in_parts_counts_together() -> None:
    executed = _Executed(a_row(shares="6", price="0.5"))
    for _ in range(2):
        executed.add(a_row(shares="6", price="0.5"))

    assert executed.is_too_much()
