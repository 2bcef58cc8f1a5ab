"""What the venue tells of our own orders: pushes of the user stream, rows of the account, answers to an order."""

from __future__ import annotations

import functools
from typing import Any

import httpx

from copytrade.adapters.live.rows import MalformedRowError, OwnTrade, read_order, read_trade
from copytrade.adapters.live.signer import LocalSigner
from copytrade.adapters.live.transport import Answer, Transport
from copytrade.adapters.live.user_stream import objects_of
from copytrade.adapters.live.verdicts import Refused, Taken, verdict_of
from copytrade.adapters.sql.columns import instant_text
from copytrade.adapters.system import SystemClock
from copytrade.domain.attempts import AttemptStatus
from copytrade.domain.redaction import Redaction
from tests.fuzz.outcomes import IGNORED, REFUSED, TAKEN

WALLET, API_KEY = "0x" + "aa" * 20, "01-our-key"
INT64_MAX = 2**63 - 1
ORDER_HASH = "0x" + "0d" * 32
STATUSES = (200, 201, 400, 401, 403, 404, 425, 429, 500, 503)


def user_frame(data: bytes) -> str:
    """A frame of the user stream."""
    outcomes = {_news(one) for one in objects_of(data.decode(errors="replace"))}
    return next((one for one in (REFUSED, TAKEN) if one in outcomes), IGNORED)


def _news(news: dict[str, Any]) -> str:
    if news.get("event_type") == "order":
        return TAKEN if str(news.get("id") or "").lower() == ORDER_HASH else IGNORED
    return _trade(news) if news.get("event_type") == "trade" else IGNORED


def account_row(data: bytes) -> str:
    """A row of our account, read as an order and as a trade."""
    answer = _answer(data, status=200)
    if not answer.is_json:
        return REFUSED
    as_order, as_trade = _order(answer.body), _trade(answer.body)
    return as_trade if isinstance(answer.body, dict) and "side" in answer.body else as_order


def _order(row: Any) -> str:
    try:
        order = read_order(row)
    except MalformedRowError:
        return REFUSED
    assert order.order_hash.isprintable()
    assert order.matched is None or 0 <= order.matched <= INT64_MAX
    return TAKEN


def _trade(row: Any) -> str:
    try:
        trades = read_trade(row, wallet=WALLET, api_key=API_KEY)
    except MalformedRowError:
        return REFUSED
    for trade in trades:
        _check(trade)
    if not all(trade.is_possible for trade in trades):
        return REFUSED
    return TAKEN if trades else IGNORED


def _check(trade: OwnTrade) -> None:
    """It can be stored as it is."""
    for text in (trade.trade_id, trade.order_hash, trade.token_id):
        assert text.isprintable()
    assert trade.shares >= 0
    assert instant_text(trade.matched_ms)


def order_answer(data: bytes) -> str:
    """The answer to a posted order, under every status that one was seen with; what became of it is said for 200."""
    return {status: _judged(_answer(data, status=status)) for status in STATUSES}[200]


def _answer(data: bytes, *, status: int) -> Answer:
    return _transport()._read(httpx.Response(status, content=data), took_ms=1)


@functools.cache
def _transport() -> Transport:
    return Transport(
        url="http://127.0.0.1",
        http=httpx.AsyncClient(verify=False),
        signer=LocalSigner(bytes([1]) * 32),
        clock=SystemClock(),
        redaction=Redaction(),
    )


def _judged(answer: Answer) -> str:
    verdict = verdict_of(answer, order_hash=ORDER_HASH)
    if isinstance(verdict, Taken):
        assert answer.status in {200, 201}
        assert answer.body["success"] is True
        assert answer.body["orderID"].lower() == ORDER_HASH
        return TAKEN
    if isinstance(verdict, Refused):
        assert answer.status in {200, 201, 400}
        assert verdict.status in {AttemptStatus.FAILED, AttemptStatus.CANCELED}
        return REFUSED
    return IGNORED
