"""What a webhook and Telegram are sent, against a stand-in on this machine, and what comes of their answers."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.adapters.notify.alerts import Alert, NotDeliveredError
from copytrade.adapters.notify.telegram import Telegram
from copytrade.adapters.notify.webhook import Webhook
from copytrade.adapters.system import SystemClock
from copytrade.app.notifying import build_alerts
from copytrade.domain.happenings import Noted
from copytrade.domain.redaction import REDACTED
from copytrade.engine.listeners import Listeners
from copytrade.engine.notes import Notes
from copytrade.settings import Settings
from tests.makers import NOW_MS

TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
ALERT = Alert(code="HALTED", text="HALTED: level=all", detail={"level": "all", "since_ms": 7}, at_ms=NOW_MS)


class StandIn:
    """Answers every request the same way and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body: Any = {"ok": True, "result": {"message_id": 1}}
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["content-length"]))
                stand_in.asked.append((self.path, self.headers["content-type"], json.loads(text)))
                body = stand_in.body if isinstance(stand_in.body, bytes) else json.dumps(stand_in.body).encode()
                self.send_response(stand_in.status)
                for name, value in {**stand_in.headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *parts: Any) -> None:
                del parts

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    standing = StandIn()
    threading.Thread(target=standing.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield standing
    standing.server.shutdown()
    standing.server.server_close()


@pytest.fixture
async def http() -> Any:
    async with httpx.AsyncClient() as client:
        yield client


async def test_telegram_gets_a_plain_message_for_the_chat(stand_in: StandIn, http: httpx.AsyncClient) -> None:
    await Telegram(url=stand_in.url, token=TOKEN, chat_id="-42", http=http).send(ALERT)

    [(path, kind, asked)] = stand_in.asked
    assert (path, kind) == (f"/bot{TOKEN}/sendMessage", "application/json")
    assert asked == {"chat_id": "-42", "text": ALERT.text, "link_preview_options": {"is_disabled": True}}


async def test_a_webhook_gets_code_text_time_and_detail(stand_in: StandIn, http: httpx.AsyncClient) -> None:
    stand_in.body = b"ok"

    await Webhook(url=f"{stand_in.url}/hook/T0KEN", http=http).send(ALERT)

    [(path, _, asked)] = stand_in.asked
    assert path == "/hook/T0KEN"
    assert asked == {
        "code": "HALTED",
        "text": "HALTED: level=all",
        "at": "2026-09-21T14:13:20.000Z",
        "detail": {"level": "all", "since_ms": 7},
    }


@pytest.mark.parametrize(
    ("status", "headers", "body", "retry_after_ms"),
    [
        (429, {}, {"ok": False, "error_code": 429, "parameters": {"retry_after": 35}}, 35_000),
        (429, {"retry-after": "3"}, b"slow down", 3_000),
        (503, {}, b"<html>", 1_000),
        (500, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"", 1_000),
        (404, {}, {"ok": False, "description": "Not Found"}, None),
        (401, {}, {"ok": False, "description": "Unauthorized"}, None),
        (302, {"location": "http://127.0.0.1:1/"}, b"", None),
    ],
)
@pytest.mark.parametrize("kind", ["telegram", "webhook"])
async def test_an_answer_other_than_success_says_whether_to_try_again_and_holds_no_secret(
    stand_in: StandIn,
    http: httpx.AsyncClient,
    *,
    kind: str,
    status: int,
    headers: dict[str, str],
    body: Any,
    retry_after_ms: int | None,
) -> None:
    stand_in.status, stand_in.headers, stand_in.body = status, headers, body
    channel = (
        Telegram(url=stand_in.url, token=TOKEN, chat_id="1", http=http)
        if kind == "telegram"
        else Webhook(url=f"{stand_in.url}/{TOKEN}", http=http)
    )

    with pytest.raises(NotDeliveredError) as failed:
        await channel.send(ALERT)

    assert failed.value.retry_after_ms == retry_after_ms
    assert str(failed.value) == f"HTTP {status}"


@pytest.mark.parametrize("body", [{"ok": False}, b"<html>please enable JavaScript</html>", [1]])
async def test_an_answer_that_is_not_telegrams_is_no_delivery(
    stand_in: StandIn, http: httpx.AsyncClient, body: Any
) -> None:
    stand_in.body = body

    with pytest.raises(NotDeliveredError, match="not Telegram's"):
        await Telegram(url=stand_in.url, token=TOKEN, chat_id="1", http=http).send(ALERT)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://127.0.0.1:not-a-port"])
async def test_a_place_that_does_not_answer_is_no_delivery_and_its_url_is_not_told(
    http: httpx.AsyncClient, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with pytest.raises(NotDeliveredError) as failed:
        await Telegram(url=url, token=TOKEN, chat_id="1", http=http).send(ALERT)

    assert failed.value.retry_after_ms is not None
    assert TOKEN not in f"{failed.value!r} {failed.value.__cause__!r} {caplog.text}"
    assert failed.value.__suppress_context__


async def test_the_settings_say_who_is_told_and_what_is_never_told(stand_in: StandIn, http: httpx.AsyncClient) -> None:
    settings = Settings.model_validate(
        {
            "notify_webhook_url": f"{stand_in.url}/services/T0000KEY",
            "telegram_bot_token": TOKEN,
            "telegram_chat_id": "1",
            "telegram_api_url": stand_in.url,
            "polygon_http_url": ("https://rpc.example/v2/RPCKEY01?apikey=QUERYKEY",),
            "database_url": "postgresql+psycopg://me:hunter22@db/copytrade",
        }
    )
    notes = Notes(ledger=MemoryLedger(), notifier=Listeners(), clock=SystemClock())
    alerts = build_alerts(settings, http, notes=notes, clock=SystemClock())
    why = f"RPCKEY01 apikey=QUERYKEY hunter22 T0000KEY {TOKEN} copytrade"

    alerts.tell(Noted(code="HALTED", detail={"why": why}, at_ms=NOW_MS))
    delivering = asyncio.create_task(alerts.run())
    while sum(alerts.delivered.values()) < 3:
        await asyncio.sleep(0.01)
    delivering.cancel()

    assert alerts.delivered == {"log": 1, "webhook": 1, "telegram": 1}
    told = f"HALTED: why={' '.join([REDACTED] * 5)} copytrade"
    assert [asked["text"] for _, _, asked in stand_in.asked] == [told] * 2
