"""When an order at work is to be cancelled: at the end of its time, whatever the venue made of it."""

from __future__ import annotations

import pytest

from copytrade.adapters.live.rows import OrderPhase, OrderRow
from copytrade.adapters.live.working import WorkingOrder
from copytrade.domain.orders import OrderType
from tests.ledger_facts import an_attempt
from tests.makers import NOW_MS, recorded

TTL_MS = 5_000
HASH = "0x" + "0d" * 32


def an_order(order_type: OrderType) -> WorkingOrder:
    attempt = an_attempt(recorded(), ttl_ms=TTL_MS)
    return WorkingOrder(attempt, order_hash=HASH, order_type=order_type, placed_at_ms=NOW_MS, condition_id=None)


def a_row(word: str, phase: OrderPhase) -> OrderRow:
    return OrderRow(order_hash=HASH, phase=phase, word=word, matched=0, trades=frozenset())


@pytest.mark.parametrize("order_type", [kind for kind in OrderType if kind is not OrderType.GTD])
@pytest.mark.parametrize(
    ("word", "phase"),
    [("LIVE", OrderPhase.OPEN), ("UNMATCHED", OrderPhase.OPEN), ("PONDERING", OrderPhase.UNCLEAR)],
)
def test_what_is_open_beyond_its_time_is_cancelled_though_its_type_should_never_rest(
    word: str, phase: OrderPhase, order_type: OrderType
) -> None:
    order = an_order(order_type)
    order.take(a_row(word, phase), now_ms=0)

    assert not order.wants_cancel(NOW_MS + TTL_MS - 1)
    assert order.wants_cancel(NOW_MS + TTL_MS)


def test_an_order_with_an_end_of_its_own_is_left_to_the_venue() -> None:
    order = an_order(OrderType.GTD)
    order.take(a_row("LIVE", OrderPhase.OPEN), now_ms=0)

    assert not order.wants_cancel(NOW_MS + TTL_MS)


@pytest.mark.parametrize("order_type", OrderType)
def test_what_has_ended_is_not_cancelled(order_type: OrderType) -> None:
    order = an_order(order_type)
    order.take(a_row("CANCELED", OrderPhase.ENDED), now_ms=0)

    assert not order.wants_cancel(NOW_MS + TTL_MS)
