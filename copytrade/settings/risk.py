"""Limits, health gates and the kill-switch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings

from copytrade.domain.risk import COOLDOWN_DEFAULT_MS, COOLDOWN_MAX_MS, COUNT_MAX, USDC_MAX, LimitName
from copytrade.domain.units import parse_micro
from copytrade.settings.values import Interval

_PREFIX: Final = "risk_"


def _unless_empty(value: object) -> object:
    """Read an empty text as "not set", so that a variable can be listed without a value."""
    return None if isinstance(value, str) and not value.strip() else value


def _money(value: object) -> object:
    value = _unless_empty(value)
    if not isinstance(value, str):
        return value
    amount = parse_micro(value.strip())
    if not 0 <= amount <= USDC_MAX:
        raise ValueError("out of bounds")
    return amount


MoneyLimit = Annotated[int | None, BeforeValidator(_money)]
CountLimit = Annotated[Annotated[int, Field(ge=0, le=COUNT_MAX)] | None, BeforeValidator(_unless_empty)]

ACCEPTED: Final[dict[str, str]] = {
    **{
        f"{_PREFIX}{name.lower()}": "a decimal of USDC from 0, or nothing for no limit"
        if name.is_usdc
        else f"an integer from 0 to {COUNT_MAX}, or nothing for no limit"
        for name in LimitName
        if name is not LimitName.LOSS_STREAK_COOLDOWN_MS
    },
    "risk_day_reset_hour_utc": "an integer from 0 to 23",
    "halt_file": "the path of a file that need not exist",
}


class RiskSettings(BaseSettings):
    """What limits start with (None: no limit), when health gates close, and where the switch is."""

    risk_max_usdc_per_trade: MoneyLimit = None
    risk_max_usdc_per_leader: MoneyLimit = None
    risk_leader_budget_usdc: MoneyLimit = None
    risk_max_usdc_per_market: MoneyLimit = None
    risk_max_usdc_per_event: MoneyLimit = None
    risk_max_usdc_per_category: MoneyLimit = None
    risk_max_usdc_per_day: MoneyLimit = None
    risk_max_open_usdc: MoneyLimit = None
    risk_max_open_positions: CountLimit = None
    risk_max_attempts_per_minute: CountLimit = None
    risk_loss_streak_max: CountLimit = None
    risk_loss_streak_cooldown_ms: Annotated[int, Field(ge=0, le=COOLDOWN_MAX_MS)] = COOLDOWN_DEFAULT_MS
    risk_daily_drawdown_usdc: MoneyLimit = None
    risk_day_reset_hour_utc: Annotated[int, Field(ge=0, le=23)] = 0
    gate_halt_after_ms: Interval = 300_000
    gate_proved_lag_max_ms: Interval = 600_000
    gate_registry_age_max_ms: Interval = 2_700_000
    gate_database_latency_max_ms: Interval = 1_000
    gate_clock_skew_max_ms: Interval = 5_000
    gate_disagreement_hold_ms: Interval = 60_000
    halt_file: Path = Path("copytrade.halt")

    def start_limits(self) -> dict[LimitName, int]:
        """Return the limits that are set, by name."""
        values = {name: getattr(self, f"{_PREFIX}{name.lower()}") for name in LimitName}
        return {name: value for name, value in values.items() if value is not None}
