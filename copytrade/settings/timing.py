"""How often, how long, how many."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field
from pydantic_settings import BaseSettings

from copytrade.settings.values import Interval, Milliseconds

ACCEPTED: Final[dict[str, str]] = {
    "track_leader_hours": "an integer from 0 to 720",
    "track_top_markets": "an integer from 0 to 1000",
    "track_max_tokens": "an integer from 1 to 50000",
}


class TimingSettings(BaseSettings):
    """Intervals, ages, waits (ms) and what is tracked."""

    registry_sync_interval_ms: Interval = 900_000
    book_resync_interval_ms: Interval = 90_000
    quote_fresh_ms: Interval = 2_000
    quote_stale_ms: Interval = 5_000
    data_api_poll_interval_ms: Interval = 3_000
    data_api_activity_interval_ms: Interval = 30_000
    polygon_poll_interval_ms: Interval = 1_000
    book_history_ms: Interval = 60_000
    track_leader_hours: Annotated[int, Field(ge=0, le=720)] = 24
    track_top_markets: Annotated[int, Field(ge=0, le=1_000)] = 0
    track_max_tokens: Annotated[int, Field(ge=1, le=50_000)] = 2_000
    chain_lag_max_ms: Interval = 15_000
    fill_max_age_ms: Interval = 30_000
    unmapped_wait_ms: Milliseconds = 5_000
    book_wait_ms: Milliseconds = 5_000
