"""What providers say when a range is too wide, and what they say when it is something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.polygon.ranges import CALM_CALLS, RANGE_FIRST, RANGE_MAX, AdaptiveRange, narrower

FIRST, LAST = 1_000, 2_999

HALVED = 1_000
FREE_TIER = "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range."
TOO_WIDE = [
    (f"{FREE_TIER} this block range should work: [0x3e8, 0x3f1].", 10),
    ("Log response size exceeded. this block range should work: [0x3e8, 0x44b]", 100),
    ("query returned more than 10000 results. Try with this block range [0x3e8, 0x40b].", 36),
    ("query returned more than 10000 results. Try with this block range [0x1, 0x2].", HALVED),
    ("query returned more than 10000 results", HALVED),
    ("eth_getLogs is limited to a 10,000 range", HALVED),
    ("eth_getLogs and eth_newFilter are limited to a 5 blocks range", 5),
    ("eth_getLogs is limited to a 500 range", 500),
    ("ranges over 10000 blocks are not supported on free plan", HALVED),
    ("ranges over 10000 blocks are not supported on freetier", HALVED),
    ("exceed maximum block range: 10000", HALVED),
    ("exceed maximum block range: 100", 100),
    ("request timed out", HALVED),
    ("block range is too wide", HALVED),
    ("Block range limit exceeded.", HALVED),
    ("Log response size exceeded. Maximum allowed number of requested blocks is 1000", 1000),
    ("eth_getLogs is limited to 0 - 50 blocks range", 50),
    ("eth_getLogs is limited to 1024 block range. Please check the parameter requirements", HALVED),
    ("query exceeds max block range 100000", HALVED),
    ("query exceeds max results 20000, retry with the range 1000-1499", 500),
    ("query exceeds max results 20000, retry with the range 1000-2998", HALVED),
    ("backend response too large", HALVED),
    ("response size exceeded what we accept", HALVED),
    ("Range too large", HALVED),
    ("context deadline exceeded", HALVED),
]
SOMETHING_ELSE = [
    "rate limit exceeded",
    "Too Many Requests",
    "daily request count exceeded, request rate limited",
    "API key disabled, reason: tenant disabled",
    "block range extends beyond current head block",
    "invalid block range params",
    "History has been pruned for this block",
    "Archive requests require a personal token.",
    "execution reverted",
    "unknown block",
    "",
]


@pytest.mark.parametrize(("message", "blocks"), TOO_WIDE)
def test_a_refused_width_shrinks_to_the_hint_or_to_half(message, blocks):
    assert narrower(message, first=FIRST, last=LAST) == blocks


@pytest.mark.parametrize("message", SOMETHING_ELSE)
def test_other_refusals_do_not_shrink(message):
    assert narrower(message, first=FIRST, last=LAST) is None


@given(st.text(), st.integers(0, 10**9), st.integers(0, 10**6))
def test_whatever_is_said_the_next_range_is_smaller_and_not_empty(message, first, width):
    for text in (message, f"block range {message}", f"limited to {message}"):
        blocks = narrower(text, first=first, last=first + width)
        assert blocks is None or 1 <= blocks <= max(1, (width + 1) // 2)


def test_a_range_grows_back_but_not_at_once_to_what_was_refused():
    width = AdaptiveRange()

    width.shrink(100)
    for _ in range(CALM_CALLS - 1):
        width.grow()
    assert width.blocks == RANGE_FIRST - 1

    for _ in range(100):
        width.grow()
    assert width.blocks == RANGE_MAX


def test_a_range_never_vanishes():
    width = AdaptiveRange()

    for _ in range(50):
        width.shrink(width.blocks // 2)
    assert width.blocks == 1
    width.grow()
    assert width.blocks >= 1
