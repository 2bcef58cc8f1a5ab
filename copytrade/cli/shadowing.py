"""What real orders became beside the same attempts on paper, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from copytrade.cli.output import print_line, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

ROWS_MAX: Final = 20
"""So many of the newest attempts are printed; JSON has all."""


def print_shadows(found: Mapping[str, Any]) -> None:
    """Print the sums of both sides, who was filled, and the newest attempts one by one."""
    whole, attempts = found["all"], found["attempts"]
    if not attempts:
        print_line("no attempt has a shadow yet; each has while orders are real (EXECUTION_MODE=live)")
        return
    print_table(
        "real orders and the same on paper",
        ["", "orders filled", "shares filled", "shares", "USDC", "first fill ms (p50 / p95)"],
        ([name, *_sums(whole[side])] for name, side in (("real", "live"), ("paper", "paper"))),
    )
    print_line(
        f"{whole['attempts']} orders are over: {whole['both_filled']} filled on both, "
        f"{whole['only_live_filled']} only really, {whole['only_paper_filled']} only on paper, "
        f"{whole['neither_filled']} on neither; {found['open']} are open, {found['only_shadow']} ran on paper only"
    )
    difference = whole["price_difference_bps"]
    if difference is not None:
        print_line(f"prices: {difference:+d} bps against paper (plus is worse for us), weighed by what was paid")
    print_table(
        f"the newest {min(ROWS_MAX, len(attempts))} of {len(attempts)}",
        ["decided", "side", "wanted", "real", "paper", "price bps", "attempt"],
        (_row(one) for one in attempts[:ROWS_MAX]),
        right="wanted",
    )


def _sums(side: Mapping[str, Any]) -> list[object]:
    first = side["first_fill_ms"]
    waits = "-" if first["p50"] is None else f"{first['p50']} / {first['p95']}"
    rates = [_percent(side["fill_rate"]), _percent(side["filled_share"])]
    return [*rates, side["filled_shares"], side["filled_usdc"], waits]


def _row(one: Mapping[str, Any]) -> list[object]:
    bps = one["price_difference_bps"]
    return [
        one["decided_at"][:19],
        one["side"],
        one["target_shares"],
        "not sent" if one["live"] is None else _run(one["live"]),
        _run(one["paper"]),
        "-" if bps is None else f"{bps:+d}",
        one["attempt_id"][:8],
    ]


def _run(run: Mapping[str, Any]) -> str:
    if run["price"] is None:
        return str(run["status"])
    wait = "" if run["first_fill_ms"] is None else f" after {run['first_fill_ms']} ms"
    return f"{run['filled_shares']} at {run['price']}{wait}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
