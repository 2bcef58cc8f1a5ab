"""Books of many tokens: what an event costs, and what a book holds, with 10 and with 20,000 tracked tokens.

    python -m benchmarks.book_load

Both outcomes of each market are tracked. The bar (1.3) is about how many are tracked; how much it costs that
more of them move than a cache holds is printed beside it.
"""

from __future__ import annotations

import random
import sys
import time
import tracemalloc

import msgspec

from benchmarks.book import EPOCH_MS, HASH, MARKET, SteppedClock, make_feed, price, quiet_gc
from copytrade.adapters.clob.checks import Checks

FLAT_BAR = 1.3
TOKENS = (10, 500, 2_000, 20_000)
EVENTS = 20_000
ROUNDS = 15


def full(token: str) -> bytes:
    """Return a first book of 30 levels a side around 0.5."""
    bids = [{"price": price(tick), "size": f"{tick}.25"} for tick in range(470, 500)]
    asks = [{"price": price(tick), "size": f"{tick}.5"} for tick in range(530, 500, -1)]
    head = {"market": MARKET, "asset_id": token, "timestamp": str(EPOCH_MS), "hash": HASH}
    return msgspec.json.encode(head | {"bids": bids, "asks": asks, "event_type": "book"})


def change(draw: random.Random, tokens: tuple[str, str]) -> bytes:
    """Return a change of some level of both outcomes that crosses nothing."""
    tick, size = draw.randrange(470, 500), f"{draw.randint(0, 500_000) / 100:g}"
    entries = [
        {"asset_id": token, "price": price(at), "size": size, "side": side, "hash": HASH}
        | {"best_bid": "0.499", "best_ask": "0.501"}
        for token, at, side in zip(tokens, (tick, 1000 - tick), ("BUY", "SELL"), strict=True)
    ]
    kind = {"timestamp": str(EPOCH_MS), "event_type": "price_change"}
    return msgspec.json.encode({"market": MARKET, "price_changes": entries} | kind)


class Crowd:
    """So many tracked tokens, half as many books, each with its first snapshot."""

    def __init__(self, count: int) -> None:
        """Make the books, and count what they hold."""
        self.clock = SteppedClock()
        names = [f"7{number:076d}" for number in range(count)]
        self.pairs = list(zip(names[::2], names[1::2], strict=True))
        tracemalloc.start()
        self.told, self.shelf = make_feed(self.clock)
        for yes, no in self.pairs:
            self.shelf.add(yes, no)
            self.told.apply_frame(full(yes))
        self.bytes_per_token = tracemalloc.get_traced_memory()[0] / count
        tracemalloc.stop()
        self.checks = Checks(shelf=self.shelf, clock=self.clock)

    def frames(self, busy: int) -> list[bytes]:
        """Return events on the first `busy` tokens, at random."""
        draw = random.Random(7)
        return [change(draw, self.pairs[draw.randrange(busy // 2)]) for _ in range(EVENTS)]

    def event_us(self, frames: list[bytes]) -> float:
        """Return what one event takes."""
        apply_frame = self.told.apply_frame
        self.clock.now += 1_000
        with quiet_gc():
            started = time.thread_time()
            for frame in frames:
                apply_frame(frame)
            return (time.thread_time() - started) / len(frames) * 1e6

    def tick_ms(self) -> float:
        """Return what one look at the books that moved takes."""
        started = time.thread_time()
        self.checks.check_all()
        return (time.thread_time() - started) * 1e3


def measure_tokens() -> bool:
    """Print what an event and a book cost with few and many tokens; whether the bar is met."""
    crowds = [Crowd(TOKENS[0]), *[Crowd(TOKENS[-1])] * len(TOKENS)]
    loads = [crowd.frames(busy) for crowd, busy in zip(crowds, (TOKENS[0], *TOKENS), strict=True)]
    rounds = [[crowd.event_us(load) for crowd, load in zip(crowds, loads, strict=True)] for _ in range(ROUNDS)]
    costs = [min(column) for column in zip(*rounds, strict=True)]
    for crowd, busy, cost in zip(crowds, (TOKENS[0], *TOKENS), costs, strict=True):
        tracked, kilobytes = 2 * len(crowd.pairs), crowd.bytes_per_token / 1e3
        print(f"{tracked:6} tokens, {busy:6} busy  {cost:5.2f} us an event, {cost / costs[0]:.2f}", end="  ")
        print(f"{kilobytes:5.1f} kB a token")
    print(f"upkeep tick with every book moved {crowds[-1].tick_ms():.1f} ms")
    return costs[1] / costs[0] <= FLAT_BAR


if __name__ == "__main__":
    sys.exit(not measure_tokens())
