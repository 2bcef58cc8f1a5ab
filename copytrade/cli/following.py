"""`copytrade leaders`: whom to follow, and how."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copytrade import app
from copytrade.cli import ranking, verifying
from copytrade.cli.leader_rules import cleared_rules, given_rules, state_of, with_rules, written_rules
from copytrade.cli.naming import free_label, leader_called
from copytrade.cli.output import print_json, print_line, print_table
from copytrade.cli.since import parse_since, utc
from copytrade.cli.tables import Shape
from copytrade.domain.copy_rules import contradiction, rules_of
from copytrade.domain.leaders import normal_address
from copytrade.domain.orders import ttl_contradiction
from copytrade.domain.units import format_micro

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.domain.copy_rules import RuleValue
    from copytrade.domain.leaders import Leader
    from copytrade.settings import Settings

verbs = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Address = Annotated[str, typer.Argument(help="The account's address, 0x and 40 hex digits; or its profile page's URL.")]
_PROFILE: Final = re.compile(r"(?:https?://)?(?:www\.)?polymarket\.com/(?:profile/)?(0x[0-9a-fA-F]{40})(?:[/?#].*)?")
Who = Annotated[str, typer.Argument(metavar="LEADER", help="His address or label.")]
HINT: Final = "LEADER"
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Label = Annotated[str | None, typer.Option(help="A name for tables and logs.")]
Ratio = Annotated[str | None, typer.Option(help="Our size for one of his; else COPY_RATIO.")]
MaxUsdc = Annotated[str | None, typer.Option(help="USDC on each entry; else MAX_USDC_PER_TRADE.")]
Others = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any rule by its variable, such as SPREAD_MAX=0.03; repeatable."),
]


@verbs.command("add")
def add(
    address: Address,
    *,
    label: Label = None,
    ratio: Ratio = None,
    max_usdc: MaxUsdc = None,
    others: Others = None,
    since: Annotated[str, typer.Option(help="Follow from: 2h, 3d, an ISO time or Unix seconds; else from now.")] = "",
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Do not ask the venue how good he is.")] = False,
) -> None:
    """Follow an account from now on (or --since a past time)."""
    wallet = _address(address)
    given = given_rules(others or [], copy_ratio=ratio, max_usdc_per_trade=max_usdc)
    asyncio.run(_add(wallet, label=label or "", given=given, since=since, is_checked=not unchecked))


@verbs.command("set", short_help="Change how one leader is copied.")
def set_rules(
    leader: Who,
    *,
    label: Label = None,
    ratio: Ratio = None,
    max_usdc: MaxUsdc = None,
    sizing_mode: Annotated[str | None, typer.Option(help="ratio, fixed_usdc or bankroll.")] = None,
    fixed_usdc: Annotated[str | None, typer.Option(help="USDC on each of his orders, with fixed_usdc.")] = None,
    slippage_bps: Annotated[str | None, typer.Option(help="How far from his price our limit is.")] = None,
    ttl_ms: Annotated[str | None, typer.Option(help="How long an order rests.")] = None,
    maker_ratio: Annotated[str | None, typer.Option(help="Factor where his order rested; 0 does not follow.")] = None,
    exit_mode: Annotated[str | None, typer.Option(help="fraction or ratio.")] = None,
    cooldown_ms: Annotated[str | None, typer.Option(help="No other order of his is entered for so long.")] = None,
    others: Others = None,
    clear: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Forget his own value of a rule, by its variable, or of all; repeatable."),
    ] = None,
    paused: Annotated[bool | None, typer.Option(help="Copy nothing of his, exits neither.")] = None,
    exit_only: Annotated[bool | None, typer.Option(help="Copy his exits alone.")] = None,
    live_allowed: Annotated[bool | None, typer.Option(help="Whether he may be copied with real orders.")] = None,
) -> None:
    """Change how one leader is copied; a running worker takes it up within a second."""
    given = given_rules(
        others or [],
        copy_ratio=ratio,
        max_usdc_per_trade=max_usdc,
        sizing_mode=sizing_mode,
        fixed_usdc=fixed_usdc,
        slippage_bps_max=slippage_bps,
        order_ttl_ms=ttl_ms,
        maker_leader_ratio=maker_ratio,
        exit_mode=exit_mode,
        leader_cooldown_ms=cooldown_ms,
    )
    fields = {"label": label, "paused": paused, "exit_only": exit_only, "live_allowed": live_allowed}
    changes = {name: value for name, value in fields.items() if value is not None}
    cleared = cleared_rules(clear or [])
    if not (given or changes or cleared):
        raise typer.BadParameter("nothing to set; copytrade leaders set --help tells what can be")
    asyncio.run(_set(leader, given=given, cleared=cleared, changes=changes))


@verbs.command("list")
def list_leaders(as_json: AsJson = False) -> None:
    """Show the accounts we follow."""
    asyncio.run(_list(as_json=as_json))


verbs.command("verify", short_help="His fills on the chain, in the Data API and in our tables.")(verifying.verify)
verbs.command("rank", short_help="Who is worth following, at our cost.")(ranking.rank)


@verbs.command("remove")
def remove(leader: Who) -> None:
    """Stop following an account; what was seen and done stays."""
    asyncio.run(_remove(leader))


async def _add(address: str, *, label: str, given: Mapping[str, RuleValue], since: str, is_checked: bool) -> None:
    clock = app.system_clock()
    now_ms = clock.now_ms()
    try:
        since_ms = parse_since(since, now_ms=now_ms) if since else now_ms
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None
    settings = app.load_settings()
    leader = with_rules(app.new_leader(address, label=label, since_ms=since_ms, now_ms=now_ms), given)
    _refuse_contradiction(leader, settings)
    async with app.open_ledger(settings, creates=True) as ledger:
        leader = replace(leader, label=free_label(await ledger.leaders(), label, address=address))
        if await ledger.add_leader(leader):
            print_line(f"following {address}{f' ({leader.label})' if leader.label else ''} since {utc(since_ms)}")
            for warning in await ranking.warnings_before_following(address, now_ms=now_ms) if is_checked else ():
                print_line(f"  beware: {warning}")
        else:
            print_line(f"{address} is followed already; nothing was changed (copytrade leaders set changes it)")


async def _set(wanted: str, *, given: Mapping[str, RuleValue], cleared: set[str], changes: Mapping[str, Any]) -> None:
    settings = app.load_settings()
    async with app.open_ledger(settings) as ledger:
        leaders = await ledger.leaders()
        before = leader_called(leaders, wanted, hint=HINT)
        if "label" in changes:
            changes = {**changes, "label": free_label(leaders, changes["label"], address=before.address)}
        after = replace(with_rules(before, given, cleared=cleared), **changes)
        _refuse_contradiction(after, settings)
        await ledger.change_leader(after)
        detail = {"leader": before.address, "before": _how(before), "after": _how(after)}
        await ledger.note("LEADER_CHANGED", detail, at_ms=app.system_clock().now_ms())
    print_line(f"{_named(after)} is {_how(after)}")


def _named(leader: Leader) -> str:
    return f"{leader.address} ({leader.label})" if leader.label else leader.address


def _how(leader: Leader) -> str:
    """Return on one line how a leader is copied."""
    own = " ".join(f"{name}={text}" for name, text in written_rules(leader).items())
    live = ", live allowed" if leader.live_allowed else ""
    return f"{state_of(leader)}{live}; {own or 'no rules of his own'}"


def _refuse_contradiction(leader: Leader, settings: Settings) -> None:
    rules = rules_of(leader, app.build_rules(settings))
    impossible = contradiction(rules.price_min, rules.price_max)
    impossible = impossible or ttl_contradiction(settings.order_type, rules.order_ttl_ms)
    if impossible is not None:
        raise typer.BadParameter(impossible)


async def _remove(wanted: str) -> None:
    async with app.open_ledger(app.load_settings()) as ledger:
        leader = leader_called(await ledger.leaders(), wanted, hint=HINT)
        await ledger.remove_leader(leader.address)
    print_line(f"{_named(leader)} is no longer followed; its fills and our attempts stay")


async def _list(*, as_json: bool) -> None:
    async with app.open_ledger(app.load_settings()) as ledger:
        leaders = await ledger.leaders()
    if as_json:
        print_json({"leaders": [_row(leader) for leader in leaders]})
        return
    shape = Shape(wraps=("own rules",), drops=("followed since",), whole=("leader",))
    print_table("leaders", ["leader", "state", "own rules", "followed since"], map(_cells, leaders), shape)


def _row(leader: Leader) -> dict[str, object]:
    return {
        "address": leader.address,
        "label": leader.label,
        "enabled": leader.enabled,
        "paused": leader.paused,
        "exit_only": leader.exit_only,
        "live_allowed": leader.live_allowed,
        "copy_ratio": None if leader.copy_ratio is None else format_micro(leader.copy_ratio),
        "max_usdc_per_trade": None if leader.max_usdc_per_trade is None else format_micro(leader.max_usdc_per_trade),
        "rules": written_rules(leader),
        "followed_since": utc(leader.followed_since_ms),
    }


def _cells(leader: Leader) -> tuple[str, ...]:
    own = "\n".join(f"{name}={text}" for name, text in written_rules(leader).items())
    named = f"{leader.label}\n{leader.address}" if leader.label else leader.address
    return named, state_of(leader), own, utc(leader.followed_since_ms)


def _address(text: str) -> str:
    page = _PROFILE.fullmatch(text.strip())
    try:
        return normal_address(page[1] if page else text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; his profile page has it", param_hint="ADDRESS") from None
