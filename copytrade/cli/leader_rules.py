"""How leaders are copied, on the command line: options to rules, and rules to text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import typer

from copytrade.domain.copy_rules import RULES, own_rules, parse_rule, write_rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from copytrade.domain.copy_rules import RuleValue
    from copytrade.domain.leaders import Leader

OPTIONS: Final[Mapping[str, str]] = {
    "copy_ratio": "--ratio",
    "max_usdc_per_trade": "--max-usdc",
    "sizing_mode": "--sizing-mode",
    "fixed_usdc": "--fixed-usdc",
    "maker_leader_ratio": "--maker-ratio",
    "exit_mode": "--exit-mode",
    "slippage_bps_max": "--slippage-bps",
    "order_ttl_ms": "--ttl-ms",
    "leader_cooldown_ms": "--cooldown-ms",
}
"""The rules that have an option of their own."""
OWN_COLUMNS: Final = ("copy_ratio", "max_usdc_per_trade")
"""Rules that are fields of the leader himself."""
EVERY_RULE: Final = "all"


def given_rules(others: Iterable[str], **named: str | None) -> dict[str, RuleValue]:
    """Return the rules that options give: those with an option of their own, unless None, and `others` NAME=VALUE.

    :raises typer.BadParameter: a rule that there is not, or a value that is not accepted.
    """
    written = [(OPTIONS[name], name, text) for name, text in named.items() if text is not None]
    for other in others:
        name, equals, text = other.partition("=")
        if not equals:
            raise typer.BadParameter(f"{other!r} is not NAME=VALUE", param_hint="--set")
        written.append(("--set", name, text))
    return dict(_parsed(option, name, text) for option, name, text in written)


def _parsed(option: str, name: str, text: str) -> tuple[str, RuleValue]:
    try:
        return parse_rule(name, text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def cleared_rules(names: Iterable[str]) -> set[str]:
    """Return the rules to forget, by field name.

    :raises typer.BadParameter: a rule that there is not.
    """
    fields = {name.strip().lower() for name in names}
    if EVERY_RULE in fields:
        return set(RULES)
    if unknown := sorted(fields - RULES.keys()):
        known = ", ".join(RULES).upper()
        raise typer.BadParameter(f"{unknown[0]!r} is no rule of copying; there are {known}", param_hint="--clear")
    return fields


def with_rules(leader: Leader, given: Mapping[str, RuleValue], *, cleared: Collection[str] = ()) -> Leader:
    """Return a leader with rules of his own, those that are `cleared` forgotten first."""
    rules = {name: value for name, value in leader.rules if name not in cleared}
    rules.update(given)
    columns: dict[str, Any] = {name: rules.pop(name) for name in OWN_COLUMNS if name in rules}
    emptied = {name: None for name in OWN_COLUMNS if name in cleared}
    return replace(leader, **(emptied | columns), rules=own_rules(rules.items()))


def written_rules(leader: Leader) -> dict[str, str]:
    """Return a leader's own rules as they are set, by the names of the variables."""
    columns = {name: getattr(leader, name) for name in OWN_COLUMNS}
    own = {name: value for name, value in columns.items() if value is not None} | dict(leader.rules)
    return {name.upper(): write_rule(name, value) for name, value in own.items()}


def state_of(leader: Leader) -> str:
    """Return in a word or two what becomes of a leader's fills."""
    if not leader.enabled:
        return "removed"
    if leader.paused:
        return "paused"
    return "exits only" if leader.exit_only else "followed"
