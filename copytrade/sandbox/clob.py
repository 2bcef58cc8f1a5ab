"""Public CLOB REST (docs.polymarket.com "CLOB"; error texts as observed)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from copytrade.sandbox import quotes
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.http_message import (
    BadRequestError,
    Request,
    Response,
    json_response,
    text_response,
)
from copytrade.sandbox.market import Market
from copytrade.sandbox.micro import decimal_text, json_number

BOOKS_MAX = 500
NO_BOOK = "No orderbook exists for the requested token id"

Summary = Callable[[Market, int], dict[str, Any]]


class ClobService:
    """Answers what needs no key. `summary` returns a book, invented or recorded."""

    def __init__(self, *, exchange: Exchange, summary: Summary, now_ms: Callable[[], int]) -> None:
        """Answer from the exchange's markets."""
        self._exchange = exchange
        self._summary = summary
        self._now_ms = now_ms
        self._routes: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/ok"): lambda _: text_response("OK"),
            ("GET", "/"): lambda _: text_response("OK"),
            ("GET", "/time"): lambda _: text_response(str(self._now_ms() // 1_000)),
            ("GET", "/version"): lambda _: json_response({"version": 2}),
            ("GET", "/book"): self._book,
            ("GET", "/books"): self._refuse_books,
            ("POST", "/books"): self._books,
            ("GET", "/tick-size"): self._tick_size,
            ("GET", "/neg-risk"): self._neg_risk,
            ("GET", "/midpoint"): self._midpoint,
            ("GET", "/price"): self._price,
        }

    def respond(self, request: Request) -> Response:
        """Answer a request whose path has no prefix any more."""
        handler = self._routes.get((request.method, request.path))
        if handler is not None:
            return handler(request)
        if request.method == "GET" and request.path.startswith("/clob-markets/"):
            return self._clob_market(request.path.removeprefix("/clob-markets/"))
        if request.method == "GET" and request.path.startswith("/markets-by-token/"):
            return self._market_by_token(request.path.removeprefix("/markets-by-token/"))
        return json_response({"error": "Not Found"}, status=404)

    def _token(self, request: Request) -> tuple[Market, int]:
        text = request.first("token_id") or ""
        if not (text.isascii() and text.isdigit()):
            raise BadRequestError({"error": "Invalid token id"})
        market = self._exchange.catalogue.by_token_text(text)
        if market is None or not market.has_book:
            raise BadRequestError({"error": NO_BOOK}, status=404)
        return market, market.outcome_of(int(text))

    def _book(self, request: Request) -> Response:
        return json_response(self._shown(*self._token(request)))

    def _shown(self, market: Market, outcome: int) -> dict[str, Any]:
        summary = self._summary(market, outcome)
        return {**summary, "version": "v2"} if market.version == "v2" else summary

    def _refuse_books(self, request: Request) -> Response:
        raise BadRequestError({"error": "Invalid payload"})

    def _books(self, request: Request) -> Response:
        asked = request.json()
        if not isinstance(asked, list):
            raise BadRequestError({"error": "Invalid payload"})
        if len(asked) > BOOKS_MAX:
            raise BadRequestError({"error": "Payload exceeds the limit"})
        found = []
        for item in asked:
            if not isinstance(item, dict) or not isinstance(item.get("token_id"), str):
                raise BadRequestError({"error": "Invalid payload"})
            market = self._exchange.catalogue.by_token_text(item["token_id"])
            if market is not None and market.has_book:
                found.append(self._shown(market, market.outcome_of(int(item["token_id"]))))
        found.sort(key=lambda book: str(book["hash"]))
        return json_response(found)

    def _tick_size(self, request: Request) -> Response:
        market, _ = self._token(request)
        return json_response({"minimum_tick_size": json_number(market.tick)})

    def _neg_risk(self, request: Request) -> Response:
        market, _ = self._token(request)
        return json_response({"neg_risk": market.neg_risk})

    def _midpoint(self, request: Request) -> Response:
        book = self._summary(*self._token(request))
        if not book["bids"] or not book["asks"]:
            raise BadRequestError({"error": NO_BOOK}, status=404)
        doubled = sum(quotes.parse_price(book[side][-1]["price"]) for side in ("bids", "asks"))
        return json_response({"mid": decimal_text(doubled // 2)})

    def _price(self, request: Request) -> Response:
        side = request.first("side")
        if side not in ("BUY", "SELL"):
            raise BadRequestError({"error": "Invalid side"})
        book = self._summary(*self._token(request))
        levels = book["bids" if side == "BUY" else "asks"]
        return json_response({"price": levels[-1]["price"] if levels else "0"})

    def _clob_market(self, condition: str) -> Response:
        market = self._exchange.catalogue.by_condition(condition)
        if market is None:
            raise BadRequestError({"error": "market not found"}, status=404)
        return json_response(clob_market(market))

    def _market_by_token(self, text: str) -> Response:
        market = self._exchange.catalogue.by_token_text(text)
        if market is None:
            raise BadRequestError({"error": "market not found"}, status=404)
        return json_response(
            {
                "condition_id": market.condition,
                "primary_token_id": str(market.tokens[0]),
                "secondary_token_id": str(market.tokens[1]),
            }
        )


def clob_market(market: Market) -> dict[str, Any]:
    """Return the compact record; `nr`, `itode`, `sd` and `fd` are left out when false."""
    record: dict[str, Any] = {
        "r": {"mi": 50, "ma": 4.5, "moas": 30},
        "t": [{"t": str(token), "o": outcome} for token, outcome in zip(market.tokens, market.outcomes, strict=True)],
        "c": market.condition,
        "mos": json_number(market.min_size),
        "mts": json_number(market.tick),
        "mbf": 1000,
        "tbf": 1000,
        "ao": market.has_book,
        "aot": iso_time(market.created_ms),
        "v": market.version,
    }
    if market.neg_risk:
        record["nr"] = True
    if market.taker_delay:
        record["itode"] = True
    if market.seconds_delay:
        record["sd"] = market.seconds_delay
        record["gst"] = iso_time(market.end_ms)
    if market.fees.rate:
        record["fd"] = {
            "r": json_number(market.fees.rate),
            "e": market.fees.exponent,
            "to": True,
        }
    return record


def iso_time(unix_ms: int) -> str:
    """Spell a time in whole seconds, UTC."""
    return datetime.fromtimestamp(unix_ms // 1_000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
