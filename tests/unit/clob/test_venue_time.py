"""How far our clock is from the venue's, as far as one answer can tell."""

from __future__ import annotations

import httpx
import pytest

from copytrade.adapters.clob.venue_time import ClobTime
from copytrade.ports.clock import Clock
from copytrade.ports.risk import VenueTimeUnavailableError

SECOND = 1_790_000_000
AT_MS = SECOND * 1_000


class SteppingClock(Clock):
    """A wall clock that a request moves on by `takes_ms`."""

    def __init__(self, now_ms: int, takes_ms: int = 40) -> None:
        self.now = now_ms
        self.takes_ms = takes_ms

    def now_ms(self) -> int:
        return self.now

    def monotonic_ms(self) -> int:
        return self.now

    async def sleep_ms(self, duration_ms: int) -> None:
        self.now += duration_ms


async def skew(now_ms: int, *, answer: httpx.Response | None = None, takes_ms: int = 40) -> int:
    clock = SteppingClock(now_ms)

    def answered(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "https://clob.example/time"
        clock.now += takes_ms
        return answer or httpx.Response(200, text=str(SECOND))

    async with httpx.AsyncClient(transport=httpx.MockTransport(answered)) as http:
        return await ClobTime(url="https://clob.example", http=http, clock=clock).skew_ms()


@pytest.mark.parametrize(
    ("our_ms", "takes_ms", "skew_ms"),
    [
        (AT_MS, 40, 0),
        (AT_MS + 999, 40, 0),
        (AT_MS + 1_000, 40, 0),
        (AT_MS + 1_001, 40, 1),
        (AT_MS + 61_000, 40, 60_000),
        (AT_MS - 40, 40, 0),
        (AT_MS - 41, 40, -1),
        (AT_MS - 60_000, 40, -59_960),
        (AT_MS - 5_000, 9_000, 0),  # A slow answer proves nothing.
    ],
)
async def test_only_a_difference_that_is_certain_counts(our_ms: int, takes_ms: int, skew_ms: int) -> None:
    assert await skew(our_ms, takes_ms=takes_ms) == skew_ms


@pytest.mark.parametrize(
    "answer", [httpx.Response(503), httpx.Response(200, text="<html>"), httpx.Response(200, text="")]
)
async def test_no_time_in_the_answer_is_no_answer(answer: httpx.Response) -> None:
    with pytest.raises(VenueTimeUnavailableError):
        await skew(AT_MS, answer=answer)


async def test_a_quoted_second_is_read_too() -> None:
    assert await skew(AT_MS, answer=httpx.Response(200, text=f'"{SECOND}"\n')) == 0
