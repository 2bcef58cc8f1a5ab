"""The ranking of markets by liquidity stays small and keeps the best."""

from __future__ import annotations

from copytrade.adapters.gamma.liquidity import RANKED_MAX, Liquidity


def test_of_a_hundred_thousand_markets_the_most_liquid_are_kept() -> None:
    liquidity = Liquidity()
    for number in range(100_000):
        liquidity.see(f"m{number:06}", 1 + number * 7_919 % 100_003)

    best = sorted(range(100_000), key=lambda number: -(number * 7_919 % 100_003))[:1_000]
    assert list(liquidity.ranked())[:1_000] == [f"m{number:06}" for number in best]
    assert len(liquidity) <= 2 * RANKED_MAX


def test_a_market_without_liquidity_leaves_the_ranking() -> None:
    liquidity = Liquidity()
    liquidity.see("a", 5)
    liquidity.see("b", 5)
    liquidity.see("a", 0)

    assert list(liquidity.ranked()) == ["b"]
