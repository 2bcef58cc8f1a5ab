"""`copytrade leaders`: whom to follow."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from copytrade import app
from copytrade.cli import ranking, verifying
from copytrade.cli.output import print_json, print_line, print_table
from copytrade.cli.since import parse_since, utc
from copytrade.domain.leaders import normal_address
from copytrade.domain.units import format_micro, parse_micro
from copytrade.settings import load

verbs = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Address = Annotated[str, typer.Argument(help="The account's address: 0x and 40 hex digits.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@verbs.command("add")
def add(
    address: Address,
    *,
    label: Annotated[str, typer.Option(help="A name for tables and logs.")] = "",
    ratio: Annotated[str, typer.Option(help="Our size for one of his; else COPY_RATIO.")] = "",
    max_usdc: Annotated[str, typer.Option(help="USDC per trade; else MAX_USDC_PER_TRADE.")] = "",
    since: Annotated[str, typer.Option(help="Follow from: 2h, 3d, an ISO time or Unix seconds; else from now.")] = "",
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Do not ask the venue how good he is.")] = False,
) -> None:
    """Follow an account from now on (or --since a past time)."""
    wallet = _address(address)
    asyncio.run(
        _add(
            wallet,
            label=label,
            ratio=_above_zero(ratio, "--ratio"),
            cap=_above_zero(max_usdc, "--max-usdc"),
            since=since,
            is_checked=not unchecked,
        )
    )


@verbs.command("list")
def list_leaders(as_json: AsJson = False) -> None:
    """Show the accounts we follow."""
    asyncio.run(_list(as_json=as_json))


verbs.command("verify")(verifying.verify)
verbs.command("rank")(ranking.rank)


@verbs.command("remove")
def remove(address: Address) -> None:
    """Stop following an account; what was seen and done stays."""
    asyncio.run(_remove(_address(address)))


async def _add(address: str, *, label: str, ratio: int | None, cap: int | None, since: str, is_checked: bool) -> None:
    clock = app.system_clock()
    now_ms = clock.now_ms()
    try:
        since_ms = parse_since(since, now_ms=now_ms) if since else now_ms
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
    leader = app.new_leader(
        address, label=label, since_ms=since_ms, now_ms=now_ms, copy_ratio=ratio, max_usdc_per_trade=cap
    )
    async with app.open_ledger(load()) as ledger:
        if await ledger.add_leader(leader):
            print_line(f"following {address}{f' ({label})' if label else ''} since {utc(since_ms)}")
            for warning in await ranking.warnings_before_following(address, now_ms=now_ms) if is_checked else ():
                print_line(f"  beware: {warning}")
        else:
            print_line(f"{address} is followed already; nothing was changed (remove it first to change it)")


async def _remove(address: str) -> None:
    async with app.open_ledger(load()) as ledger:
        await ledger.remove_leader(address)
    print_line(f"{address} is no longer followed; its fills and our attempts stay")


async def _list(*, as_json: bool) -> None:
    async with app.open_ledger(load()) as ledger:
        leaders = await ledger.leaders()
    rows = [
        {
            "address": leader.address,
            "label": leader.label,
            "enabled": leader.enabled,
            "copy_ratio": None if leader.copy_ratio is None else format_micro(leader.copy_ratio),
            "max_usdc_per_trade": None
            if leader.max_usdc_per_trade is None
            else format_micro(leader.max_usdc_per_trade),
            "live_allowed": leader.live_allowed,
            "followed_since": utc(leader.followed_since_ms),
        }
        for leader in leaders
    ]
    if as_json:
        print_json({"leaders": rows})
        return
    columns = ["address", "label", "enabled", "copy_ratio", "max_usdc_per_trade", "followed_since"]
    print_table("leaders", columns, ([row[column] for column in columns] for row in rows))


def _address(text: str) -> str:
    try:
        return normal_address(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="ADDRESS") from None


def _above_zero(text: str, option: str) -> int | None:
    if not text:
        return None
    try:
        amount = parse_micro(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    if amount <= 0:
        raise typer.BadParameter(f"{text} is not above 0", param_hint=option)
    return amount
