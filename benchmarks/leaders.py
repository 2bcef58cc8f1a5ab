"""What a log costs with 10 leaders and with 10,000, from its frame to the executor.

    python -m benchmarks.leaders [FILLS]

Two workers run side by side and take their turns fill by fill.
"""

from __future__ import annotations

import asyncio
import sys
import time

from benchmarks.chain_logs import addresses, frame, logs
from benchmarks.measuring import Figure, Kind, kinds, percentile, show
from benchmarks.working import Working, working

FILLS = 400
WARM_UP = 50
FEW, MANY = 10, 10_000


async def compare(kind: Kind, fills: int) -> tuple[float, float]:
    """Return the median milliseconds a log with few leaders and with many."""
    taken_ms: dict[int, list[float]] = {FEW: [], MANY: []}
    frames = {count: _frames(count, fills + WARM_UP) for count in taken_ms}
    async with working(kind.new(), addresses(FEW)) as few, working(kind.new(), addresses(MANY)) as many:
        await asyncio.sleep(1.0)
        for turn in range(fills + WARM_UP):
            for count, worker in ((FEW, few), (MANY, many)):
                taken_ms[count].append(await _one(worker, frames[count][turn]))
    return percentile(taken_ms[FEW][WARM_UP:], 0.5), percentile(taken_ms[MANY][WARM_UP:], 0.5)


def _frames(leaders: int, count: int) -> list[str]:
    return [frame(log) for log in logs(count, addresses(leaders), stamp_s=int(time.time()))]


async def _one(worker: Working, text: str) -> float:
    started = time.perf_counter()
    worker.frames.put_nowait(text)
    await worker.orders.get()
    return (time.perf_counter() - started) * 1000


def measure(kind: Kind, fills: int = FILLS) -> list[Figure]:
    """Measure on one kind of database."""
    few, many = asyncio.run(compare(kind, fills))
    what = f"{kind.name}: a log with {MANY:,} leaders, p50"
    return [Figure(what=what, ours=f"{many:.2f} ms", peer=f"{few:.2f} ms, {FEW} leaders", ratio=many / few, bar=1.3)]


def main() -> None:
    """Measure and print."""
    fills = int(sys.argv[1]) if len(sys.argv) > 1 else FILLS
    with kinds() as found:
        show([figure for kind in found for figure in measure(kind, fills)])


if __name__ == "__main__":
    main()
