"""Fills of one token are decided one after the other, however many there are."""

from __future__ import annotations

import asyncio

from tests.flow.stage import START_MS, Stage
from tests.virtual_time import run_virtual


def test_no_two_fills_of_a_token_are_decided_at_once():
    async def main() -> tuple[int, int]:
        decide = Stage().worker.decide
        at_once = most = 0

        async def take_a_turn(arrives_after: int) -> None:
            nonlocal at_once, most
            for _ in range(arrives_after):
                await asyncio.sleep(0)
            async with decide.turn("token"):
                at_once += 1
                most = max(most, at_once)
                for _ in range(3):
                    await asyncio.sleep(0)
                at_once -= 1

        await asyncio.gather(*(take_a_turn(arrives_after) for arrives_after in range(12)))
        return most, len(decide._turns)

    assert run_virtual(main, epoch_ms=START_MS) == (1, 0)
