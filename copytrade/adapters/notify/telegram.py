"""Alerts as messages of a Telegram bot (core.telegram.org/bots/api, sendMessage)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copytrade.adapters.notify.alerts import Alert, Channel, NotDeliveredError
from copytrade.adapters.notify.delivery import post

if TYPE_CHECKING:
    import httpx


class Telegram(Channel):
    """Sends plain text without a preview of links; the token is part of every URL, so no URL is ever shown."""

    name = "telegram"

    def __init__(self, *, url: str, token: str, chat_id: str, http: httpx.AsyncClient) -> None:
        self._url = f"{url}/bot{token}/sendMessage"
        self._chat_id = chat_id
        self._http = http

    async def send(self, alert: Alert) -> None:
        document = {
            "chat_id": self._chat_id,
            "text": alert.text,
            "link_preview_options": {"is_disabled": True},
        }
        response = await post(self._http, self._url, document)
        try:
            is_taken = response.json().get("ok") is True
        except (ValueError, AttributeError):
            is_taken = False
        if not is_taken:
            raise NotDeliveredError("an answer that is not Telegram's")
