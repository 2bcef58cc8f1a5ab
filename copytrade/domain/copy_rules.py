"""The rules of copying: what an operator may say about every copy, and a leader's own values of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from copytrade.domain.sizing import ExitMode, SizingMode
from copytrade.domain.units import BPS, MICRO, Millis, Price, Ratio, Usdc, format_micro, parse_micro

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from enum import StrEnum

    from copytrade.domain.leaders import Leader

RuleValue: TypeAlias = "int | str | tuple[str, ...] | None"
"""Micro-units, milliseconds or a count; a mode; words; None where the rule is switched off."""
OwnRules: TypeAlias = tuple[tuple[str, RuleValue], ...]
"""A leader's own rules by name, in the order of names."""

DAY_MS: Final[Millis] = 86_400_000
AGE_MAX_MS: Final[Millis] = DAY_MS
"""No rule looks further back than this: what is older need not be remembered."""
ORDER_WINDOW_MAX_MS: Final[Millis] = 600_000
WORDS_MAX: Final = 200
RATIO_MAX: Final[Ratio] = 10**12
"""A million of ours for one of his: more than any ledger need keep."""
_USDC_MAX: Final[Usdc] = 10**15


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRules:
    """What the operator allows; None, zero time or no words switch a guard off.

    `fixed_usdc` None is `max_usdc_per_trade`. `maker_leader_ratio` 0 means that resting leaders are not followed.
    `carry_max_age_ms` 0 means that a copy below the minimum is not kept for later.
    """

    copy_ratio: Ratio
    max_usdc_per_trade: Usdc
    maker_leader_ratio: Ratio
    sizing_mode: SizingMode
    slippage_bps_max: int
    order_ttl_ms: Millis
    fill_max_age_ms: Millis
    exit_mode: ExitMode = ExitMode.RATIO
    fixed_usdc: Usdc | None = None
    bankroll_usdc: Usdc = 1_000 * MICRO
    slippage_ticks_max: int | None = None
    spread_max: Price | None = None
    depth_usdc_min: Usdc | None = None
    price_min: Price | None = None
    price_max: Price | None = None
    min_time_to_end_ms: Millis = 0
    categories_allow: tuple[str, ...] = ()
    categories_deny: tuple[str, ...] = ()
    keywords_allow: tuple[str, ...] = ()
    keywords_deny: tuple[str, ...] = ()
    leader_cooldown_ms: Millis = 0
    carry_max_age_ms: Millis = 0
    order_window_ms: Millis = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How values of a rule are written: `accepted` for people; `parse` raises ValueError for anything else."""

    accepted: str
    parse: Callable[[str], RuleValue]
    write: Callable[[Any], str]


def _amount(accepted: str, *, lowest: int, highest: int, is_optional: bool = False) -> Kind:
    return Kind(
        accepted=f"{accepted}, or nothing" if is_optional else accepted,
        parse=_bounded(parse_micro, lowest, highest, is_optional=is_optional),
        write=lambda value: "" if value is None else format_micro(value),
    )


def _whole(accepted: str, *, lowest: int, highest: int, is_optional: bool = False) -> Kind:
    said = f"{accepted}an integer from {lowest} to {highest}"
    return Kind(
        accepted=f"{said}, or nothing" if is_optional else said,
        parse=_bounded(_integer, lowest, highest, is_optional=is_optional),
        write=lambda value: "" if value is None else str(value),
    )


def _bounded(
    parse: Callable[[str], int], lowest: int, highest: int, *, is_optional: bool
) -> Callable[[str], RuleValue]:
    def read(text: str) -> RuleValue:
        written = text.strip()
        if is_optional and not written:
            return None
        value = parse(written)
        if not lowest <= value <= highest:
            raise ValueError(f"{written} is out of bounds")
        return value

    return read


def _integer(text: str) -> int:
    if not (text.isascii() and text.lstrip("-").isdigit()):
        raise ValueError(f"{text!r} is no integer")
    return int(text)


def _one_of(modes: type[StrEnum]) -> Kind:
    return Kind(accepted=", ".join(modes), parse=lambda text: modes(text.strip()), write=str)


def _words(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word.strip().casefold() for word in text.split(",") if word.strip()))
    if len(words) > WORDS_MAX:
        raise ValueError(f"more than {WORDS_MAX} words")
    return words


_FACTOR: Final = _amount("a decimal above 0", lowest=1, highest=RATIO_MAX)
_MONEY: Final = _amount("a decimal above 0", lowest=1, highest=_USDC_MAX)
_OPTIONAL_MONEY: Final = _amount("a decimal above 0", lowest=1, highest=_USDC_MAX, is_optional=True)
_PRICE: Final = _amount("a decimal from 0 to 1", lowest=0, highest=MICRO, is_optional=True)
_WORDS: Final = Kind(accepted=f"at most {WORDS_MAX} words, comma-separated", parse=_words, write=",".join)

RULES: Final[Mapping[str, Kind]] = {
    "copy_ratio": _FACTOR,
    "max_usdc_per_trade": _MONEY,
    "sizing_mode": _one_of(SizingMode),
    "fixed_usdc": _OPTIONAL_MONEY,
    "maker_leader_ratio": _amount("a decimal, 0 or above", lowest=0, highest=RATIO_MAX),
    "exit_mode": _one_of(ExitMode),
    "slippage_bps_max": _whole("", lowest=0, highest=BPS),
    "slippage_ticks_max": _whole("", lowest=0, highest=10_000, is_optional=True),
    "order_ttl_ms": _whole("milliseconds, ", lowest=10, highest=7 * DAY_MS),
    "spread_max": _PRICE,
    "depth_usdc_min": _OPTIONAL_MONEY,
    "price_min": _PRICE,
    "price_max": _PRICE,
    "min_time_to_end_ms": _whole("milliseconds, ", lowest=0, highest=366 * DAY_MS),
    "categories_allow": _WORDS,
    "categories_deny": _WORDS,
    "keywords_allow": _WORDS,
    "keywords_deny": _WORDS,
    "leader_cooldown_ms": _whole("milliseconds, ", lowest=0, highest=AGE_MAX_MS),
    "carry_max_age_ms": _whole("milliseconds, ", lowest=0, highest=AGE_MAX_MS),
}
"""The rules a leader may have his own value of, each a field of CopyRules."""


def parse_rule(name: str, text: str) -> tuple[str, RuleValue]:
    """Return the field name and the value of a rule as an operator writes them, the name in any case.

    :raises ValueError: there is no such rule, or the value is not accepted; one line for a person.
    """
    field = name.strip().lower()
    kind = RULES.get(field)
    if kind is None:
        raise ValueError(f"{name.strip()!r} is no rule of copying; there are {', '.join(RULES).upper()}")
    try:
        return field, kind.parse(text)
    except ValueError:
        raise ValueError(f"{field.upper()} is {text!r}; accepted: {kind.accepted}") from None


def write_rule(field: str, value: RuleValue) -> str:
    """Return a value as `parse_rule` reads it."""
    return RULES[field].write(value)


def own_rules(rules: Iterable[tuple[str, RuleValue]]) -> OwnRules:
    """Return rules in the order of names, the last value of each."""
    return tuple(sorted(dict(rules).items()))


def rules_of(leader: Leader | None, general: CopyRules) -> CopyRules:
    """Return the rules for copying a leader: his own values, and the general ones where he has none."""
    if leader is None:
        return general
    own: dict[str, Any] = dict(leader.rules)
    if leader.copy_ratio is not None:
        own["copy_ratio"] = leader.copy_ratio
    if leader.max_usdc_per_trade is not None:
        own["max_usdc_per_trade"] = leader.max_usdc_per_trade
    return replace(general, **own) if own else general


def contradiction(price_min: Price | None, price_max: Price | None, *, whose: str = "") -> str | None:
    """Return what no price could satisfy, as one line for a person; None where there is no such thing.

    `whose` is how the names of the two variables begin.
    """
    if price_min is None or price_max is None or price_min <= price_max:
        return None
    return (
        f"{whose}PRICE_MIN is {format_micro(price_min)}; accepted: {whose}PRICE_MAX ({format_micro(price_max)}) or less"
    )
