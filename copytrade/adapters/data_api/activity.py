"""Data API v2 as a `LeaderActivity`: what a wallet did other than trade, and what it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import httpx

from copytrade.adapters.data_api.activity_decode import ASKED_TYPES, EventRow, numbered, parse_event, parse_holding
from copytrade.adapters.data_api.decode import payload_of
from copytrade.adapters.data_api.requests import PAGE_ROWS, WALLET_PER_SECOND, ApiError, Route
from copytrade.adapters.feeds.trade_fields import MalformedError
from copytrade.domain.leader_events import LeaderEvent
from copytrade.domain.units import Millis, Shares
from copytrade.ports.clock import Clock
from copytrade.ports.leader_events import ActivityTruncatedError, ActivityUnavailableError, LeaderActivity

EVENT_PAGES_MAX: Final = 200
HOLDING_PAGES_MAX: Final = 50
REFUSED_MAX: Final = 1_000
"""Refused rows remembered, so that one is told of once; beyond, none is told of any more."""
PAYLOAD_CHARS_MAX: Final = 4_096


class DataApiActivity(LeaderActivity):
    """Asks `/v2/activity` and `/v2/positions` of one host; `url` is the host, without `/v2`.

    A row that cannot be right is left out, and told through `note` once.
    """

    def __init__(
        self, *, url: str, http: httpx.AsyncClient, clock: Clock, note: Callable[[str, Mapping[str, object]], None]
    ) -> None:
        self._activity: Final = Route(url, "/v2/activity", per_second=WALLET_PER_SECOND, clock=clock, client=http)
        self._positions: Final = Route(url, "/v2/positions", per_second=WALLET_PER_SECOND, clock=clock, client=http)
        self._clock: Final = clock
        self._note: Final = note
        self._refused: Final[set[str]] = set()

    async def events(self, leader: str, *, since_ms: Millis) -> tuple[LeaderEvent, ...]:
        query = {
            "user": leader,
            "type": ",".join(ASKED_TYPES),
            "limit": str(PAGE_ROWS),
            "start": str(max(1, since_ms // 1000)),
        }
        rows = await _pages(self._activity, query, pages_max=EVENT_PAGES_MAX)
        now_ms = self._clock.now_ms()
        parsed = [self._event(row, leader, now_ms) for row in rows]
        found = numbered(row for row in parsed if row is not None)
        return tuple(replace(event, dedupe_key=key) for key, event in found)

    async def holdings(self, leader: str) -> Mapping[str, Shares]:
        query = {"user": leader, "limit": str(PAGE_ROWS), "filter_type": "TOKENS", "filter_amount": "0"}
        held: dict[str, Shares] = {}
        try:
            for row in await _pages(self._positions, query, pages_max=HOLDING_PAGES_MAX):
                token_id, shares = parse_holding(row, leader)
                held[token_id] = shares
        except (ActivityTruncatedError, MalformedError) as error:
            raise ActivityUnavailableError(f"{self._positions.host}: positions: {error}") from None
        return held

    def _event(self, row: object, leader: str, now_ms: Millis) -> EventRow | None:
        try:
            return parse_event(row, leader, detected_at_ms=now_ms)
        except MalformedError as error:
            self._refuse(error.reason, payload_of(row))
            return None

    def _refuse(self, reason: str, payload: str) -> None:
        if payload in self._refused or len(self._refused) >= REFUSED_MAX:
            return
        self._refused.add(payload)
        detail = {"source": "data_api", "reason": f"activity-{reason}", "payload": payload[:PAYLOAD_CHARS_MAX]}
        self._note("QUARANTINED", detail)


async def _pages(route: Route, query: dict[str, str], *, pages_max: int) -> list[Any]:
    """Return the rows of every page: all, or an error."""
    rows: list[Any] = []
    cursor: str | None = None
    try:
        for _ in range(pages_max):
            page = await route.page(query, cursor=cursor)
            rows += page.rows
            if page.next_cursor is None:
                return rows
            if page.next_cursor == cursor:
                break
            cursor = page.next_cursor
    except ApiError as error:
        raise ActivityUnavailableError(str(error)) from None
    raise ActivityTruncatedError(f"more than {len(rows)} rows")
