"""Market frames: decode, apply and remember, against msgspec decoding alone, on the same streams.

    python -m benchmarks.book [--frames N]

Prints both times and their ratio for streams with few and many trades, each followed by both full books of a
hundred levels a side, and for the recorded stream of a real market where RECORDED_DATA names the folder (bar: 2.0);
how long a book at a past instant takes, and how much memory a busy minute of a market holds against the bytes
received.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import random
import re
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from copytrade.adapters.clob.feed import Feed
from copytrade.adapters.clob.shelf import Shelf
from copytrade.ports.clock import Clock

BAR = 2.0
MEMORY_BAR = 4.0
ROUNDS = 9
MARKET = "0x5f65177b394277fd294cd75650044e32ba009a95022d88a0c1d565897d72f8f1"
YES = "107505882767731489358349912513945399560393482969656700824895970500493757150417"
NO = "86076435890279485031516158085782032520345420216225062126341129012213512158413"
HASH = "56621a121a47ed9333273e21c83b660cff37ae50"
EPOCH_MS = 1_790_000_000_000
CHANGES_PER_SECOND = 100
LEVELS = 100
MINUTES = 40
RECORDED = "ws/opentape_polymarket_ws_20260907.jsonl"


class SteppedClock(Clock):
    """Time moves with the frames, so that the ring buffer drops what a live one would."""

    def __init__(self) -> None:
        """Start at the epoch."""
        self.now = EPOCH_MS

    def now_ms(self) -> int:
        """Return the frame's time."""
        return self.now

    def monotonic_ms(self) -> int:
        """Return the frame's time."""
        return self.now

    async def sleep_ms(self, duration_ms: int) -> None:
        """Nobody waits here."""
        raise AssertionError("a wait inside the measured loop")


class Tape:
    """A synthetic market that is never crossed, and its frames as the venue sends them.

    Half of its changes are at the best five ticks of a side, a third remove a level; both outcomes mirror.
    """

    def __init__(self, *, seed: int, depth_min: int = 0) -> None:
        """Start with 100 levels a side; the best `depth_min` of each stay as they are."""
        self.draw = random.Random(seed)
        self.depth_min = depth_min
        self.bids = {tick: self.size() for tick in range(500 - LEVELS, 500)}
        self.asks = {tick: self.size() for tick in range(500, 500 + LEVELS)}

    def size(self) -> str:
        """Draw a size in hundredths, without zeros at the end."""
        return f"{self.draw.randint(100, 5_000_000) / 100:.2f}".rstrip("0").rstrip(".")

    def change(self, stamp: int) -> bytes:
        """Change a level; about 600 B."""
        draw, is_bid = self.draw, self.draw.random() < 0.5
        side = self.bids if is_bid else self.asks
        depth = draw.randint(0, 4) if draw.random() < 0.5 else draw.randint(5, 90)
        depth = max(depth, self.depth_min)
        tick = max(1, min(self.asks) - 1 - depth) if is_bid else min(999, max(self.bids) + 1 + depth)
        size = self.size()
        if tick in side and len(side) > LEVELS // 5 and draw.random() < 0.65:
            del side[tick]
            size = "0"
        else:
            side[tick] = size
        bid, ask = max(self.bids), min(self.asks)
        yes = self._entry(YES, tick, size, "BUY" if is_bid else "SELL", bid=bid, ask=ask)
        no = self._entry(NO, 1000 - tick, size, "SELL" if is_bid else "BUY", bid=1000 - ask, ask=1000 - bid)
        return msgspec.json.encode(
            {"market": MARKET, "price_changes": [yes, no], "timestamp": str(stamp), "event_type": "price_change"}
        )

    def full(self, stamp: int, *, token: str) -> bytes:
        """Show the whole book of one outcome; about 8 kB."""
        bids, asks = self.bids, self.asks
        if token == NO:
            bids, asks = ({1000 - tick: size for tick, size in side.items()} for side in (asks, bids))
        sides = {
            "bids": [{"price": price(tick), "size": bids[tick]} for tick in sorted(bids)],
            "asks": [{"price": price(tick), "size": asks[tick]} for tick in sorted(asks, reverse=True)],
        }
        return msgspec.json.encode(
            {"market": MARKET, "asset_id": token, "timestamp": str(stamp), "hash": HASH, **sides}
            | {"tick_size": "0.001", "event_type": "book", "last_trade_price": "0.5"}
        )

    def trade(self, stamp: int) -> bytes:
        """Tell the price of a trade; about 400 B."""
        told = {"market": MARKET, "asset_id": YES, "price": price(min(self.asks)), "size": self.size(), "side": "BUY"}
        rest = {"fee_rate_bps": "0", "timestamp": str(stamp), "event_type": "last_trade_price"}
        return msgspec.json.encode(told | rest | {"transaction_hash": MARKET})

    def _entry(self, token: str, tick: int, size: str, side: str, *, bid: int, ask: int) -> dict[str, str]:
        return {"asset_id": token, "price": price(tick), "size": size, "side": side, "hash": HASH} | {
            "best_bid": price(bid),
            "best_ask": price(ask),
        }


def price(tick: int) -> str:
    """Return thousandths as the venue writes prices."""
    return f"{tick / 1000:g}"


def tape(changes: int, *, seed: int, trade_every: int = 0) -> list[bytes]:
    """Return both books, then changes; after every so many, what follows a trade: both books again and its price."""
    market = Tape(seed=seed)
    stream = [market.full(EPOCH_MS, token=YES), market.full(EPOCH_MS, token=NO)]
    for number in range(1, changes + 1):
        stamp = EPOCH_MS + number * 1000 // CHANGES_PER_SECOND
        stream.append(market.change(stamp))
        if trade_every and number % trade_every == 0:
            stream += [market.full(stamp, token=YES), market.full(stamp, token=NO), market.trade(stamp)]
    return stream


def make_feed(clock: Clock) -> tuple[Feed, Shelf]:
    """Return an empty shelf, and what applies frames to its books."""

    def note(code: str, detail: object) -> None:
        print("note", code, detail)

    shelf = Shelf(
        clock=clock,
        history_ms=60_000,
        note=note,
        on_doubt=lambda tracked: print("doubt", tracked.token_id),
        on_parted=print,
    )
    return Feed(shelf=shelf, note=note, on_event=print, forget=print), shelf


def applied(stream: Sequence[bytes], tokens: tuple[str, str] = (YES, NO)) -> Callable[[], float]:
    """Return a run of our whole path, bytes to book and ring buffer, after the first snapshots."""

    def run() -> float:
        clock = SteppedClock()
        feed, shelf = make_feed(clock)
        shelf.add(*tokens)
        apply_frame = feed.apply_frame
        apply_frame(stream[0])
        stamps = [EPOCH_MS + number * 10 for number in range(len(stream) - 1)]
        with quiet_gc():
            started = time.thread_time()
            for frame, clock.now in zip(stream[1:], stamps, strict=True):
                apply_frame(frame)
            return time.thread_time() - started

    return run


def decoded(stream: Sequence[bytes]) -> Callable[[], float]:
    """Return a run of msgspec alone, into plain objects."""
    decode = msgspec.json.Decoder().decode

    def run() -> float:
        with quiet_gc():
            started = time.thread_time()
            for frame in stream[1:]:
                decode(frame)
            return time.thread_time() - started

    return run


@contextlib.contextmanager
def quiet_gc() -> Iterator[None]:
    """Keep the collector out of a measured run."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def compare(name: str, stream: Sequence[bytes]) -> float:
    """Print both times per frame, rounds interleaved, and return the ratio of the best."""
    ours, bare = applied(stream), decoded(stream)
    return show(name, stream[1:], [(ours(), bare()) for _ in range(ROUNDS)], len(stream) - 1)


def show(name: str, stream: Sequence[bytes], rounds: Sequence[tuple[float, float]], frames: int) -> float:
    """Print and return the ratio of the best of our times to that of the bare ones."""
    ours_us, bare_us = (min(column) / frames * 1e6 for column in zip(*rounds, strict=True))
    size = statistics.mean(map(len, stream))
    print(f"{name:<15} {size:6.0f} B  ours {ours_us:6.2f} us  msgspec alone {bare_us:6.2f} us", end="  ")
    print(f"ratio {ours_us / bare_us:.2f}")
    return ours_us / bare_us


def minutes(stream: Sequence[bytes]) -> list[list[bytes]]:
    """Return a recorded minute again and again, each time later by as long as it lasted."""
    stamps = sorted({int(stamp) for frame in stream for stamp in re.findall(rb'"timestamp":"([0-9]{13})"', frame)})
    lasted = stamps[-1] - stamps[0] + 1

    def later(frame: bytes, times: int) -> bytes:
        return re.sub(
            rb'"timestamp":"([0-9]{13})"', lambda found: b'"timestamp":"%d"' % (int(found[1]) + times * lasted), frame
        )

    return [[later(frame, times) for frame in stream] for times in range(MINUTES)]


def compare_recorded() -> float | None:
    """Compare on the recorded stream of a real market, if there is one, after the first snapshots of each minute."""
    if (folder := os.environ.get("RECORDED_DATA")) is None:
        print("recorded        left out: RECORDED_DATA names no folder")
        return None
    stream = [line for line in Path(folder, RECORDED).read_bytes().splitlines() if line.strip()]
    yes, no = (book["asset_id"] for book in msgspec.json.decode(stream[0]))
    played, decode = minutes(stream), msgspec.json.Decoder().decode

    def ours() -> float:
        clock = SteppedClock()
        feed, shelf = make_feed(clock)
        shelf.add(yes, no)
        return each_minute(feed.apply_frame, feed.apply_frame, clock)

    def each_minute(first: Callable[[bytes], object], then: Callable[[bytes], object], clock: SteppedClock) -> float:
        taken = 0.0
        with quiet_gc():
            for snapshots, *frames in played:
                first(snapshots)
                started = time.thread_time()
                for frame in frames:
                    clock.now += 10
                    then(frame)
                taken += time.thread_time() - started
        return taken

    frames = MINUTES * (len(stream) - 1)
    rounds = [(ours(), each_minute(decode, decode, SteppedClock())) for _ in range(ROUNDS)]
    return show("recorded", stream[1:], rounds, frames)


def measure_past(stream: list[bytes]) -> None:
    """Print how long a book at a random instant of a full minute takes."""
    clock = SteppedClock()
    feed, shelf = make_feed(clock)
    shelf.add(YES, NO)
    for number, frame in enumerate(stream):
        clock.now = EPOCH_MS + number * 10
        feed.apply_frame(frame)
    book = shelf.books[YES].book
    instants = [random.randint(clock.now - 60_000, clock.now) for _ in range(2_000)]
    started = time.perf_counter()
    for instant in instants:
        assert book.book_at(instant) is not None
    print(f"book_at         {(time.perf_counter() - started) / len(instants) * 1e6:.0f} us at a random instant of 60 s")


def measure_memory() -> float:
    """Print what a busy minute of one market holds in memory, and return it per byte received."""
    stream = tape(60 * CHANGES_PER_SECOND, seed=3)
    received = sum(map(len, stream))
    clock = SteppedClock()
    feed, shelf = make_feed(clock)
    shelf.add(YES, NO)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number, frame in enumerate(stream):
        clock.now = EPOCH_MS + number * 10
        feed.apply_frame(frame)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    ratio = held / received
    print(
        f"memory          {held / 1e3:.0f} kB a market for {received / 1e3:.0f} kB received in 60 s, ratio {ratio:.2f}"
    )
    return ratio


def main() -> int:
    """Run everything; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=50_000)
    changes = parser.parse_args().frames
    ratios = []
    for name, stream in (
        ("changes alone", tape(changes, seed=1)),
        ("a trade in 28", tape(changes, seed=4, trade_every=28)),
        ("a trade each", tape(changes // 20, seed=2, trade_every=1)),
    ):
        ratios.append(compare(name, stream))
    if (recorded := compare_recorded()) is not None:
        ratios.append(recorded)
    measure_past(tape(60 * CHANGES_PER_SECOND, seed=5))
    memory = measure_memory()
    missed = [f"{ratio:.2f} > {BAR}" for ratio in ratios if ratio > BAR]
    if memory > MEMORY_BAR:
        missed.append(f"memory {memory:.2f} > {MEMORY_BAR}")
    print("bars missed: " + ", ".join(missed) if missed else f"all within {BAR} (memory {MEMORY_BAR})")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
