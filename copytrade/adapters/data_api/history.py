"""Data API v2 as `AccountHistories`: what an account paid and received, and the venue's own table of the best."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import httpx

from copytrade.adapters.data_api.requests import TRADES_PER_SECOND, WALLET_PER_SECOND, ApiError, Route
from copytrade.adapters.feeds.trade_fields import STAMP_MAX_S, STAMP_MIN_S, MalformedError, amount_micro, nearest_micro
from copytrade.domain.leaders import normal_address
from copytrade.domain.ranking import Flow, Holding
from copytrade.domain.units import Millis, Usdc
from copytrade.ports.clock import Clock
from copytrade.ports.histories import AccountHistories, AccountHistory, HistoryUnavailableError, Ranked

PAGE_ROWS: Final = 1_000
HISTORY_PAGES_MAX: Final = 25
"""Rows read of one account are this many thousands, the newest."""
HOLDING_PAGES_MAX: Final = 10
CASH_SIGN: Final = {"SPLIT": -1, "MERGE": 1, "REDEEM": 1, "CONVERSION": 1}
"""What an event other than a trade does to cash, by its type."""


class DataApiHistories(AccountHistories):
    """Asks one host; `url` is the host, without `/v2`. A row that cannot be right is an error: it may hide a loss."""

    def __init__(self, *, url: str, http: httpx.AsyncClient, clock: Clock) -> None:
        def route(path: str, per_second: int) -> Route:
            return Route(url, path, per_second=per_second, clock=clock, client=http)

        self._leaderboard: Final = route("/v2/leaderboard", WALLET_PER_SECOND)
        self._activity: Final = route("/v2/activity", WALLET_PER_SECOND)
        self._trades: Final = route("/v2/trades", TRADES_PER_SECOND)
        self._positions: Final = route("/v2/positions", WALLET_PER_SECOND)

    async def leaderboard(self, *, period: str, category: str, limit: int) -> Sequence[Ranked]:
        query = {"time_period": period, "sort_by": "PNL", "limit": str(limit)}
        rows, _ = await _pages(self._leaderboard, query | ({"category": category} if category else {}), pages_max=1)
        return [_ranked(row) for row in rows[:limit]]

    async def history(self, account: str, *, since_ms: Millis) -> AccountHistory:
        since_s = max(1, since_ms // 1000)
        asked = {"user": account, "type": ",".join(["TRADE", *CASH_SIGN]), "limit": str(PAGE_ROWS)}
        rows, is_cut = await _pages(self._activity, asked | {"start": str(since_s)}, pages_max=HISTORY_PAGES_MAX)
        try:
            flows = tuple(sorted((_flow(row, account) for row in rows), key=lambda flow: flow.at_ms))
            start_s = flows[0].at_ms // 1000 if flows else since_s
            traded = sum(abs(_traded(row)) for row in rows if row["type"] == "TRADE")
            return AccountHistory(
                flows=flows,
                holdings=await self._holdings(account),
                maker_usdc=max(0, traded - await self._taken(account, start_s=start_s)),
                trade_usdc=traded,
                is_cut=is_cut,
            )
        except MalformedError as error:
            raise HistoryUnavailableError(f"data_api: a row of {account} makes no sense ({error.reason})") from error

    async def _holdings(self, account: str) -> tuple[Holding, ...]:
        asked = {"user": account, "limit": str(PAGE_ROWS)}
        rows, is_cut = await _pages(self._positions, asked, pages_max=HOLDING_PAGES_MAX)
        if is_cut:
            raise HistoryUnavailableError(f"data_api: {account} holds more than {len(rows)} positions")
        return tuple(_holding(row) for row in rows)

    async def _taken(self, account: str, *, start_s: int) -> Usdc:
        """Return the volume of trades in which the account's order crossed."""
        asked = {"user": account, "taker_only": "true", "limit": str(PAGE_ROWS), "start": str(start_s)}
        rows, _ = await _pages(self._trades, asked, pages_max=HISTORY_PAGES_MAX)
        return sum(_traded(row) for row in rows)


async def _pages(route: Route, query: dict[str, str], *, pages_max: int) -> tuple[list[Any], bool]:
    """Return rows, newest first, and whether there are more than were read."""
    rows: list[Any] = []
    cursor: str | None = None
    try:
        for _ in range(pages_max):
            page = await route.page(query, cursor=cursor)
            rows += page.rows
            if page.next_cursor is None or page.next_cursor == cursor:
                return rows, False
            cursor = page.next_cursor
    except ApiError as error:
        raise HistoryUnavailableError(f"data_api: {error}") from error
    return rows, True


def _flow(row: Any, account: str) -> Flow:
    if not isinstance(row, dict) or str(row.get("proxy_wallet", "")).lower() != account:
        raise MalformedError("another-wallet")
    kind, stamp = row.get("type"), row.get("timestamp")
    if isinstance(stamp, bool) or not isinstance(stamp, int) or not STAMP_MIN_S <= stamp <= STAMP_MAX_S:
        raise MalformedError("timestamp")
    condition_id = _text(row, "condition_id")
    cash, shares, token_id = amount_micro(row.get("usdc_size", 0), "usdc-size"), 0, ""
    if kind == "TRADE":
        side, token_id = _text(row, "side"), _text(row, "token_id")
        if side not in {"BUY", "SELL"} or not token_id:
            raise MalformedError("side")
        size = amount_micro(row.get("size"), "size")
        cash, shares = (-cash, size) if side == "BUY" else (cash, -size)
    elif kind in CASH_SIGN:
        cash *= CASH_SIGN[kind]
    else:
        raise MalformedError("type")
    return Flow(
        event=_text(row, "event_slug") or condition_id,
        condition_id=condition_id,
        token_id=token_id,
        cash=cash,
        shares=shares,
        at_ms=stamp * 1000,
        is_trade=kind == "TRADE",
    )


def _holding(row: Any) -> Holding:
    if not isinstance(row, dict):
        raise MalformedError("not-an-object")
    shares = amount_micro(row.get("current_size"), "size")
    return Holding(
        event=_text(row, "event_slug") or _text(row, "condition_id"),
        token_id=_text(row, "token_id"),
        shares=shares,
        value=shares * amount_micro(row.get("current_price", 0), "price") // 1_000_000,
    )


def _traded(row: Any) -> Usdc:
    """Return what a trade was worth without its fee."""
    if not isinstance(row, dict):
        raise MalformedError("not-an-object")
    return amount_micro(row.get("size"), "size") * amount_micro(row.get("price"), "price") // 1_000_000


def _ranked(row: Any) -> Ranked:
    try:
        pnl = row["pnl"]
        address = normal_address(str(row.get("user_id") or row.get("proxy_wallet") or ""))
        return Ranked(address=address, name=str(row.get("user_name") or ""), pnl=_signed(pnl))
    except (KeyError, TypeError, AttributeError, ValueError, MalformedError) as error:
        raise HistoryUnavailableError("data_api: a row of the leaderboard makes no sense") from error


def _signed(value: object) -> Usdc:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise MalformedError("pnl")
    return nearest_micro(Decimal(value))


def _text(row: dict[str, Any], name: str) -> str:
    written = row.get(name) or ""
    if not isinstance(written, str):
        raise MalformedError(name.replace("_", "-"))
    return written
