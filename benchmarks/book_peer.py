"""Our book against nautilus_trader's (Rust) on the same streams: frame to book, each in its own environment.

    python -m benchmarks.book_peer [--frames N]

Makes a private environment with the peer in the folder for temporary files, unless it is there already. The
peer gets the same typed decoding as ours and keeps no history; its deltas are built as its own adapter does.
Bar: ours is no slower.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import msgspec

from benchmarks.book import NO, RECORDED, YES, applied, tape

PEER = "nautilus_trader==1.221.0"
ROUNDS = 5
BAR = 1.0
RUN_PEER = """
import sys, time, gc, msgspec
from pathlib import Path
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import BookOrder, OrderBookDelta
from nautilus_trader.model.enums import BookAction, BookType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price, Quantity

class Change(msgspec.Struct, gc=False):
    asset_id: str
    price: float
    size: float
    side: str

class Frame(msgspec.Struct, gc=False):
    price_changes: list[Change] = []
    timestamp: int = 0
    bids: list[Change] = []

class Level(msgspec.Struct, gc=False):
    price: float
    size: float

class Book(msgspec.Struct, gc=False):
    asset_id: str
    bids: list[Level]
    asks: list[Level]

frames = Path(sys.argv[1]).read_bytes().splitlines()
seeds, frames = frames[:2], frames[2:]
decode = msgspec.json.Decoder(Frame, strict=False).decode

def delta(book, side, price, size, stamp):
    order = BookOrder(side=side, price=Price(price, 3), size=Quantity(size, 6), order_id=round(price * 1000))
    action = BookAction.UPDATE if size else BookAction.DELETE
    return OrderBookDelta(
        instrument_id=book.instrument_id, action=action, order=order,
        flags=0, sequence=0, ts_event=stamp * 1_000_000, ts_init=stamp * 1_000_000,
    )

def seeded():
    books = {}
    for frame in seeds:
        full = msgspec.json.decode(frame, type=Book, strict=False)
        instrument = InstrumentId.from_str(full.asset_id + ".POLYMARKET")
        book = books[full.asset_id] = OrderBook(instrument_id=instrument, book_type=BookType.L2_MBP)
        for side, levels in ((OrderSide.BUY, full.bids), (OrderSide.SELL, full.asks)):
            for level in levels:
                book.apply_delta(delta(book, side, level.price, level.size, 1))
    return books

def whole(books):
    for frame in frames:
        message = decode(frame)
        for change in message.price_changes:
            book = books.get(change.asset_id)
            if book is not None:
                side = OrderSide.BUY if change.side == "BUY" else OrderSide.SELL
                book.apply_delta(delta(book, side, change.price, change.size, message.timestamp))

def measured(run, *given):
    gc.collect()
    gc.disable()
    started = time.thread_time()
    run(*given)
    taken = time.thread_time() - started
    gc.enable()
    return taken

best = 9e9
for _ in range(int(sys.argv[2])):
    books = seeded()
    best = min(best, measured(whole, books))
deltas = []
books = seeded()
for frame in frames:
    message = decode(frame)
    for change in message.price_changes:
        side = OrderSide.BUY if change.side == "BUY" else OrderSide.SELL
        book = books[change.asset_id]
        deltas.append((book, delta(book, side, change.price, change.size, message.timestamp)))

def ready():
    for book, one in deltas:
        book.apply_delta(one)

apply = measured(ready)
touch = [f"{float(price):g}" for price in (books[sys.argv[3]].best_bid_price(), books[sys.argv[3]].best_ask_price())]
print(best / len(frames) * 1e6, apply / len(deltas) * 1e6, *touch)
"""


def peer_python() -> Path:
    """Return the interpreter of the peer's environment, made at the first call."""
    home = Path(tempfile.gettempdir(), f"copytrade-peer-{PEER}")
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", PEER, "msgspec"], check=True)
    return python


def compare(python: Path, name: str, stream: list[bytes], tokens: tuple[str, str]) -> float:
    """Print both, best of some rounds, and return the ratio."""
    rounds = max(ROUNDS, ROUNDS * 10_000 // len(stream))
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        Path(file.name).write_bytes(b"\n".join(stream))
        told = subprocess.run(
            [python, "-c", RUN_PEER, file.name, str(rounds), tokens[0]], check=True, capture_output=True, text=True
        )
    whole_us, apply_us, bid, ask = told.stdout.split()
    run = applied(stream, tokens)
    ours_us = min(run() for _ in range(rounds)) / (len(stream) - 1) * 1e6
    ratio = ours_us / float(whole_us)
    print(
        f"{name}: frame to book  ours {ours_us:.2f} us, with 60 s of history;  {PEER} {float(whole_us):.2f} us", end=""
    )
    print(f", its apply alone, deltas ready-made, {float(apply_us):.2f} us")
    print(f"  ratio {ratio:.2f} (bar {BAR}); the peer's best prices at the end {bid} {ask}")
    return ratio


def recorded_changes() -> tuple[list[bytes], tuple[str, str]] | None:
    """Return the first books of the recorded stream and its changes, and its tokens; full books would slow the peer."""
    if (folder := os.environ.get("RECORDED_DATA")) is None:
        print("recorded stream left out: RECORDED_DATA names no folder")
        return None
    frames = [line for line in Path(folder, RECORDED).read_bytes().splitlines() if line.strip()]
    books = msgspec.json.decode(frames[0])
    changes = [frame for frame in frames if b'"price_changes"' in frame]
    yes, no = (book["asset_id"] for book in books)
    return [*map(msgspec.json.encode, books), *changes], (yes, no)


def main() -> int:
    """Measure both; 1 if ours is slower."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=50_000)
    python = peer_python()
    ratios = [compare(python, "synthetic", tape(parser.parse_args().frames, seed=1), (YES, NO))]
    if (recorded := recorded_changes()) is not None:
        ratios.append(compare(python, "recorded", *recorded))
    return max(ratios) > BAR


if __name__ == "__main__":
    sys.exit(main())
