"""How far paper is from the truth: shares of equal outcomes, and errors of size, price, fee and time."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.truth.outcome import Outcome
from benchmarks.truth.plan import Intent

LOT = 10_000
"""Sizes that differ by less are equal: books show two decimals of a share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One order, what became of it for real, and on paper by variant."""

    intent: Intent
    truth: Outcome
    paper: Mapping[str, Outcome]


def compare(intent: Intent, truth: Outcome, outcomes: Mapping[str, Mapping[str, Outcome]]) -> Comparison:
    """Put together what belongs to one order."""
    paper = {variant: by_name[intent.name] for variant, by_name in outcomes.items()}
    return Comparison(intent=intent, truth=truth, paper=paper)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """One variant against the truth; USDC filled and fees in all as a part of the truth's, prices in units of 1.

    A positive mean price error is worse for us on paper than for real.
    """

    orders: int
    equal_status: float
    equal_size: float
    filled_in_all: float
    price_median: float
    price_mean: float
    price_p95: float
    fee_in_all: float
    fee_equal: float
    time_median_ms: float
    time_p95_ms: float


def errors(compared: Sequence[Comparison], variant: str) -> Errors:
    """Measure one variant; prices, fees and times over the orders that had fills in both."""
    pairs = [(one.truth, one.paper[variant]) for one in compared]
    both = [(truth, paper) for truth, paper in pairs if truth.shares and paper.shares]
    prices = [abs(paper.price - truth.price) for truth, paper in both]
    signed = [
        (one.paper[variant].price - one.truth.price) * (1 if one.intent.side == "BUY" else -1)
        for one in compared
        if one.truth.shares and one.paper[variant].shares
    ]
    waits = [abs((paper.first_fill_ms or 0) - (truth.first_fill_ms or 0)) for truth, paper in both]
    return Errors(
        orders=len(pairs),
        equal_status=_share(truth.status == paper.status for truth, paper in pairs),
        equal_size=_share(abs(truth.shares - paper.shares) < LOT for truth, paper in pairs),
        filled_in_all=_excess(pairs, lambda outcome: outcome.collateral),
        price_median=statistics.median(prices) if prices else 0.0,
        price_mean=statistics.fmean(signed) if signed else 0.0,
        price_p95=_percentile(prices, 0.95),
        fee_in_all=_excess(pairs, lambda outcome: outcome.fee),
        fee_equal=_share(truth.fee == paper.fee for truth, paper in both),
        time_median_ms=statistics.median(waits) if waits else 0.0,
        time_p95_ms=_percentile(waits, 0.95),
    )


def table(compared: Sequence[Comparison], variants: Iterable[str]) -> str:
    """Return a line for each variant, then, with everything on, for each kind of order and place, in Markdown."""
    names = list(variants)
    rule = "|".join(["", *("---" for _ in range(HEAD.count("|") - 1)), ""])
    lines = [HEAD, rule, *(_line(name, errors(compared, name)) for name in names)]
    groups: dict[str, list[Comparison]] = {}
    for one in sorted(compared, key=lambda one: str(one.intent.order_type)):
        groups.setdefault(str(one.intent.order_type), []).append(one)
    for place, name in enumerate(PLACES):
        groups[name] = [one for one in compared if one.intent.place == place]
    lines += ["", HEAD.replace("paper with", "everything, for"), rule]
    lines += [_line(name, errors(group, names[0])) for name, group in groups.items() if group]
    return "\n".join(lines)


PLACES = ("first or only of its market", "second within 1.5 s", "third within 1.5 s")
HEAD = (
    "| paper with | orders | same end | same size | USDC filled | price, median | price, mean | price, p95 "
    "| fees | same fee | first fill, median | first fill, p95 |"
)


def _line(name: str, found: Errors) -> str:
    cells = (
        name,
        str(found.orders),
        f"{found.equal_status:.1%}",
        f"{found.equal_size:.1%}",
        f"{found.filled_in_all:+.1%}",
        f"{found.price_median:.4f}",
        f"{found.price_mean:+.5f}",
        f"{found.price_p95:.4f}",
        f"{found.fee_in_all:+.1%}",
        f"{found.fee_equal:.1%}",
        f"{found.time_median_ms:.0f} ms",
        f"{found.time_p95_ms:.0f} ms",
    )
    return f"| {' | '.join(cells)} |"


def _share(claims: Iterable[bool]) -> float:
    listed = list(claims)
    return sum(listed) / len(listed) if listed else 1.0


def _excess(pairs: Sequence[tuple[Outcome, Outcome]], of: Callable[[Outcome], int]) -> float:
    truth = sum(of(one) for one, _ in pairs)
    return sum(of(one) for _, one in pairs) / truth - 1 if truth else 0.0


def _percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)] if ordered else 0.0
