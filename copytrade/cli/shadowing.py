"""What real orders became beside the same attempts on paper, for people and for programs.

Counts are numbers, shares of a whole fractions, differences in basis points with plus where the real order was worse,
times whole milliseconds after the decision, money, shares and prices decimal text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from copytrade.cli.output import print_line, print_table
from copytrade.cli.since import utc
from copytrade.cli.tables import Shape
from copytrade.domain.percentiles import percentile
from copytrade.domain.shadow import mean_difference_bps
from copytrade.domain.units import format_micro

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from copytrade.domain.shadow import Run, ShadowedAttempt

ROWS_MAX: Final = 20
"""So many of the newest attempts are printed; JSON has all."""
PERCENTILES: Final = (50, 95)


def document(found: Sequence[ShadowedAttempt]) -> dict[str, Any]:
    """Return all there is to tell of attempts and their shadows.

    `all` counts those that became orders and are over on both sides; `only_shadow` were never to be sent.
    """
    sent = [one for one in found if one.is_sent]
    return {
        "all": _totals([one for one in sent if one.is_over]),
        "open": sum(not one.is_over for one in sent),
        "only_shadow": len(found) - len(sent),
        "attempts": [_attempt(one) for one in found],
    }


def print_shadows(told: Mapping[str, Any]) -> None:
    """Print the sums of both sides, who was filled, and the newest attempts one by one."""
    whole, attempts = told["all"], told["attempts"]
    if not attempts:
        print_line("no attempt has a shadow yet; each has while orders are real (EXECUTION_MODE=live)")
        return
    print_table(
        "real orders and the same on paper",
        ["", "orders filled", "shares filled", "shares", "USDC", "first fill ms (p50 / p95)"],
        ([name, *_cells(whole[side])] for name, side in (("real", "live"), ("paper", "paper"))),
    )
    print_line(
        f"{whole['attempts']} orders are over: {whole['both_filled']} filled on both, "
        f"{whole['only_live_filled']} only really, {whole['only_paper_filled']} only on paper, "
        f"{whole['neither_filled']} on neither; {told['open']} are open, {told['only_shadow']} ran on paper only"
    )
    difference = whole["price_difference_bps"]
    if difference is not None:
        print_line(f"prices: {difference:+d} bps against paper (plus is worse for us), weighed by what was paid")
    print_table(
        f"the newest {min(ROWS_MAX, len(attempts))} of {len(attempts)}",
        ["decided", "side", "wanted", "real", "paper", "bps", "attempt"],
        map(_row, attempts[:ROWS_MAX]),
        Shape(right=("wanted", "bps"), drops=("attempt", "decided"), wraps=("real", "paper")),
    )


def _totals(over: list[ShadowedAttempt]) -> dict[str, Any]:
    filled = [(one.live.filled_shares > 0, one.paper.filled_shares > 0) for one in over]
    return {
        "attempts": len(over),
        "both_filled": filled.count((True, True)),
        "only_live_filled": filled.count((True, False)),
        "only_paper_filled": filled.count((False, True)),
        "neither_filled": filled.count((False, False)),
        "price_difference_bps": mean_difference_bps(over),
        "live": _sums(over, [one.live for one in over]),
        "paper": _sums(over, [one.paper for one in over]),
    }


def _sums(over: list[ShadowedAttempt], runs: list[Run]) -> dict[str, Any]:
    waits = [one.first_fill_after_ms(run) for one, run in zip(over, runs, strict=True)]
    known = [wait for wait in waits if wait is not None]
    return {
        "fill_rate": _share(sum(run.filled_shares > 0 for run in runs), len(runs)),
        "filled_share": _share(sum(run.filled_shares for run in runs), sum(one.target_shares for one in over)),
        "filled_shares": format_micro(sum(run.filled_shares for run in runs)),
        "filled_usdc": format_micro(sum(run.filled_usdc for run in runs)),
        "first_fill_ms": {f"p{one}": percentile(known, one) if known else None for one in PERCENTILES},
    }


def _attempt(one: ShadowedAttempt) -> dict[str, Any]:
    return {
        "attempt_id": str(one.attempt_id),
        "decided_at": utc(one.decided_at_ms),
        "token_id": one.token_id,
        "side": one.side,
        "target_shares": format_micro(one.target_shares),
        "price_difference_bps": one.price_difference_bps,
        "live": _run(one, one.live) if one.is_sent else None,
        "paper": _run(one, one.paper),
    }


def _run(one: ShadowedAttempt, run: Run) -> dict[str, Any]:
    return {
        "status": run.status,
        "filled_shares": format_micro(run.filled_shares),
        "filled_share": _share(run.filled_shares, one.target_shares),
        "price": None if run.price is None else format_micro(run.price),
        "first_fill_ms": one.first_fill_after_ms(run),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _cells(side: Mapping[str, Any]) -> list[object]:
    first = side["first_fill_ms"]
    waits = "-" if first["p50"] is None else f"{first['p50']} / {first['p95']}"
    rates = [_percent(side["fill_rate"]), _percent(side["filled_share"])]
    return [*rates, side["filled_shares"], side["filled_usdc"], waits]


def _row(one: Mapping[str, Any]) -> list[object]:
    bps = one["price_difference_bps"]
    return [
        one["decided_at"],
        one["side"],
        one["target_shares"],
        "not sent" if one["live"] is None else _words(one["live"]),
        _words(one["paper"]),
        "-" if bps is None else f"{bps:+d}",
        one["attempt_id"][:8],
    ]


def _words(run: Mapping[str, Any]) -> str:
    if run["price"] is None:
        return str(run["status"])
    wait = "" if run["first_fill_ms"] is None else f", {run['first_fill_ms']} ms"
    return f"{run['filled_shares']} at {run['price']}{wait}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
