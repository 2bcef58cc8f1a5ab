"""How fills are copied: sizing, guards, and latency on paper."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field
from pydantic_settings import BaseSettings

from copytrade.domain.latency import Latency
from copytrade.domain.sizing import ExitMode, SizingMode
from copytrade.settings.values import Delay, Factor, Interval, Money

ACCEPTED: Final[dict[str, str]] = {
    "copy_ratio": "a decimal above 0",
    "max_usdc_per_trade": "a decimal above 0",
    "maker_leader_ratio": "a decimal above 0",
    "sizing_mode": "ratio, fixed_usdc (bankroll is not available in this version)",
    "exit_mode": "fraction, ratio",
    "slippage_bps_max": "an integer from 0 to 10000",
    "decision_latency_ms": "an integer or lognormal:MEDIAN_MS:SIGMA",
    "submit_latency_ms": "an integer or lognormal:MEDIAN_MS:SIGMA",
    "paper_seed": "an integer",
}


class CopySettings(BaseSettings):
    """Sizing and guards; a leader's own values go first."""

    copy_ratio: Factor = 1_000_000
    max_usdc_per_trade: Money = 100_000_000
    slippage_bps_max: Annotated[int, Field(ge=0, le=10_000)] = 300
    order_ttl_ms: Interval = 5_000
    maker_leader_ratio: Factor = 1_000_000
    sizing_mode: SizingMode = SizingMode.RATIO
    exit_mode: ExitMode = ExitMode.FRACTION
    decision_latency_ms: Delay = Latency.parse("0")
    submit_latency_ms: Delay = Latency.parse("150")
    paper_seed: int = 0
