"""`copytrade stats`: how fast, how completely and how well fills are copied."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copytrade import app
from copytrade.cli.following import AsJson
from copytrade.cli.naming import address_of
from copytrade.cli.output import print_json, print_line, print_table
from copytrade.cli.shadowing import document, print_shadows
from copytrade.cli.since import parse_since
from copytrade.cli.tables import Shape
from copytrade.domain.attempts import ExecutionMode
from copytrade.engine.what_if import shadows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from copytrade.domain.shadow import ShadowedAttempt

    Group = Mapping[str, Any]

BAR_WIDTH: Final = 40
SHADOWED_MAX: Final = 10_000
"""So many of the newest attempts are compared with their shadows."""
COUNTS: Final = ("attempts", "skips", "trades", "filled", "partial", "unfilled", "failed", "open")
RATES: Final = ("fill_rate", "partial_rate")
LOSSES: Final = (
    *("decision_delay", "spread", "placement_delay", "depth", "rest", "unknown", "fee"),
    *("cost", "filled", "cost_bps"),
)
DROPPED_COUNTS: Final = ("failed", "attempts", "partial rate", "skips", "open")
DROPPED_LOSSES: Final = ("unknown", "filled", "rest", "depth", "cost bps")


def stats(
    since: Annotated[str, typer.Option(help="Decided since: 2h, 3d, an ISO time or Unix seconds; else all.")] = "",
    leader: Annotated[str, typer.Option(help="Only fills of this leader: address or label.")] = "",
    shadow: Annotated[bool, typer.Option("--shadow", help="Real orders beside the same attempts on paper.")] = False,
    recorded: Annotated[
        Path | None, typer.Option(help="The same of a session that `run --record` wrote of real orders; needs no key.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show latencies, fill rates, slippage, what was lost and where, and markouts: in all, by role and by leader."""
    now_ms = app.system_clock().now_ms()
    try:
        since_ms = parse_since(since, now_ms=now_ms) if since else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
    if shadow or recorded is not None:
        found = document(_shadows(recorded, since_ms=since_ms or 0, leader=leader.strip()))
    else:
        found = asyncio.run(_figures(now_ms=now_ms, since_ms=since_ms, leader=leader.strip()))
    if as_json:
        print_json(found)
    elif "only_shadow" in found:
        print_shadows(found)
    else:
        _print(found)


async def _figures(*, now_ms: int, since_ms: int | None, leader: str) -> dict[str, Any]:
    settings = app.load_settings()
    address = await address_of(settings, leader) if leader else None
    async with app.open_statistics(settings) as statistics:
        return await statistics.figures(now_ms=now_ms, since_ms=since_ms, leader=address)


def _shadows(recorded: Path | None, *, since_ms: int, leader: str) -> tuple[ShadowedAttempt, ...]:
    if recorded is None:
        return asyncio.run(_kept_shadows(since_ms=since_ms, leader=leader))
    if leader or since_ms:
        raise typer.BadParameter(
            "a recording is compared whole; leave --since and --leader out", param_hint="--recorded"
        )
    session = app.replay(recorded, {}, tell=lambda _: None)
    if session.began.mode != ExecutionMode.LIVE:
        raise typer.BadParameter(f"{recorded} was recorded on paper; no order of it was real", param_hint="--recorded")
    return shadows_of(session.copies)


async def _kept_shadows(*, since_ms: int, leader: str) -> tuple[ShadowedAttempt, ...]:
    settings = app.load_settings()
    address = await address_of(settings, leader) if leader else None
    async with app.open_ledger(settings) as ledger:
        return await ledger.shadowed(since_ms=since_ms, leader=address, limit=SHADOWED_MAX)


def _print(found: Mapping[str, Any]) -> None:
    whole = found["all"]
    if not whole["attempts"]:
        print_line("no attempts yet")
        return
    for title, columns, cells, drops in (
        (
            "latency in ms, each stage from the one before; the book's age when an order is decided (p50 / p95 / p99)",
            (*whole["latency_ms"], "book_age"),
            _latencies,
            (),
        ),
        ("orders; slippage as p50 / p95 / p99", (*COUNTS, *RATES, "slippage_bps"), _orders, DROPPED_COUNTS),
        ("lost against the leaders in USDC, plus is a loss", LOSSES, _losses, DROPPED_LOSSES),
        ("lost for a share, bps of the leader's price (p50 / p95 / p99)", whole["lost_bps"], _losses_bps, ()),
        ("gained after our fills in USDC, at the mid later or at the payout (fills)", whole["gained_usdc"], _gains, ()),
        ("gained for a share, bps of our price (p50 / p95 / p99)", whole["gained_bps"], _gains_bps, ()),
    ):
        names = [name.replace("_", " ") for name in columns]
        stacks = ("", "slippage bps") if cells is _orders else () if cells is _losses else ("", *names)
        shape = Shape(right=names, stacks=stacks, drops=drops)
        print_table(title, ["", *names], ([name, *cells(group)] for name, group in _groups(found)), shape)
    _print_slippage(whole["slippage_bps"]["histogram"])
    _print_sources(found)
    if whole["attempts"] >= found["attempts_max"]:
        print_line(f"counted: the newest {found['attempts_max']} attempts")


def _print_sources(found: Mapping[str, Any]) -> None:
    """Print how far each source was behind, in all and by the leader's role."""
    rows = [("all", row) for row in found["sources"]]
    rows += [(f"leader was {role}", row) for role, some in found["sources_by_role"].items() for row in some]
    columns = [name.replace("_", " ") for name in found["sources"][0]] if rows else []
    cells = ([name, *row.values()] for name, row in rows)
    print_table("sources", ["", *columns], cells, Shape(stacks=("", *columns)))


def _groups(found: Mapping[str, Any]) -> Iterator[tuple[str, Group]]:
    yield "all", found["all"]
    for role, group in found["by_role"].items():
        yield f"leader was {role}", group
    for group in found["by_leader"]:
        yield group["label"] or f"{group['leader'][:6]}..{group['leader'][-4:]}", group


def _latencies(group: Group) -> list[object]:
    return [_percentiles(spread) for spread in (*group["latency_ms"].values(), group["book_age_ms"])]


def _orders(group: Group) -> list[object]:
    counts, rates = [group[name] for name in COUNTS], [_percent(group[name]) for name in RATES]
    return [*counts, *rates, _percentiles(group["slippage_bps"])]


def _losses(group: Group) -> list[object]:
    return [group["lost_usdc"][part] for part in LOSSES]


def _losses_bps(group: Group) -> list[object]:
    return [_percentiles(spread) for spread in group["lost_bps"].values()]


def _gains_bps(group: Group) -> list[object]:
    return [_percentiles(spread) for spread in group["gained_bps"].values()]


def _gains(group: Group) -> list[object]:
    return [f"{one['usdc']} ({one['fills']})" if one["fills"] else "-" for one in group["gained_usdc"].values()]


def _percentiles(spread: Mapping[str, int | None]) -> str:
    return " / ".join(str(spread[name]) for name in ("p50", "p95", "p99")) if spread["n"] else "-"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _print_slippage(histogram: list[dict[str, Any]]) -> None:
    highest = max((one["n"] for one in histogram), default=0)
    if not highest:
        return
    print_line("slippage against the leader's price, bps (plus is worse for us)")
    for place, one in enumerate(histogram):
        edges = f"above {histogram[place - 1]['up_to']}" if one["up_to"] is None else f"up to {one['up_to']}"
        print_line(f"  {edges:<11} {one['n']:>6}  {'#' * -(-one['n'] * BAR_WIDTH // highest)}")
