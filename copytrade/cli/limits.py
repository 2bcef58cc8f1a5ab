"""`copytrade limits`: what is limited, how much of it is used, and by whom it was set."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import typer

from copytrade import app
from copytrade.cli.following import AsJson
from copytrade.cli.naming import account_called
from copytrade.cli.output import complain, print_json, print_line, print_table
from copytrade.cli.since import utc
from copytrade.cli.tables import Shape
from copytrade.domain.risk import NOT_BY_LEADER, LimitName, format_value, parse_value
from copytrade.domain.scopes import EVERYTHING, Scope, scope_name
from copytrade.settings import Settings

verbs = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_NAMES: Final = ", ".join(LimitName)
SHAPE: Final = Shape(right=("value", "used"), stacks=("scope", "of", "source"), drops=("source",))
_NOTHING: Final = {"none", "off", ""}


@verbs.command("list")
def list_limits(as_json: AsJson = False) -> None:
    """Show every limit with its scope, what is used of it now, and where it comes from."""
    asyncio.run(_list(app.load_settings(), as_json=as_json))


@verbs.command("set")
def set_limit(
    name: Annotated[str, typer.Argument(help=f"One of {_NAMES}.")],
    value: Annotated[str, typer.Argument(help="USDC, a count or milliseconds, as the name says; none for no limit.")],
    *,
    leader: Annotated[str, typer.Option(help="Only for what copies this leader: address or label.")] = "",
    account: Annotated[str, typer.Option(help="Only on this account, with --strategy.")] = "",
    strategy: Annotated[str, typer.Option(help="Only for this strategy, with --account.")] = "",
    everything: Annotated[bool, typer.Option("--global", help="For everything together; the default.")] = False,
) -> None:
    """Set a limit while the worker runs: it holds within a second, and over restarts.

    All limits hold at once, so the tightest decides; only MAX_USDC_PER_LEADER and LEADER_BUDGET_USDC of one leader
    go before the general ones.
    """
    limit = _name(name)
    scope = _scope(leader=leader.strip(), account=account, strategy=strategy, everything=everything)
    if scope.leader and limit in NOT_BY_LEADER:
        raise typer.BadParameter(f"{limit} cannot be set for one leader", param_hint="--leader")
    try:
        parsed = None if value.strip().lower() in _NOTHING else parse_value(limit, value)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="VALUE") from None
    asyncio.run(_set(app.load_settings(), limit, scope, parsed))


async def _set(settings: Settings, name: LimitName, scope: Scope, value: int | None) -> None:
    start = settings.start_limits().get(name) if scope == EVERYTHING else None
    async with app.open_ledger(settings, creates=True) as ledger:
        leaders = await ledger.leaders()
        if scope.leader:
            scope = Scope(leader=account_called(leaders, scope.leader, hint="--leader"))
        change = await ledger.set_limit(
            name, scope, value, start=start, by=app.operator(), at_ms=app.system_clock().now_ms()
        )
    old, new = format_value(name, change.old), format_value(name, change.new)
    print_line(f"{name} ({scope_name(scope)}): {old} -> {new}; a running worker applies it within a second")
    if scope.leader and scope.leader not in {leader.address for leader in leaders}:
        complain(f"{scope.leader} is no leader yet; the limit holds once he is")


async def _list(settings: Settings, *, as_json: bool) -> None:
    async with app.open_ledger(settings) as ledger:
        rows = await app.limits_in_force(settings, ledger)
    for row in rows:
        changed_at_ms = row.pop("changed_at_ms")
        row["changed_at"] = utc(changed_at_ms) if changed_at_ms else ""
    if as_json:
        print_json({"limits": rows})
        return
    columns = ["name", "scope", "value", "used", "of", "source"]
    print_table("limits", columns, ([row[column] for column in columns] for row in rows), SHAPE)


def _name(text: str) -> LimitName:
    wanted = text.strip().upper().removeprefix("RISK_")
    if wanted not in set(LimitName):
        raise typer.BadParameter(f"{text} is none of {_NAMES}", param_hint="NAME")
    return LimitName(wanted)


def _scope(*, leader: str, account: str, strategy: str, everything: bool) -> Scope:
    """Return the scope that was given; its leader is as he was named, to be looked up."""
    if sum((bool(leader), bool(account or strategy), everything)) > 1:
        raise typer.BadParameter("one of --leader, --account with --strategy, and --global", param_hint="scope")
    if bool(account) != bool(strategy):
        raise typer.BadParameter("--account and --strategy go together", param_hint="scope")
    return Scope(leader=leader) if leader else Scope(strategy, account)
