"""The account on paper, and how often the books are looked over."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings

from copytrade.settings.values import Interval, Milliseconds, as_micro

ACCEPTED: Final[dict[str, str]] = {
    "paper_cash_usdc": "a decimal from 0 to 1000000000",
    "paper_merge_sets": "true, false",
}
Cash = Annotated[int, BeforeValidator(as_micro), Field(ge=0, le=10**15)]


class MoneySettings(BaseSettings):
    """Start cash, complete sets, and intervals (ms)."""

    paper_cash_usdc: Cash = 10_000_000_000
    paper_merge_sets: bool = True
    equity_interval_ms: Interval = 60_000
    reconcile_interval_ms: Milliseconds = 3_600_000
