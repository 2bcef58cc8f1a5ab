"""How fills are copied: sizing, guards, and latency on paper."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode

from copytrade.domain.copy_rules import ORDER_WINDOW_MAX_MS, RULES, parse_rule
from copytrade.domain.leader_events import EventPolicy, LeaderEventKind
from copytrade.domain.mirroring import ACCEPTED as POLICIES_ACCEPTED
from copytrade.domain.mirroring import parse_policies
from copytrade.domain.sizing import ExitMode, SizingMode
from copytrade.domain.units import Millis, Price, Ratio, Usdc
from copytrade.settings.values import Money

ACCEPTED: Final[dict[str, str]] = {name: kind.accepted for name, kind in RULES.items()} | {
    "bankroll_usdc": "a decimal above 0",
    "leader_event_policies": POLICIES_ACCEPTED,
    "order_window_ms": f"milliseconds, an integer from 0 to {ORDER_WINDOW_MAX_MS}",
}


def _rule(name: str) -> BeforeValidator:
    """Read a variable as the rule of that name is read everywhere."""
    return BeforeValidator(lambda written: parse_rule(name, written)[1] if isinstance(written, str) else written)


def _policies(written: object) -> object:
    return parse_policies(written) if isinstance(written, str) else written


class CopySettings(BaseSettings):
    """Sizing and guards; a leader's own values go first. None, 0 ms or no words: that guard is off."""

    copy_ratio: Annotated[Ratio, _rule("copy_ratio")] = 1_000_000
    max_usdc_per_trade: Annotated[Usdc, _rule("max_usdc_per_trade")] = 100_000_000
    maker_leader_ratio: Annotated[Ratio, _rule("maker_leader_ratio")] = 1_000_000
    sizing_mode: Annotated[SizingMode, _rule("sizing_mode")] = SizingMode.RATIO
    fixed_usdc: Annotated[Usdc | None, _rule("fixed_usdc")] = None
    bankroll_usdc: Money = 1_000_000_000
    exit_mode: Annotated[ExitMode, _rule("exit_mode")] = ExitMode.FRACTION
    carry_max_age_ms: Annotated[Millis, _rule("carry_max_age_ms")] = 600_000
    order_window_ms: Annotated[Millis, Field(ge=0, le=ORDER_WINDOW_MAX_MS)] = 60_000
    slippage_bps_max: Annotated[int, _rule("slippage_bps_max")] = 300
    slippage_ticks_max: Annotated[int | None, _rule("slippage_ticks_max")] = None
    order_ttl_ms: Annotated[Millis, _rule("order_ttl_ms")] = 5_000
    spread_max: Annotated[Price | None, _rule("spread_max")] = None
    depth_usdc_min: Annotated[Usdc | None, _rule("depth_usdc_min")] = None
    price_min: Annotated[Price | None, _rule("price_min")] = None
    price_max: Annotated[Price | None, _rule("price_max")] = None
    min_time_to_end_ms: Annotated[Millis, _rule("min_time_to_end_ms")] = 0
    categories_allow: Annotated[tuple[str, ...], NoDecode, _rule("categories_allow")] = ()
    categories_deny: Annotated[tuple[str, ...], NoDecode, _rule("categories_deny")] = ()
    keywords_allow: Annotated[tuple[str, ...], NoDecode, _rule("keywords_allow")] = ()
    keywords_deny: Annotated[tuple[str, ...], NoDecode, _rule("keywords_deny")] = ()
    leader_event_policies: Annotated[dict[LeaderEventKind, EventPolicy], NoDecode, BeforeValidator(_policies)] = (
        parse_policies("")
    )
    leader_cooldown_ms: Annotated[Millis, _rule("leader_cooldown_ms")] = 0
