"""Who is told of incidents besides the log."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, SecretStr
from pydantic_settings import BaseSettings

from copytrade.settings.values import HttpUrl

ACCEPTED: Final[dict[str, str]] = {
    "notify_webhook_url": "an http(s) URL, or nothing",
    "telegram_bot_token": "the token of a bot, as its maker gave it, or nothing",
    "telegram_chat_id": "the number or @name of a chat, or nothing",
}


def _url_or_nothing(secret: SecretStr) -> SecretStr:
    url = secret.get_secret_value().strip()
    if url and not url.startswith(("http://", "https://")):
        raise ValueError("not an http(s) URL")
    return SecretStr(url)


class NotifySettings(BaseSettings):
    """A webhook and a Telegram chat; empty is nobody. The URL of a webhook is as secret as a token."""

    notify_webhook_url: Annotated[SecretStr, AfterValidator(_url_or_nothing)] = SecretStr("")
    telegram_bot_token: SecretStr = SecretStr("")
    telegram_chat_id: str = ""
    telegram_api_url: HttpUrl = "https://api.telegram.org"
