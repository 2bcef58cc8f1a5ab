"""Who is told of incidents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copytrade.app.redacting import process_redaction, secrets_of

if TYPE_CHECKING:
    import httpx

    from copytrade.adapters.notify.alerts import Alerts, Channel
    from copytrade.engine.notes import Notes
    from copytrade.ports.clock import Clock
    from copytrade.settings import Settings


def build_alerts(settings: Settings, http: httpx.AsyncClient, *, notes: Notes, clock: Clock) -> Alerts:
    """Return the listener that tells people of incidents: by the log, and by what the settings name."""
    from copytrade.adapters.notify.alerts import Alerts, LogChannel
    from copytrade.adapters.notify.telegram import Telegram
    from copytrade.adapters.notify.webhook import Webhook

    redaction = process_redaction()
    redaction.learn(*secrets_of(settings))
    channels: list[Channel] = [LogChannel()]
    if url := settings.notify_webhook_url.get_secret_value():
        channels.append(Webhook(url=url, http=http))
    if token := settings.telegram_bot_token.get_secret_value():
        channels.append(
            Telegram(url=settings.telegram_api_url, token=token, chat_id=settings.telegram_chat_id, http=http)
        )
    return Alerts(channels, redaction=redaction, clock=clock, note=notes.take)
