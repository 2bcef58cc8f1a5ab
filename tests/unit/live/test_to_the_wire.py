"""The way of an order to the wire is measured as the worker goes it: `python -m benchmarks.signing` in small."""

from __future__ import annotations

import pytest

from benchmarks.first_byte import to_first_byte
from benchmarks.signing import signing
from copytrade.adapters.memory import MemoryLedger
from tests.processes import a_world


@pytest.mark.processes
async def test_each_order_is_signed_and_its_first_byte_is_seen_after_its_attempt() -> None:
    with a_world("--manual") as world:
        took_ms = await to_first_byte(world.urls["CLOB_HTTP_URL"], MemoryLedger(), 3)

    assert len(took_ms) == 3
    assert min(took_ms) > 0


def test_both_signatures_are_the_same_and_timed() -> None:
    assert [figure.ratio > 0 for figure in signing(1)] == [True, True]
