"""Trouble between a trader and the venue: requests and answers that are lost, late, doubled or replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from copytrade.sandbox.http_message import Request, Response, json_response
from copytrade.sandbox.trading.conditions import AnswerRule, Trouble

Respond = Callable[[Request], Awaitable[Response]]


class ConnectionLostError(ConnectionResetError):
    """The connection ends without an answer."""


async def carry(rule: AnswerRule, request: Request, respond: Respond, *, lose: Callable[[Request], None]) -> Response:
    """Answer a request as the rule has it; raises ConnectionLostError where there is no answer."""
    if rule.trouble is Trouble.LOST_REQUEST or (rule.trouble is Trouble.STATUS and not rule.applied):
        lose(request)
        await asyncio.sleep(rule.ms / 1_000)
        return _replace(rule)
    answer = await respond(request)
    if rule.trouble is Trouble.DUPLICATE:
        answer = await respond(request)
    await asyncio.sleep(rule.ms / 1_000)
    if rule.trouble in (Trouble.LOST_RESPONSE, Trouble.STATUS):
        return _replace(rule)
    return answer


def _replace(rule: AnswerRule) -> Response:
    if rule.trouble is not Trouble.STATUS:
        raise ConnectionLostError("the connection was lost")
    wait = () if rule.retry_after_s is None else (("Retry-After", str(rule.retry_after_s)),)
    if isinstance(rule.body, str):
        page = rule.body.encode()
        headers = (("Server", "cloudflare"), *wait)
        return Response(status=rule.status, body=page, content_type="text/html; charset=UTF-8", headers=headers)
    return json_response(rule.body, status=rule.status, headers=wait)
