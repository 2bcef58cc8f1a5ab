"""The authenticated CLOB REST (docs.polymarket.com "CLOB"; error texts as documented or observed)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NoReturn

from copytrade.sandbox import digest
from copytrade.sandbox.http_message import BadRequestError, Request, Response, json_response
from copytrade.sandbox.trading.conditions import Conditions
from copytrade.sandbox.trading.credentials import ApiKey, KeyRing
from copytrade.sandbox.trading.desk import Desk
from copytrade.sandbox.trading.funds import SPENDERS, UNLIMITED
from copytrade.sandbox.trading.heartbeats import Heartbeats
from copytrade.sandbox.trading.limits import Limits
from copytrade.sandbox.trading.posting import Posting
from copytrade.sandbox.trading.record import LOST, Receipt
from copytrade.sandbox.trading.shapes import Spelling
from copytrade.sandbox.trading.wallets import SignatureType
from copytrade.sandbox.trading.windows import WindowError, check_window
from copytrade.sandbox.world import World

PAGE = 100
FIRST_CURSOR = base64.b64encode(b"0").decode()
END_CURSOR = base64.b64encode(b"-1").decode()
CANCELS_MAX = 3_000

_ORDER_ID = re.compile(r"0x[0-9a-fA-F]{64}")

Handler = Callable[[Request, ApiKey], Any]


class TradingService:
    """Answers what needs a key. Only `POST /order` and `POST /orders` may take time."""

    def __init__(
        self,
        *,
        world: World,
        desk: Desk,
        keys: KeyRing,
        posting: Posting,
        spelling: Spelling,
        limits: Limits,
        heartbeats: Heartbeats,
        conditions: Conditions,
    ) -> None:
        """Answer from the desk of a world."""
        self._world = world
        self._desk = desk
        self._keys = keys
        self._posting = posting
        self._spelling = spelling
        self._limits = limits
        self._heartbeats = heartbeats
        self._conditions = conditions
        self._open: dict[tuple[str, str], Callable[[Request], Any]] = {
            ("GET", "/version"): self._version,
            ("POST", "/auth/api-key"): self._create_key,
            ("GET", "/auth/derive-api-key"): self._derive_key,
        }
        self._private: dict[tuple[str, str], Handler] = {
            ("GET", "/auth/api-keys"): lambda _, key: {"apiKeys": keys.of_address(key.address)},
            ("DELETE", "/auth/api-key"): self._delete_key,
            ("GET", "/auth/ban-status/closed-only"): self._closed_only,
            ("POST", "/v1/heartbeats"): self._beat,
            ("POST", "/heartbeats"): self._beat_without_id,
            ("GET", "/data/orders"): self._orders,
            ("GET", "/data/trades"): self._trades,
            ("GET", "/balance-allowance"): self._balance,
            ("GET", "/balance-allowance/update"): self._look_again,
        }
        self._cancels: dict[str, Handler] = {
            "/order": self._cancel_one,
            "/orders": self._cancel_some,
            "/cancel-all": self._cancel_all,
            "/cancel-market-orders": self._cancel_of_market,
        }
        self._posts: dict[str, Callable[[Request, ApiKey, list[Receipt | None]], Awaitable[Response]]] = {
            "/order": posting.post_one,
            "/orders": posting.post_some,
        }

    def serves(self, request: Request) -> bool:
        """Say whether a request is for this half of the CLOB."""
        route = (request.method, request.path)
        return (
            route in self._open
            or route in self._private
            or (request.method == "POST" and request.path in self._posts)
            or (request.method == "DELETE" and request.path in self._cancels)
            or (request.method == "GET" and request.path.startswith("/data/order/"))
        )

    async def respond(self, request: Request) -> Response:
        """Answer a request that `serves` said yes to."""
        receipts = self._receive(request)
        try:
            answer = await self._respond(request, receipts)
        except WindowError as error:
            wait = error.body.get("retry_after_seconds")
            headers = () if wait is None else (("Retry-After", str(wait)),)
            answer = json_response(error.body, status=error.status, headers=headers)
        except BadRequestError as error:
            answer = json_response(error.body, status=error.status)
        for receipt in receipts:
            if receipt is not None and not receipt.outcome:
                receipt.outcome = f"answered {answer.status}"
        return answer

    def lose(self, request: Request) -> None:
        """Record the orders of a request that never arrives."""
        for receipt in self._receive(request):
            if receipt is not None:
                receipt.outcome = LOST

    def _receive(self, request: Request) -> list[Receipt | None]:
        is_post = request.method == "POST" and request.path in self._posts
        return self._posting.receive(request) if is_post else []

    async def _respond(self, request: Request, receipts: list[Receipt | None]) -> Response:
        wait_ms = self._limits.wait_ms(request.method, request.path, now_ms=self._world.now_ms)
        if wait_ms > self._limits.queue_ms:
            return _too_many(wait_ms)
        if wait_ms:
            await asyncio.sleep(wait_ms / 1_000)
        opened = self._open.get((request.method, request.path))
        if opened is not None:
            return json_response(opened(request))
        key = self._keys.authorize(request, now_ms=self._world.now_ms)
        if request.method == "POST" and request.path in self._posts:
            return await self._post(request, key, receipts)
        if request.method == "DELETE" and request.path in self._cancels:
            return self._cancel(request, key)
        handler: Handler = self._private.get((request.method, request.path), self._order)
        return json_response(handler(request, key))

    async def _post(self, request: Request, key: ApiKey, receipts: list[Receipt | None]) -> Response:
        if self._conditions.blocked:
            text = "Trading restricted in your region, please refer to available regions"
            return json_response({"error": text}, status=403)
        count = _batch_size(request)
        allowed, headers = self._limits.spend(key.address, "orders", count, now_ms=self._world.now_ms)
        if not allowed:
            return _too_many(1_000, headers)
        return _with(await self._posts[request.path](request, key, receipts), headers)

    def _cancel(self, request: Request, key: ApiKey) -> Response:
        check_window(self._conditions, now_ms=self._world.now_ms, cancels=True)
        count = _batch_size(request)
        allowed, headers = self._limits.spend(key.address, "cancels", count, now_ms=self._world.now_ms)
        if not allowed:
            return _too_many(1_000, headers)
        return _with(json_response(self._cancels[request.path](request, key)), headers)

    def _version(self, request: Request) -> dict[str, int]:
        return {"version": self._conditions.version}

    def _create_key(self, request: Request) -> dict[str, str]:
        return _shown(self._keys.create(request, now_ms=self._world.now_ms))

    def _derive_key(self, request: Request) -> dict[str, str]:
        return _shown(self._keys.derive(request, now_ms=self._world.now_ms))

    def _delete_key(self, request: Request, key: ApiKey) -> str:
        self._keys.delete(key)
        return "OK"

    def _closed_only(self, request: Request, key: ApiKey) -> dict[str, bool]:
        owned = [account for account in self._desk.accounts.all() if account.owner == key.address]
        return {"closed_only": any(account.closed_only for account in owned)}

    def _beat(self, request: Request, key: ApiKey) -> dict[str, str]:
        body = request.json()
        heartbeat_id = body.get("heartbeat_id") if isinstance(body, dict) else None
        return {"heartbeat_id": self._heartbeats.beat(key.key, str(heartbeat_id or ""))}

    def _beat_without_id(self, request: Request, key: ApiKey) -> dict[str, str]:
        self._heartbeats.beat_without_id(key.key)
        return {"status": "ok"}

    def _order(self, request: Request, key: ApiKey) -> dict[str, Any] | None:
        order_id = _order_id(request.path.removeprefix("/data/order/"))
        order = self._desk.orders.find(order_id)
        if order is None or order.address != key.address:
            return None
        if self._conditions.forgets_closed and not self._desk.orders.is_active(order):
            return None
        return self._spelling.order(order)

    def _orders(self, request: Request, key: ApiKey) -> dict[str, Any]:
        asked = {name: request.first(name) for name in ("id", "market", "asset_id")}
        rows = [self._spelling.order(order) for order in self._desk.orders.open_of(key.address)]
        return _page(request, [row for row in rows if _fits(row, asked)])

    def _trades(self, request: Request, key: ApiKey) -> dict[str, Any]:
        asked = {name: request.first(name) for name in ("id", "market", "asset_id")}
        maker = (request.first("maker_address") or "").lower()
        after, before = _seconds(request, "after"), _seconds(request, "before")
        rows = []
        for trade in reversed(self._desk.trades_of(key.address)):
            matched_s = trade.matched_ms // 1_000
            if (after is not None and matched_s <= after) or (before is not None and matched_s >= before):
                continue
            if maker and maker not in {fill.owner for fill in trade.fills}:
                continue
            row = self._spelling.trade(trade, own=self._desk.parts_of(trade, key.address))
            if _fits(row, asked):
                rows.append(row)
        return _page(request, rows)

    def _balance(self, request: Request, key: ApiKey) -> dict[str, Any]:
        purse = self._desk.funds.seen(self._wallet(request, key))
        if request.first("asset_type") == "COLLATERAL":
            allowances = {spender: purse.allowances.get(spender, 0) for spender in SPENDERS}
            return _balances(purse.collateral, allowances)
        token = self._token(request)
        allowances = {spender: UNLIMITED if spender in purse.operators else 0 for spender in SPENDERS}
        return _balances(0 if token is None else purse.shares[token], allowances)

    def _look_again(self, request: Request, key: ApiKey) -> dict[str, Any]:
        self._desk.funds.look_again(self._wallet(request, key))
        return self._balance(request, key)

    def _wallet(self, request: Request, key: ApiKey) -> str:
        try:
            kind = SignatureType(int(request.first("signature_type") or 0))
        except ValueError as error:
            raise BadRequestError({"error": "Invalid payload"}) from error
        return self._desk.accounts.wallet_of(key.address, kind)

    def _token(self, request: Request) -> int | None:
        """Return the token asked about; None when it is none of the kind that is asked about."""
        market = self._world.exchange.catalogue.by_token_text(request.first("token_id") or "")
        kinds = {"CONDITIONAL": "v1", "CONDITIONAL-V2": "v2"}
        kind = kinds.get(request.first("asset_type") or "")
        if kind is None:
            raise BadRequestError({"error": "Invalid payload"})
        return int(request.first("token_id") or 0) if market is not None and market.version == kind else None

    def _cancel_one(self, request: Request, key: ApiKey) -> dict[str, Any]:
        body = _read(request)
        if not isinstance(body, dict):
            _refuse_payload()
        return self._canceled([_order_id(body.get("orderID"))], key)

    def _cancel_some(self, request: Request, key: ApiKey) -> dict[str, Any]:
        body = _read(request)
        if not isinstance(body, list):
            _refuse_payload()
        if len(body) > CANCELS_MAX:
            raise BadRequestError({"error": f"Too many orders in payload, max allowed: {CANCELS_MAX}"})
        return self._canceled([_order_id(one) for one in body], key)

    def _cancel_all(self, request: Request, key: ApiKey) -> dict[str, Any]:
        return self._canceled([order.order_id for order in self._desk.orders.open_of(key.address)], key)

    def _cancel_of_market(self, request: Request, key: ApiKey) -> dict[str, Any]:
        body = _read(request)
        if not isinstance(body, dict) or not (body.get("market") or body.get("asset_id")):
            _refuse_payload()
        market, token = str(body.get("market") or "").lower(), str(body.get("asset_id") or "")
        chosen = [
            order.order_id
            for order in self._desk.orders.open_of(key.address)
            if market in ("", order.market.condition) and token in ("", str(order.signed.fields.token))
        ]
        return self._canceled(chosen, key)

    def _canceled(self, order_ids: Sequence[str], key: ApiKey) -> dict[str, Any]:
        refused = self._desk.cancel(order_ids, address=key.address)
        return {"canceled": [one for one in order_ids if one not in refused], "not_canceled": refused}


def _shown(api_key: ApiKey) -> dict[str, str]:
    return {"apiKey": api_key.key, "secret": api_key.secret, "passphrase": api_key.passphrase}


def _refuse_payload() -> NoReturn:
    raise BadRequestError({"error": "Invalid order payload"})


def _order_id(value: object) -> str:
    if not isinstance(value, str) or not _ORDER_ID.fullmatch(value):
        raise BadRequestError({"error": "Invalid orderID"})
    return value.lower()


def _read(request: Request) -> Any:
    try:
        return request.json()
    except BadRequestError:
        _refuse_payload()


def _batch_size(request: Request) -> int:
    body = _read(request) if request.body else None
    return max(1, len(body)) if isinstance(body, list) else 1


def _too_many(wait_ms: int, headers: Iterable[tuple[str, str]] = ()) -> Response:
    wait = ("Retry-After", str(-(-wait_ms // 1_000)))
    return json_response({"error": "Too Many Requests"}, status=429, headers=(wait, *headers))


def _with(response: Response, headers: tuple[tuple[str, str], ...]) -> Response:
    return Response(
        status=response.status,
        body=response.body,
        content_type=response.content_type,
        headers=(*response.headers, *headers),
    )


def _fits(row: dict[str, Any], asked: dict[str, str | None]) -> bool:
    return all(value is None or row[name] == value for name, value in asked.items())


def _seconds(request: Request, name: str) -> int | None:
    text = request.first(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,20}", text):
        raise BadRequestError({"error": "Invalid trade params payload"})
    return int(text)


def _page(request: Request, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    try:
        start = int(base64.b64decode(request.first("next_cursor") or FIRST_CURSOR, validate=True))
    except (binascii.Error, ValueError) as error:
        raise BadRequestError({"error": "invalid order params payload"}) from error
    shown = rows[start : start + PAGE] if start >= 0 else []
    more = start >= 0 and start + PAGE < len(rows)
    following = base64.b64encode(str(start + PAGE).encode()).decode() if more else END_CURSOR
    return {"data": shown, "next_cursor": following, "limit": PAGE, "count": len(shown)}


def _balances(balance: int, allowances: dict[str, int]) -> dict[str, Any]:
    spelled = {digest.checksummed(spender): str(amount) for spender, amount in allowances.items()}
    return {"balance": str(max(balance, 0)), "allowances": spelled}
