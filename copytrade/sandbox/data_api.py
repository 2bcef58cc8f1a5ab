"""Data API v2 (docs.polymarket.com "Data API"): rows appear some time after their block."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from copytrade.sandbox import data_rows, digest
from copytrade.sandbox.clob import iso_time
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.http_message import BadRequestError, Request, Response, json_response
from copytrade.sandbox.ledger import FillLedger, FillRecord
from copytrade.sandbox.recorded_rows import RecordedRow
from copytrade.sandbox.wallet_events import WalletEvent, WalletEvents, activity_row

LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000
CONDITIONS_MAX = 20
ADDRESS = re.compile(r"0x[0-9a-f]{40}")
CONDITION = re.compile(r"0x[0-9a-f]{64}")
SIDES = {"BUY": 0, "SELL": 1}

EVENTS_FROM = 1_000_000_000
"""Numbers of events in a cursor, apart from those of fills."""

Row = FillRecord | RecordedRow | WalletEvent
Entry = tuple[int, Row]


class DataApiService:
    """Answers the v2 routes from the record of fills.

    A row is served `delay_ms` after its block was mined; a row whose block is gone is not
    served any more.
    """

    def __init__(
        self,
        *,
        exchange: Exchange,
        ledger: FillLedger,
        now_ms: Callable[[], int],
        delay_ms: int,
        leaders: Sequence[tuple[str, str]] = (),
        recorded: Sequence[RecordedRow] = (),
    ) -> None:
        """Answer from the ledger; `leaders` are (address, name) for the leaderboard.

        `recorded` rows, newest first, come after those of the ledger.
        """
        self._exchange = exchange
        self._ledger = ledger
        self._now_ms = now_ms
        self.delay_ms = delay_ms
        self._leaders = leaders
        self._recorded = recorded
        self.wallet_events = WalletEvents(exchange)
        self._routes: dict[str, Callable[[Request], Response]] = {
            "/v2/trades": self._trades,
            "/v2/activity": self._activity,
            "/v2/positions": self._positions,
            "/v2/value": self._value,
            "/v2/leaderboard": self._leaderboard,
            "/v2/resolutions": self._resolutions,
            "/v2/status": self._status,
        }

    def respond(self, request: Request) -> Response:
        """Answer a request whose path has no prefix any more."""
        handler = self._routes.get(request.path)
        if handler is None or request.method != "GET":
            return json_response(_error("not found", "NOT_FOUND"), status=404)
        return handler(request)

    def _visible(self, records: Sequence[FillRecord]) -> list[tuple[int, FillRecord]]:
        until_ms = self._now_ms() - self.delay_ms
        return [(at, record) for at, record in enumerate(records) if record.canonical and record.mined_ms <= until_ms]

    def _trades(self, request: Request) -> Response:
        taker_only = request.flag("taker_only", "takerOnly", default=True)
        selected = [
            (at, record) for at, record in self._selected(request) if record.fill.role == "taker" or not taker_only
        ]
        page, pagination = _page(request, [*selected[::-1], *self._recorded_rows(request)])
        rows = [self._trade_row(entry) for entry in page]
        return json_response({"data": rows, "pagination": pagination})

    def _activity(self, request: Request) -> Response:
        _user(request, required=True)
        kinds = request.every("type")
        wanted = not kinds or "TRADE" in kinds
        entries: list[Entry] = [*self._selected(request)[::-1], *self._recorded_rows(request)] if wanted else []
        entries = sorted([*self._events(request, kinds), *entries], key=lambda entry: -entry[1].timestamp)
        if (request.first("sort_direction", "sortDirection") or "DESC").upper() == "ASC":
            entries.reverse()
        page, pagination = _page(request, entries)
        rows = [self._activity_row(entry) for entry in page]
        return json_response({"data": rows, "pagination": pagination})

    def _trade_row(self, entry: Row) -> dict[str, Any]:
        if isinstance(entry, RecordedRow):
            return entry.row
        if isinstance(entry, WalletEvent):
            return activity_row(entry)
        return data_rows.trade(self._exchange, entry)

    def _activity_row(self, entry: Row) -> dict[str, Any]:
        if isinstance(entry, RecordedRow):
            return {"type": "TRADE", "is_combo": False, **entry.row}
        if isinstance(entry, WalletEvent):
            return activity_row(entry)
        return data_rows.activity(self._exchange, entry)

    def _events(self, request: Request, kinds: Sequence[str]) -> list[Entry]:
        start, end = _seconds(request, "start"), _seconds(request, "end")
        until_ms = self._now_ms() - self.delay_ms
        return [
            (EVENTS_FROM + event.number, event)
            for event in reversed(self.wallet_events.of_owner(_user(request) or "", until_ms=until_ms))
            if (not kinds or event.kind in kinds)
            and request.first("side") is None
            and (start is None or event.timestamp >= start)
            and (end is None or event.timestamp <= end)
        ]

    def _recorded_rows(self, request: Request) -> list[Entry]:
        user = _user(request)
        conditions = _conditions(request)
        side = request.first("side")
        start, end = _seconds(request, "start"), _seconds(request, "end")
        return [
            (-at, row)
            for at, row in enumerate(self._recorded, start=1)
            if (user is None or row.owner == user)
            and (not conditions or row.condition in conditions)
            and (side is None or row.side == side)
            and (start is None or row.timestamp >= start)
            and (end is None or row.timestamp <= end)
        ]

    def _selected(self, request: Request) -> list[tuple[int, FillRecord]]:
        user = _user(request)
        conditions = _conditions(request)
        side = request.first("side")
        if side is not None and side not in SIDES:
            raise _invalid("side", "side must be BUY or SELL")
        start, end = _seconds(request, "start"), _seconds(request, "end")
        records = self._ledger.records if user is None else self._ledger.of_owner(user)
        return [
            (at, record)
            for at, record in self._visible(records)
            if (not conditions or record.fill.condition in conditions)
            and (side is None or record.fill.side == SIDES[side])
            and (start is None or record.timestamp >= start)
            and (end is None or record.timestamp <= end)
        ]

    def _positions(self, request: Request) -> Response:
        user = _user(request, required=True)
        held = self.wallet_events.holdings(self._ledger, user or "", until_ms=self._now_ms()).items()
        listed = (data_rows.position(self._exchange, user or "", token, holding) for token, holding in held)
        rows = [row for row in listed if row is not None]
        return json_response({"data": rows, "pagination": _pagination(request, cursor=None)})

    def _value(self, request: Request) -> Response:
        user = _user(request, required=True) or ""
        value = sum(
            data_rows.mark(self._exchange, token, holding) for token, holding in self._ledger.holdings(user).items()
        )
        return json_response({"data": {"user": user, "value": value / 1_000_000}})

    def _leaderboard(self, request: Request) -> Response:
        rows = [data_rows.rank(self._exchange, self._ledger, address, name) for address, name in self._leaders]
        key = "volume" if request.first("sort_by", "sortBy") == "VOLUME" else "pnl"
        rows.sort(key=lambda row: float(row[key]), reverse=True)
        ranked = [{"rank": str(at), **row} for at, row in enumerate(rows, start=1)]
        return json_response({"data": ranked, "pagination": _pagination(request, cursor=None)})

    def _resolutions(self, request: Request) -> Response:
        names = ("question_id", "condition", "event_id")
        given = [name for name in names if request.first(name) is not None]
        if len(given) != 1:
            raise _invalid("condition", "exactly one of question_id, condition, event_id")
        event_id = request.first("event_id")
        conditions = _conditions(request)
        rows = [
            {
                "condition_id": market.condition,
                "status": "resolved",
                "payouts": list(market.payouts),
                "resolution_source": "reported",
                "reporter": "UMA",
                "market_type": "NEG_RISK" if market.neg_risk else "BINARY",
                "transaction_hash": "",
                "resolved_at": iso_time(market.resolved_ms or market.end_ms),
            }
            for market in self._exchange.catalogue.all()
            if market.payouts is not None and (market.condition in conditions or market.group.event_id == event_id)
        ]
        return json_response({"data": rows, "pagination": _pagination(request, cursor=None)})

    def _status(self, request: Request) -> Response:
        visible = self._visible(self._ledger.records)
        block = visible[-1][1].block_number if visible else 0
        lag = self.delay_ms / 1_000
        return json_response(
            {
                "data": {
                    "computed_at": iso_time(self._now_ms()),
                    "age_seconds": 0,
                    "serving": {"lag_seconds": lag, "worst": "trades", "mechanisms": []},
                    "ingestion": {"max_synced_block": block},
                }
            }
        )


def _user(request: Request, *, required: bool = False) -> str | None:
    text = request.first("user")
    if text is None:
        if required:
            raise _invalid("user", "user is required")
        return None
    if not ADDRESS.fullmatch(text.lower()):
        raise _invalid("user", "user must be an address")
    return text.lower()


def _conditions(request: Request) -> set[str]:
    found = [text.lower() for text in request.every("condition")]
    if len(found) > CONDITIONS_MAX:
        raise _invalid("condition", f"at most {CONDITIONS_MAX} conditions")
    if not all(CONDITION.fullmatch(text) for text in found):
        raise _invalid("condition", "condition must have 64 hex digits")
    return set(found)


def _seconds(request: Request, name: str) -> int | None:
    text = request.first(name)
    if text is None:
        return None
    if not text.isdigit():
        raise _invalid(name, f"{name} must be Unix seconds")
    return int(text)


def _page(request: Request, rows: Sequence[Entry]) -> tuple[list[Row], dict[str, Any]]:
    if request.first("offset") is not None:
        raise _invalid("offset", "offset is not supported, use cursor")
    limit = _limit(request)
    after = _decode_cursor(request.first("cursor", "next_cursor"))
    if after is not None:
        places = [at for at, _ in rows]
        rows = rows[places.index(after) + 1 :] if after in places else []
    page = rows[:limit]
    cursor = _encode_cursor(page[-1][0], page[-1][1]) if len(rows) > limit else None
    return [record for _, record in page], _pagination(request, cursor=cursor)


def _limit(request: Request) -> int:
    text = request.first("limit")
    if text is None:
        return LIMIT_DEFAULT
    if not text.isdigit() or not 0 < int(text) <= LIMIT_MAX:
        raise _invalid("limit", f"limit must be between 1 and {LIMIT_MAX}")
    return int(text)


def _pagination(request: Request, *, cursor: str | None) -> dict[str, Any]:
    return {
        "limit": _limit(request),
        "offset": 0,
        "has_more": cursor is not None,
        "next_cursor": cursor,
    }


def _encode_cursor(at: int, record: Row) -> str:
    token = json.dumps({"ts": record.timestamp, "sq": at}, separators=(",", ":"))
    return base64.urlsafe_b64encode(token.encode()).decode()


def _decode_cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    try:
        return int(json.loads(base64.urlsafe_b64decode(cursor))["sq"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise _invalid("cursor", "invalid cursor") from error


def _invalid(parameter: str, message: str) -> BadRequestError:
    return BadRequestError({**_error(message, "INVALID_PARAMETER"), "parameter": parameter})


def _error(message: str, code: str) -> dict[str, Any]:
    trace = digest.derive_hash("trace", message)[2:34]
    return {"error": message, "code": code, "retryable": False, "trace_id": trace}
