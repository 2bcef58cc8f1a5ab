"""The inbox carries fills for speed only, and never more than its bound."""

from __future__ import annotations

from copytrade.engine.inbox import FILLS_WAITING_MAX, Inbox
from tests.makers import recorded


async def test_what_does_not_fit_is_left_to_the_sweep() -> None:
    inbox = Inbox()

    inbox.put([recorded()] * (FILLS_WAITING_MAX + 5))

    assert len(await inbox.take()) == FILLS_WAITING_MAX
    assert len(inbox) == 0
