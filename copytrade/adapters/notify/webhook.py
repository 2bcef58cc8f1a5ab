"""Alerts as JSON to a URL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from copytrade.adapters.notify.alerts import Alert, Channel
from copytrade.adapters.notify.delivery import post

if TYPE_CHECKING:
    import httpx


class Webhook(Channel):
    """POSTs {"code", "text", "at", "detail"}; `text` is what Slack and its likes show."""

    name = "webhook"

    def __init__(self, *, url: str, http: httpx.AsyncClient) -> None:
        self._url = url
        self._http = http

    async def send(self, alert: Alert) -> None:
        at = datetime.fromtimestamp(alert.at_ms / 1000, tz=UTC).isoformat(timespec="milliseconds")
        document = {"code": alert.code, "text": alert.text, "at": at.replace("+00:00", "Z"), "detail": alert.detail}
        await post(self._http, self._url, document)
