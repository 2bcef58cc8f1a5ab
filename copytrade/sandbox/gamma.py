"""Gamma market data (docs.polymarket.com "Gamma"): keyset pages and single markets."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from copytrade.sandbox.clob import iso_time
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.http_message import BadRequestError, Request, Response, json_response
from copytrade.sandbox.market import EventGroup, Market
from copytrade.sandbox.micro import ONE, decimal_text, json_number

LIMIT_DEFAULT = 20
LIMIT_MAX = 100
CACHE = (("cache-control", "public, max-age=300"),)
UNPROCESSABLE = 422

Item = TypeVar("Item")


class GammaService:
    """Answers list and detail routes; a recorded record goes before one made up here."""

    def __init__(self, *, exchange: Exchange, records: Mapping[str, dict[str, Any]] | None = None) -> None:
        """Answer from the exchange's catalogue."""
        self._exchange = exchange
        self._records = records or {}

    def respond(self, request: Request) -> Response:
        """Answer a request whose path has no prefix any more."""
        if request.method != "GET":
            return json_response({"error": "method not allowed"}, status=405)
        if request.path == "/markets/keyset":
            return self._markets_page(request)
        if request.path == "/events/keyset":
            return self._events_page(request)
        if request.path.startswith("/markets/"):
            return self._detail(request.path.removeprefix("/markets/"))
        return json_response({"type": "not found error", "error": "not found"}, status=404)

    def _selected(self, request: Request) -> list[Market]:
        versions = request.every("version") or ["v1"]
        closed = request.flag("closed", default=False)
        conditions = {item.lower() for item in request.every("condition_ids")}
        slugs = set(request.every("slug"))
        identifiers = set(request.every("id"))
        tokens = set(request.every("clob_token_ids"))
        positions = set(request.every("position_ids"))
        return [
            market
            for market in self._exchange.catalogue.all()
            if market.version in versions
            and market.closed == closed
            and (not conditions or market.gamma_condition in conditions)
            and (not slugs or market.slug in slugs)
            and (not identifiers or market.market_id in identifiers)
            and (not tokens or (market.version == "v1" and _names(market, tokens)))
            and (not positions or (market.version == "v2" and _names(market, positions)))
        ]

    def _markets_page(self, request: Request) -> Response:
        with_tags = request.flag("include_tag", default=False)
        page, cursor = _page(request, self._selected(request), key=lambda one: one.market_id)
        records = [{**self._record(market), **({"tags": _tags(market.group)} if with_tags else {})} for market in page]
        return _listed("markets", records, cursor)

    def _events_page(self, request: Request) -> Response:
        groups: dict[str, list[Market]] = {}
        for market in self._selected(request):
            groups.setdefault(market.group.event_id, []).append(market)
        listed = sorted(groups.values(), key=lambda markets: int(markets[0].group.event_id))
        page, cursor = _page(request, listed, key=lambda markets: markets[0].group.event_id)
        records = [
            {
                **_event(markets[0].group),
                "tags": _tags(markets[0].group),
                "markets": [self._record(market) for market in markets],
            }
            for markets in page
        ]
        return _listed("events", records, cursor)

    def _detail(self, rest: str) -> Response:
        slug = rest.removeprefix("slug/") if rest.startswith("slug/") else None
        for market in self._exchange.catalogue.all():
            if market.slug == slug or (slug is None and market.market_id == rest):
                return json_response(self._record(market), headers=CACHE)
        return json_response({"type": "not found error", "error": "id not found"}, status=404)

    def _record(self, market: Market) -> dict[str, Any]:
        recorded = self._records.get(market.condition)
        if recorded is not None:
            return recorded
        return market_record(market, last_trade=self._exchange.last_trade(market))


def market_record(market: Market, *, last_trade: int | None) -> dict[str, Any]:
    """Return a market as Gamma shows it: lists inside JSON strings, V2 ids as a real array."""
    tokens = [str(token) for token in market.tokens]
    v2 = market.version == "v2"
    first = last_trade if last_trade is not None else ONE // 2
    prices = market.payouts or (first, ONE - first)
    record: dict[str, Any] = {
        "id": market.market_id,
        "question": market.question,
        "conditionId": market.gamma_condition,
        "slug": market.slug,
        "startDate": iso_time(market.created_ms),
        "endDate": iso_time(market.end_ms),
        "outcomes": json.dumps(list(market.outcomes)),
        "outcomePrices": json.dumps([decimal_text(price) for price in prices]),
        "clobTokenIds": None if v2 else json.dumps(tokens),
        "active": True,
        "closed": market.closed,
        "archived": False,
        "restricted": True,
        "enableOrderBook": market.enable_order_book,
        "acceptingOrders": market.has_book,
        "orderPriceMinTickSize": json_number(market.tick),
        "orderMinSize": json_number(market.min_size),
        "negRisk": market.neg_risk,
        "negRiskOther": False,
        "makerBaseFee": 1000,
        "takerBaseFee": 1000,
        "feesEnabled": market.fees.rate > 0,
        "feeType": market.fees.kind,
        "clearBookOnStart": bool(market.seconds_delay),
        "umaResolutionStatuses": json.dumps([market.resolution] if market.resolution else []),
        "ready": False,
        "funded": False,
        "version": market.version,
        "events": [_event(market.group)],
    }
    if v2:
        record["positionIds"] = tokens
    if market.former_tokens is not None:
        record["clobTokenIds"] = json.dumps([str(token) for token in market.former_tokens])
    if market.fees.rate:
        record["feeSchedule"] = {
            "exponent": market.fees.exponent,
            "rate": json_number(market.fees.rate),
            "takerOnly": True,
            "rebateRate": json_number(market.fees.rebate),
        }
    if market.seconds_delay:
        record["secondsDelay"] = market.seconds_delay
        record["gameStartTime"] = iso_time(market.end_ms)
    return record


def _names(market: Market, tokens: set[str]) -> bool:
    return any(str(token) in tokens for token in market.tokens)


def _event(group: EventGroup) -> dict[str, Any]:
    return {
        "id": group.event_id,
        "ticker": group.slug,
        "slug": group.slug,
        "title": group.title,
        "active": True,
        "closed": False,
        "negRisk": group.neg_risk,
    }


def _tags(group: EventGroup) -> list[dict[str, Any]]:
    return [{"id": str(100 + at), "label": label, "slug": slug} for at, (label, slug) in enumerate(group.tags)]


def _listed(name: str, records: list[dict[str, Any]], cursor: str | None) -> Response:
    payload: dict[str, Any] = {name: records}
    if cursor is not None:
        payload["next_cursor"] = cursor
    return json_response(payload, headers=CACHE)


def _page(request: Request, items: list[Item], *, key: Callable[[Item], str]) -> tuple[list[Item], str | None]:
    """Cut one page; the cursor names the last id shown, so that new items do not shift pages."""
    if request.first("offset") is not None:
        raise BadRequestError({"type": "validation error", "error": "offset is not supported"}, status=UNPROCESSABLE)
    after = _decode_cursor(request.first("after_cursor"))
    ordered = sorted(items, key=lambda item: int(key(item)))
    rest = [item for item in ordered if int(key(item)) > after]
    limit = _limit(request)
    page = rest[:limit]
    return page, _encode_cursor(key(page[-1])) if len(rest) > limit else None


def _limit(request: Request) -> int:
    text = request.first("limit") or str(LIMIT_DEFAULT)
    if not text.isdigit() or int(text) == 0:
        raise BadRequestError({"type": "validation error", "error": "invalid limit"}, status=UNPROCESSABLE)
    return min(int(text), LIMIT_MAX)


def _encode_cursor(last: str) -> str:
    return base64.urlsafe_b64encode(f"id:{last}".encode()).decode()


def _decode_cursor(cursor: str | None) -> int:
    if cursor is None:
        return -1
    try:
        return int(base64.urlsafe_b64decode(cursor).decode().removeprefix("id:"))
    except (binascii.Error, ValueError) as error:
        raise BadRequestError({"type": "validation error", "error": "invalid cursor"}, status=UNPROCESSABLE) from error
