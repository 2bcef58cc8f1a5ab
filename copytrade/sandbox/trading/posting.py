"""`POST /order` and `POST /orders`: what is posted, recorded, held, matched and answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from copytrade.sandbox.http_message import BadRequestError, Request, Response, json_response
from copytrade.sandbox.trading.conditions import Conditions
from copytrade.sandbox.trading.credentials import ApiKey
from copytrade.sandbox.trading.desk import NOT_READY, Desk
from copytrade.sandbox.trading.orders import PlacedOrder
from copytrade.sandbox.trading.record import Receipt, Record
from copytrade.sandbox.trading.refusal import RefusedError
from copytrade.sandbox.trading.shapes import Spelling
from copytrade.sandbox.trading.signed_order import read_order
from copytrade.sandbox.trading.windows import WindowError, check_window
from copytrade.sandbox.world import World

BATCH_MAX = 15
MALFORMED = {"error": "Invalid order payload"}


class Posting:
    """Takes posts one after the other; a held one does not keep others waiting."""

    def __init__(
        self,
        *,
        world: World,
        desk: Desk,
        record: Record,
        spelling: Spelling,
        conditions: Conditions,
        now_ms: Callable[[], int],
    ) -> None:
        """Post to the given desk; `now_ms` moves the world on after a hold."""
        self._world = world
        self._desk = desk
        self._record = record
        self._spelling = spelling
        self._conditions = conditions
        self._now_ms = now_ms

    def receive(self, request: Request) -> list[Receipt | None]:
        """Record what is posted, as it comes in; None stands for an item that is no order."""
        try:
            body = request.json()
        except BadRequestError:
            return []
        return [self._note(item) for item in (body if isinstance(body, list) else [body])]

    async def post_one(self, request: Request, key: ApiKey, receipts: list[Receipt | None]) -> Response:
        """Answer a post of one order; a refusal has its status, or is 200 with `errorMsg`, as conditions say."""
        try:
            return json_response(await self._place(_read(request), key, receipts[0] if receipts else None))
        except RefusedError as error:
            if self._conditions.refusals_in_body:
                return json_response(_refused(error.text, success=False))
            named = {"orderID": error.order_id} if error.order_id else {}
            return json_response({"error": error.text, **named}, status=error.status)

    async def post_some(self, request: Request, key: ApiKey, receipts: list[Receipt | None]) -> Response:
        """Answer a post of several orders, each with an answer of its own, in order."""
        items = _read(request)
        if not isinstance(items, list) or not items:
            raise BadRequestError(MALFORMED)
        if len(items) > BATCH_MAX:
            text = f"Too many orders in payload: {len(items)}, max allowed: {BATCH_MAX}"
            raise BadRequestError({"error": text})
        answers = []
        for item, receipt in zip(items, receipts, strict=True):
            try:
                answers.append(await self._place(item, key, receipt))
            except RefusedError as error:
                answers.append(_refused(error.text, success=True))
            except WindowError as error:
                if error.status != 503 or not _is_post_only(error.text):
                    raise
                answers.append(_refused(error.text, success=True))
        return json_response(answers)

    def _note(self, item: Any) -> Receipt | None:
        try:
            order = read_order(item)
        except RefusedError:
            return None
        return self._record.write(order, order_id=self._desk.identify(order), at_ms=self._world.now_ms)

    async def _place(self, body: Any, key: ApiKey, receipt: Receipt | None) -> dict[str, Any]:
        order = read_order(body)
        try:
            check_window(self._conditions, now_ms=self._world.now_ms, post_only=order.post_only)
            placed = self._desk.accept(order, address=key.address, key=key.key)
            answer = await self._match(placed)
        except (RefusedError, WindowError) as error:
            _close(receipt, error.text)
            raise
        _close(receipt, str(answer["status"]))
        return answer

    async def _match(self, placed: PlacedOrder) -> dict[str, Any]:
        delay = self._desk.delay_of(placed)
        if delay is not None:
            self._desk.delay(placed, delay)
            return self._spelling.answer(placed, (), word=delay.word)
        hold_ms = self._desk.hold_ms(placed)
        if hold_ms:
            await asyncio.sleep(hold_ms / 1_000)
            self._world.advance(self._now_ms())
            if not placed.held_amount:
                # Its market has closed meanwhile.
                raise RefusedError(NOT_READY)
        self._desk.match(placed)
        trades = [self._desk.settlements.find(trade_id) for trade_id in placed.trade_ids]
        if trades:
            return self._spelling.answer(placed, trades, word="matched")
        return self._spelling.answer(placed, (), word="unmatched" if hold_ms else "live")


def _close(receipt: Receipt | None, outcome: str) -> None:
    if receipt is not None:
        receipt.outcome = outcome


def _read(request: Request) -> Any:
    try:
        return request.json()
    except BadRequestError as error:
        raise BadRequestError(MALFORMED) from error


def _is_post_only(text: str) -> bool:
    return text.startswith("post-only mode")


def _refused(text: str, *, success: bool) -> dict[str, Any]:
    return {
        "errorMsg": text,
        "orderID": "",
        "takingAmount": "",
        "makingAmount": "",
        "status": "",
        "success": success,
    }
