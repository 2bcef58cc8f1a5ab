"""Who is told of incidents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

    from copytrade.adapters.notify.alerts import Alerts, Channel
    from copytrade.engine.notes import Notes
    from copytrade.ports.clock import Clock
    from copytrade.settings import Settings

KEY_LENGTH_MIN: Final = 8
"""Shorter parts of a path are words such as `v2`."""


def build_alerts(settings: Settings, http: httpx.AsyncClient, *, notes: Notes, clock: Clock) -> Alerts:
    """Return the listener that tells people of incidents: by the log, and by what the settings name."""
    from copytrade.adapters.notify.alerts import Alerts, LogChannel, Scrub
    from copytrade.adapters.notify.telegram import Telegram
    from copytrade.adapters.notify.webhook import Webhook

    channels: list[Channel] = [LogChannel()]
    if url := settings.notify_webhook_url.get_secret_value():
        channels.append(Webhook(url=url, http=http))
    if token := settings.telegram_bot_token.get_secret_value():
        channels.append(
            Telegram(url=settings.telegram_api_url, token=token, chat_id=settings.telegram_chat_id, http=http)
        )
    return Alerts(channels, scrub=Scrub(_secrets(settings)), clock=clock, note=notes.take)


def _secrets(settings: Settings) -> list[str]:
    """Return what may never be told: tokens, passwords, and what in a URL may be a key."""
    urls = [settings.notify_webhook_url.get_secret_value(), *settings.polygon_http_url, *settings.polygon_ws_url]
    keys = [key for url in urls for key in _keys_in(url)]
    password = urlsplit(settings.database_url.get_secret_value()).password or ""
    return [settings.telegram_bot_token.get_secret_value(), password, *keys]


def _keys_in(url: str) -> list[str]:
    """Return the password, the query and every long part of the path."""
    parsed = urlsplit(url)
    segments = [segment for segment in parsed.path.split("/") if len(segment) >= KEY_LENGTH_MIN]
    return [parsed.password or "", parsed.query, *segments]
