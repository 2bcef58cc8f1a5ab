"""A hundred orders for real and on paper: `python -m benchmarks.paper_truth` in small.

Every effect must bring paper nearer to the truth in what it is about; one that does nothing any more fails here.
"""

from __future__ import annotations

import pytest

from benchmarks.paper_truth import EVERYTHING, VARIANTS, measure
from benchmarks.truth.errors import Errors, errors, table

ORDERS = 100


@pytest.fixture(scope="module")
def found() -> dict[str, Errors]:
    compared = measure(orders=ORDERS, seed=0)
    print(table(compared, VARIANTS))
    return {variant: errors(compared, variant) for variant in VARIANTS}


pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_most_orders_end_on_paper_as_they_do_for_real(found: dict[str, Errors]) -> None:
    paper = found[EVERYTHING]

    assert paper.orders == ORDERS
    assert paper.equal_status >= 0.9
    assert paper.equal_size >= 0.88
    assert abs(paper.filled_in_all) < 0.05
    assert paper.price_median == 0
    assert abs(paper.price_mean) < 0.001
    assert abs(paper.fee_in_all) < 0.05
    assert paper.fee_equal >= 0.9
    assert paper.time_median_ms == 0


def test_latency_is_when_an_order_is_placed(found: dict[str, Errors]) -> None:
    assert found["without latency"].time_median_ms > 100
    assert found["without latency"].equal_size < found[EVERYTHING].equal_size


def test_delay_is_when_an_order_that_takes_is_filled(found: dict[str, Errors]) -> None:
    assert found["without delay"].time_p95_ms >= 1_000 > found[EVERYTHING].time_p95_ms


def test_impact_keeps_orders_from_buying_the_same_twice(found: dict[str, Errors]) -> None:
    assert found["without impact"].fee_equal < found[EVERYTHING].fee_equal
    assert found["without impact"].fee_in_all > found[EVERYTHING].fee_in_all + 0.02
    assert found["without impact"].price_mean < found[EVERYTHING].price_mean


def test_the_queue_is_how_orders_at_rest_are_filled(found: dict[str, Errors]) -> None:
    assert found["without queue"].equal_size < found[EVERYTHING].equal_size
    assert found["without queue"].filled_in_all < found[EVERYTHING].filled_in_all - 0.01


def test_fees_are_those_that_were_charged(found: dict[str, Errors]) -> None:
    assert found["without fees"].fee_in_all == -1
    assert found["without fees"].fee_equal < 0.5
