"""Paper against the market it imitates: the same orders for real and on paper, effect by effect.

    python -m benchmarks.paper_truth [--orders 1000] [--seed 0] [--usdc 100] [--crossing 0.5]

For real means: on the matching engine of the sandbox, in a world of their own, where everybody sees them. On paper
means: in the same world without them, from the public books and prints alone. Virtual time; a minute or two.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

from benchmarks.truth import paper, real
from benchmarks.truth.errors import Comparison, compare, table
from benchmarks.truth.plan import CROSSING_CHANCE, world_config
from copytrade.domain.effects import ALL_EFFECTS, Effect

USDC_MAX: Final = 100
"""The default of MAX_USDC_PER_TRADE."""
EVERYTHING: Final = "everything"
VARIANTS: Final = {
    EVERYTHING: ALL_EFFECTS,
    **{f"without {effect}": ALL_EFFECTS - {effect} for effect in Effect},
    "nothing": frozenset[Effect](),
}


def measure(
    *,
    orders: int,
    seed: int,
    usdc_max: int = USDC_MAX,
    crossing_chance: float = CROSSING_CHANCE,
    progress: bool = False,
) -> list[Comparison]:
    """Play worlds until so many orders were made; return each with all of its outcomes."""
    compared: list[Comparison] = []
    number = 0
    while len(compared) < orders:
        config = world_config(seed * 1_000 + number, crossing_chance=crossing_chance)
        played = paper.play(config, VARIANTS, usdc_max=usdc_max)
        for burst in played.bursts:
            if burst:
                truth = real.play(config, burst)
                compared += [compare(one, truth[one.name], played.outcomes) for one in burst]
        number += 1
        if progress:
            print(f"{min(len(compared), orders)} of {orders} orders, {number} worlds", file=sys.stderr, flush=True)
    return compared[:orders]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper_truth", description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--usdc", type=int, default=USDC_MAX, help="the most that an order is for (default: 100)")
    parser.add_argument(
        "--crossing",
        type=float,
        default=CROSSING_CHANCE,
        help="chance that a maker trades with an order in the way of his quote (default: 0.5)",
    )
    asked = parser.parse_args()
    if asked.orders < 1 or asked.usdc < 1:
        parser.error("--orders and --usdc must be 1 or more")
    if not 0 <= asked.crossing <= 1:
        parser.error("--crossing must be from 0 to 1")
    compared = measure(
        orders=asked.orders, seed=asked.seed, usdc_max=asked.usdc, crossing_chance=asked.crossing, progress=True
    )
    print(table(compared, VARIANTS))


if __name__ == "__main__":
    main()
