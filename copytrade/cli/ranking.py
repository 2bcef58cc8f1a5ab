"""`copytrade leaders rank`: who is worth following, by the venue's record and our own cost."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copytrade import app
from copytrade.cli.naming import account_called
from copytrade.cli.output import complain, print_json, print_line, print_table
from copytrade.cli.since import parse_since, utc
from copytrade.cli.tables import Shape
from copytrade.domain.ranking import is_market_maker, percent
from copytrade.domain.units import format_micro
from copytrade.ports.histories import HistoryUnavailableError
from copytrade.ports.ledger import NoLedgerYetError

if TYPE_CHECKING:
    from copytrade.domain.ranking import Estimate
    from copytrade.domain.units import Millis
    from copytrade.engine.rank import Ranking
    from copytrade.settings import Settings

PERIODS: Final = ("day", "week", "month", "all")
EXIT_FOUND: Final = 1
SINCE_DEFAULT: Final = "30d"
JUDGE_SECONDS_MAX: Final = 10
"""Adding a leader waits no longer for the venue."""
_COLUMNS: Final = (
    "account|name|events|realised|marked|hit rate|maker|both sides|holds|trade|of depth|edge|our cost|copyability"
)
SHAPE: Final = Shape(
    right=("events", "realised", "marked", "trade", "edge", "copyability"),
    stacks=("name", "maker", "edge", "our cost", "copyability"),
    drops=("of depth", "trade", "marked", "both sides", "holds", "maker", "realised", "hit rate"),
)


def rank(
    addresses: Annotated[
        list[str] | None, typer.Argument(help="Accounts to judge, by address or label; else the venue's best.")
    ] = None,
    *,
    period: Annotated[str, typer.Option(help=f"The venue's table of the best: {', '.join(PERIODS)}.")] = "month",
    category: Annotated[str, typer.Option(help="Only the table of this category, as the venue names it.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many of the table.")] = 10,
    since: Annotated[str, typer.Option(help="Judge by what was done since: 30d, an ISO time.")] = SINCE_DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Rank accounts by what following them would be worth at our cost; nothing is changed."""
    if period not in PERIODS:
        raise typer.BadParameter(f"{period} is none of {', '.join(PERIODS)}", param_hint="--period")
    try:
        since_ms = parse_since(since, now_ms=app.system_clock().now_ms())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
    try:
        found = asyncio.run(_rank(addresses or [], period=period, category=category, limit=limit, since_ms=since_ms))
    except HistoryUnavailableError as error:
        complain(str(error))
        raise typer.Exit(EXIT_FOUND) from None
    if as_json:
        print_json({"since": utc(since_ms), "accounts": [_as_json(one) for one in found]})
    else:
        _print(found, since_ms=since_ms)


async def warnings_before_following(address: str, *, now_ms: Millis) -> tuple[str, ...]:
    """Return what speaks against following an account, or that it could not be judged in time: never an error."""
    try:
        async with asyncio.timeout(JUDGE_SECONDS_MAX), app.open_rank(app.load_settings()) as ranking:
            judged = await ranking.judge(address, name="", since_ms=parse_since(SINCE_DEFAULT, now_ms=now_ms))
    except HistoryUnavailableError as error:
        return (f"not judged: {error}",)
    except TimeoutError:
        return (f"not judged: the venue did not answer within {JUDGE_SECONDS_MAX} s",)
    return judged.warnings


async def _rank(wanted: list[str], *, period: str, category: str, limit: int, since_ms: Millis) -> list[Ranking]:
    settings = app.load_settings()
    wallets = await _accounts(settings, wanted)
    async with app.open_rank(settings) as ranking:
        if wallets:
            return [await ranking.judge(wallet, name="", since_ms=since_ms) for wallet in wallets]
        found = await ranking.best(period=period, category=category, limit=limit, since_ms=since_ms, tell=_progress)
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    return found


async def _accounts(settings: Settings, wanted: list[str]) -> list[str]:
    """Return the addresses of what was named; without a database there are no labels."""
    try:
        async with app.open_ledger(settings) as ledger:
            leaders = await ledger.leaders()
    except NoLedgerYetError:
        leaders = ()
    return [account_called(leaders, name, hint="ADDRESSES") for name in wanted]


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\rread {done} of {of} accounts ")
        sys.stderr.flush()


def _print(found: list[Ranking], *, since_ms: Millis) -> None:
    print_table(
        f"accounts since {utc(since_ms)}",
        _COLUMNS.split("|"),
        map(_cells, found),
        SHAPE,
    )
    for one in found:
        print_line(f"{one.address} {one.name}".rstrip())
        for warning in one.warnings:
            print_line(f"  beware: {warning}")
        if one.is_cut:
            print_line("  he did more than is read; judged by the newest part")
    print_line("Result for each USDC he paid (edge) and less our cost to follow (copyability), with 95% intervals;")
    print_line("open positions count at their price now. Events he had entered before are left out.")


def _cells(one: Ranking) -> list[object]:
    record = one.record
    return [
        f"{one.address[:6]}..{one.address[-4:]}",
        one.name[:20],
        record.events,
        format_micro(record.realized, decimals=0),
        format_micro(record.marked, decimals=0),
        _percent(record.hit_rate),
        f"{_percent(record.maker_share)}{' (market maker)' if is_market_maker(record) else ''}",
        _percent(record.both_sides_share),
        _span(record.median_holding_ms),
        "" if record.median_trade is None else format_micro(record.median_trade, decimals=2),
        _percent(one.depth_share),
        _interval(record.edge),
        "unmeasured" if one.cost is None else f"{percent(one.cost.cost.ratio)} ({one.cost.measured_on})",
        _interval(one.worth),
    ]


def _as_json(one: Ranking) -> dict[str, Any]:
    record = one.record
    amounts = {
        name: None if (value := getattr(record, name)) is None else format_micro(value)
        for name in ("paid", "realized", "marked", "hit_rate", "maker_share", "both_sides_share", "median_trade")
    }
    return {
        "address": one.address,
        "name": one.name,
        "events": record.events,
        "skipped_events": record.skipped_events,
        "trades": record.trades,
        **amounts,
        "is_market_maker": is_market_maker(record),
        "median_holding_ms": record.median_holding_ms,
        "last_trade": None if record.last_trade_ms is None else utc(record.last_trade_ms),
        "median_trade_of_depth": None if one.depth_share is None else format_micro(one.depth_share),
        "our_trade_of_depth": None if one.our_depth_share is None else format_micro(one.our_depth_share),
        "edge": _estimate_json(record.edge),
        "cost": None if one.cost is None else _estimate_json(one.cost.cost, measured_on=one.cost.measured_on),
        "copyability": _estimate_json(one.worth),
        "is_cut": one.is_cut,
        "warnings": list(one.warnings),
    }


def _estimate_json(estimate: Estimate | None, **more: object) -> dict[str, object] | None:
    if estimate is None:
        return None
    figures = {"ratio": estimate.ratio, "low": estimate.low, "high": estimate.high}
    return {**{name: format_micro(value) for name, value in figures.items()}, "samples": estimate.samples, **more}


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "unknown"
    return f"{percent(estimate.ratio)} [{percent(estimate.low)}, {percent(estimate.high)}] n={estimate.samples}"


def _percent(ratio: int | None) -> str:
    return "" if ratio is None else percent(ratio)


def _span(duration_ms: Millis | None) -> str:
    if duration_ms is None:
        return ""
    for name, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        if duration_ms >= length:
            return f"{duration_ms // length}{name}"
    return f"{duration_ms // 1000}s"
