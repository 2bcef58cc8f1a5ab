"""Orders worth comparing: some take, some join a queue, some come several at once and want the same shares."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from copytrade.domain.book import BookSnapshot
from copytrade.domain.fills import Side
from copytrade.domain.matching import flipped
from copytrade.domain.orders import OrderType
from copytrade.domain.units import LOT, MICRO, floor_to
from copytrade.sandbox.market import Market
from copytrade.sandbox.server import SandboxConfig

START_MS: Final = 1_795_000_000_000
WORLD_MS: Final = 40_000
"""How long one world is watched; the next orders get a new one."""
BURST_EVERY_MS: Final = 1_700
FIRST_BURST_MS: Final = 3_000
SHARES_MIN: Final = 5 * MICRO
TAKING_CHANCE: Final = 0.65
CROSSING_CHANCE: Final = 0.5
"""Some makers post only, some trade with what is in the way of their quotes: half of the time either."""
SIGMA: Final = 0.8
"""Of the sizes in USDC, around half of their cap."""
TTLS_MS: Final = (2_000, 5_000, 5_000, 12_000)
LATENCY: Final = "lognormal:150:0.5"
CRYPTO_DELAY_MS: Final = 150
OVER_MS: Final = 15_000
"""By then the orders of a burst are over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Orders for one market, all on one side of its book, at these milliseconds after `at_ms`."""

    at_ms: int
    market: Market
    side: Side
    offsets_ms: tuple[int, ...]
    seed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One order: what it wants, when it is decided and when the venue has it; `place` counts those of its burst."""

    name: str
    place: int
    market: Market
    outcome: int
    side: Side
    order_type: OrderType
    limit: int
    size: int
    ttl_ms: int
    decided_ms: int
    placed_ms: int = 0

    @property
    def token_id(self) -> str:
        """The token, as text."""
        return str(self.market.tokens[self.outcome])


def world_config(seed: int, *, crossing_chance: float = CROSSING_CHANCE) -> SandboxConfig:
    """Return the world of a seed: the traded markets only, with a little past."""
    return SandboxConfig(
        seed=seed, start_ms=START_MS, history_blocks=4, filler_markets=0, crossing_chance=crossing_chance
    )


def bursts(seed: int, markets: list[Market]) -> list[Burst]:
    """Return when and where orders are made in the world of a seed."""
    dice = random.Random(f"{seed}:bursts")
    planned = []
    for at_ms in range(START_MS + FIRST_BURST_MS, START_MS + WORLD_MS, BURST_EVERY_MS):
        more = dice.choice([0, 0, 0, 0, 1, 1, 2])
        planned.append(
            Burst(
                at_ms=at_ms,
                market=dice.choice(markets),
                side=dice.choice(list(Side)),
                offsets_ms=(0, *sorted(dice.randrange(20, 1_500) for _ in range(more))),
                seed=f"{seed}:{at_ms}",
            )
        )
    return planned


def intent(burst: Burst, number: int, book: BookSnapshot, *, usdc_max: int, now_ms: int) -> Intent | None:
    """Draw one order against the first outcome's book of that instant; None where there is nothing to trade with."""
    dice = random.Random(f"{burst.seed}:{number}")
    opposite, own = book.opposite(burst.side), book.opposite(flipped(burst.side))
    if not opposite or not own:
        return None
    tick, towards = burst.market.tick, 1 if burst.side is Side.BUY else -1
    taking = dice.random() < TAKING_CHANCE
    if taking:
        limit = opposite[0].price + towards * tick * dice.choice([0, 0, 1, 2, 4])
        kinds = [OrderType.GTC] * 5 + [OrderType.FAK] * 3 + [OrderType.FOK] * 2 + [OrderType.POST_ONLY]
    else:
        limit = own[0].price + towards * tick * dice.choice([-1, 0, 0, 1])
        kinds = [OrderType.GTC] * 3 + [OrderType.POST_ONLY]
    limit = min(max(limit, tick), MICRO - tick)
    outcome = dice.randrange(2)
    price = limit if outcome == 0 else MICRO - limit
    usdc = min(dice.lognormvariate(0, SIGMA) * usdc_max / 2, usdc_max)
    return Intent(
        name=f"{burst.seed}:{number}",
        place=number,
        market=burst.market,
        outcome=outcome,
        side=burst.side if outcome == 0 else flipped(burst.side),
        order_type=dice.choice(kinds),
        limit=price,
        size=max(floor_to(int(usdc * MICRO * MICRO) // price, LOT), SHARES_MIN),
        ttl_ms=dice.choice(TTLS_MS),
        decided_ms=now_ms,
    )
