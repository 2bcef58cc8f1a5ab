"""`copytrade leaders verify`: whether every fill of a leader is in our tables, by two other witnesses."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copytrade import app
from copytrade.cli.naming import account_called
from copytrade.cli.output import complain, print_json, print_line, print_table
from copytrade.cli.since import parse_since
from copytrade.cli.tables import Shape
from copytrade.domain.units import format_micro
from copytrade.engine.verify import DAY_MS, RangeReport
from copytrade.ports.leader_fills import SourceUnusableError
from copytrade.ports.witnesses import PastLostError, Trade, WitnessUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from copytrade.domain.units import Millis
    from copytrade.engine.verify import Difference

SINCE_DEFAULT_MS = 7 * DAY_MS
EXIT_FOUND = 1
SHOWN_MAX = 100
"""Differences that are printed; `--json` has all."""


def verify(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="A leader's address or label, or any address.")],
    since: Annotated[str, typer.Option(help="From: 2h, 3d, an ISO time or Unix seconds; else since followed.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare the chain, read afresh, with the Data API and our tables; exit 1 when they differ."""
    now_ms = app.system_clock().now_ms()
    try:
        since_ms = parse_since(since, now_ms=now_ms) if since else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
    try:
        wallet, reports = asyncio.run(_verify(account, since_ms=since_ms, now_ms=now_ms))
    except WitnessUnavailableError as error:
        raise SourceUnusableError(str(error)) from error
    _print(wallet, reports, as_json=as_json)
    if any(report.differs for report in reports):
        raise typer.Exit(EXIT_FOUND)


async def _verify(wanted: str, *, since_ms: Millis | None, now_ms: Millis) -> tuple[str, list[RangeReport]]:
    settings = app.load_settings()
    async with app.open_ledger(settings) as ledger:
        leaders = await ledger.leaders()
        wallet = account_called(leaders, wanted, hint="ACCOUNT")
        leader = next((one for one in leaders if one.address == wallet), None)
        followed_ms = None if leader is None else leader.followed_since_ms // 1000 * 1000
        if leader is None:
            complain(f"{wallet} is not a leader of ours: the chain is compared with the Data API only")
        start_ms = since_ms if since_ms is not None else followed_ms or now_ms - SINCE_DEFAULT_MS
        ours_ms = None if followed_ms is None else max(followed_ms, start_ms)
        async with app.open_verify(settings, ledger, tell=_progress) as verifier:
            try:
                reports = await verifier.run(wallet, since_ms=start_ms // 1000 * 1000, ours_since_ms=ours_ms)
            except PastLostError as lost:
                kept_ms = -(-lost.from_ms // 1000) * 1000
                complain(f"no node keeps what was before {_utc(kept_ms)}: compared from then on")
                ours_ms = None if ours_ms is None else max(ours_ms, kept_ms)
                reports = await verifier.run(wallet, since_ms=kept_ms, ours_since_ms=ours_ms)
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    return wallet, reports


def _progress(done: int, left: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\rread {done} blocks, {left} to go ({100 * done // max(1, done + left)}%) ")
        sys.stderr.flush()


def _print(wallet: str, reports: list[RangeReport], *, as_json: bool) -> None:
    is_complete = not any(report.differs for report in reports)
    if as_json:
        print_json({"address": wallet, "complete": is_complete, "ranges": [_as_json(report) for report in reports]})
        return
    columns = ["from", "blocks", "chain", "data api", "ours", "missing", "pending", "extra", "providers"]
    print_table(f"fills of {wallet}", columns, map(_cells, reports), Shape(stacks=("providers",), drops=("blocks",)))
    said = [line for report in reports for line in _differences(report)]
    for line in said[:SHOWN_MAX]:
        print_line(line)
    if (more := len(said) - SHOWN_MAX) > 0:
        print_line(f"and {more} more (--json has all)")
    print_line("complete: every fill on the chain is accounted for" if is_complete else "the witnesses differ")


def _differences(report: RangeReport) -> Iterator[str]:
    for name, side in _sides(report):
        for what, trades in (("missing", side.missing), ("pending", side.pending), ("extra", side.extra)):
            for trade in trades:
                yield f"{what} in {name}: {trade.side} {format_micro(trade.size)} {trade.tx_hash}"


def _cells(report: RangeReport) -> list[object]:
    sides = [side for _, side in _sides(report)]
    return [
        _utc(report.from_ms),
        f"{report.from_block}-{report.to_block}",
        report.on_chain,
        report.api.count,
        "-" if report.ours is None else report.ours.count,
        sum(len(side.missing) for side in sides),
        sum(len(side.pending) for side in sides),
        sum(len(side.extra) for side in sides),
        "two agree" if report.is_agreed else "single source",
    ]


def _sides(report: RangeReport) -> list[tuple[str, Difference]]:
    return [("data api", report.api)] + ([] if report.ours is None else [("our tables", report.ours)])


def _as_json(report: RangeReport) -> dict[str, Any]:
    return {
        "from": _utc(report.from_ms),
        "from_block": report.from_block,
        "to_block": report.to_block,
        "chain": report.on_chain,
        "providers_agree": report.is_agreed,
        "data_api": _side_json(report.api),
        "ours": None if report.ours is None else _side_json(report.ours),
    }


def _side_json(side: Difference) -> dict[str, Any]:
    return {
        "count": side.count,
        "missing": [_trade_json(trade) for trade in side.missing],
        "pending": [_trade_json(trade) for trade in side.pending],
        "extra": [_trade_json(trade) for trade in side.extra],
    }


def _trade_json(trade: Trade) -> dict[str, str]:
    return {
        "tx_hash": trade.tx_hash,
        "token_id": trade.token_id,
        "side": str(trade.side),
        "size": format_micro(trade.size),
        "at": _utc(trade.at_ms),
    }


def _utc(at_ms: Millis) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
