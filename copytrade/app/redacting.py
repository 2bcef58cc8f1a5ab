"""The secrets of this process, and every way out of it, kept free of them."""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from copytrade.domain.redaction import Redaction
from copytrade.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import MutableMapping

KEY_LENGTH_MIN: Final = 8
"""Shorter parts of a path are words such as `v2`."""
_WORD: Final = re.compile(r"[a-z]+")
"""Longer ones are too, where they are nothing but small letters."""
_DEFAULTS: Final = [field.default for name, field in Settings.model_fields.items() if name.endswith("_url")]
_PUBLIC: Final = frozenset(urlsplit(url).netloc for url in _DEFAULTS if isinstance(url, str))
_SECRETS: Final = Redaction(public_hosts=_PUBLIC)


def process_redaction() -> Redaction:
    """Return what knows the secrets of this process."""
    return _SECRETS


def load_settings() -> Settings:
    """Load the settings, and know their secrets from then on.

    :raises ConfigurationError: as `load` does.
    """
    settings = load()
    _SECRETS.learn(*secrets_of(settings))
    return settings


def secrets_of(settings: Settings) -> list[str | bytes]:
    """Return what may never be told: keys, tokens, passwords, and what in a URL may be a key."""
    urls = [settings.notify_webhook_url.get_secret_value(), *settings.polygon_http_url, *settings.polygon_ws_url]
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if name.endswith("_url") and isinstance(value, str) and urlsplit(value).netloc not in _PUBLIC:
            urls.append(value)
    password = urlsplit(settings.database_url.get_secret_value()).password or ""
    return [
        *_private_key(settings),
        settings.telegram_bot_token.get_secret_value(),
        password,
        *(key for url in urls for key in _keys_in(url)),
    ]


def _private_key(settings: Settings) -> list[str | bytes]:
    if settings.live_private_key is None:
        return []
    digits = settings.live_private_key.get_secret_value().strip().removeprefix("0x")
    try:
        return [bytes.fromhex(digits)]
    except ValueError:
        return [digits]


def _keys_in(url: str) -> list[str]:
    """Return the password and a long user, the query and its long values, and long parts of the path but words."""
    parsed = urlsplit(url)
    segments = [one for one in parsed.path.split("/") if len(one) >= KEY_LENGTH_MIN and not _WORD.fullmatch(one)]
    values = [value for pair in parsed.query.split("&") if len(value := pair.partition("=")[2]) >= KEY_LENGTH_MIN]
    user = parsed.username or ""
    return [user if len(user) >= KEY_LENGTH_MIN else "", parsed.password or "", parsed.query, *values, *segments]


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out of a log event, once its traceback is text."""
    clean: MutableMapping[str, Any] = _SECRETS.value(event)
    return clean


class RedactedFormatter(logging.Formatter):
    """Takes secrets out of what libraries log, with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return _SECRETS.text(super().format(record))


def redact_libraries() -> None:
    """Keep secrets out of what libraries log; it goes to standard error from WARNING up, as always."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(RedactedFormatter())


def redact_tracebacks() -> None:
    """Keep secrets out of what Python itself prints of an error that nobody caught, in any thread."""

    def tell(where: str, error: BaseException | None) -> None:
        lines = [] if error is None else traceback.format_exception(error)
        sys.stderr.write(_SECRETS.text("".join([f"{where}\n" if where else "", *lines])))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        tell(f"in thread {args.thread.name if args.thread else ''}:", args.exc_value)

    sys.excepthook = lambda _kind, error, _trace: tell("", error)
    sys.unraisablehook = lambda args: tell(args.err_msg or "ignored:", args.exc_value)
    threading.excepthook = in_thread
