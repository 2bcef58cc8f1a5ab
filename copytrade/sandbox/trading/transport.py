"""Trouble between a trader and the venue: requests and answers that are lost, late, doubled or replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from copytrade.sandbox.http_message import BadRequestError, Request, Response, json_response
from copytrade.sandbox.trading.conditions import AnswerRule, Trouble
from copytrade.sandbox.trading.refusal import RefusedError

Respond = Callable[[Request], Awaitable[Response]]


class ConnectionLostError(ConnectionResetError):
    """The connection ends without an answer."""


async def carry(
    rule: AnswerRule, request: Request, respond: Respond, *, note_lost: Callable[[Request], None]
) -> Response:
    """Answer a request as the rule has it; raises ConnectionLostError where there is no answer."""
    if rule.trouble is Trouble.LOST_REQUEST or (rule.trouble is Trouble.STATUS and not rule.applied):
        if request.method == "POST" and request.path in ("/order", "/orders"):
            _note(request, note_lost)
        await asyncio.sleep(rule.ms / 1_000)
        return _replace(rule)
    answer = await _answer(request, respond)
    if rule.trouble is Trouble.DUPLICATE:
        answer = await _answer(request, respond)
    await asyncio.sleep(rule.ms / 1_000)
    if rule.trouble in (Trouble.LOST_RESPONSE, Trouble.STATUS):
        return _replace(rule)
    return answer


async def _answer(request: Request, respond: Respond) -> Response:
    try:
        return await respond(request)
    except BadRequestError as error:
        return json_response(error.body, status=error.status)


def _note(request: Request, note_lost: Callable[[Request], None]) -> None:
    try:
        note_lost(request)
    except (BadRequestError, RefusedError):
        # What is no order leaves nothing to record; it does not arrive either.
        return


def _replace(rule: AnswerRule) -> Response:
    if rule.trouble is not Trouble.STATUS:
        raise ConnectionLostError("the connection was lost")
    wait = () if rule.retry_after_s is None else (("Retry-After", str(rule.retry_after_s)),)
    if isinstance(rule.body, str):
        page = rule.body.encode()
        headers = (("Server", "cloudflare"), *wait)
        return Response(status=rule.status, body=page, content_type="text/html; charset=UTF-8", headers=headers)
    return json_response(rule.body, status=rule.status, headers=wait)
