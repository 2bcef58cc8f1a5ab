"""The environment (and a `.env` file in the working directory), read once, with what is wrong in one line."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from copytrade.domain.attempts import ExecutionMode
from copytrade.domain.copy_rules import contradiction
from copytrade.domain.orders import ttl_contradiction
from copytrade.domain.venue_orders import SignatureType
from copytrade.settings import copying, live, money, notifying, paper, risk, running, timing
from copytrade.settings.confirming import hosts
from copytrade.settings.copying import CopySettings
from copytrade.settings.live import LiveSettings
from copytrade.settings.money import MoneySettings
from copytrade.settings.notifying import NotifySettings
from copytrade.settings.paper import PaperSettings
from copytrade.settings.places import PlaceSettings
from copytrade.settings.risk import RiskSettings
from copytrade.settings.running import RunSettings
from copytrade.settings.timing import TimingSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

_OUR_FAMILIES: Final = re.compile(
    r"(TRIGGER|EXECUTION|BOOKSTORE|POLY(GON)?|CLOB|GAMMA|DATA_API|RTDS|REGISTRY|BOOK|QUOTE|TRACK|COPY|RISK|LIVE|PAPER"
    r"|SLIPPAGE|SPREAD|DEPTH|PRICE|CATEGORIES|KEYWORDS|LEADER|CARRY|ORDER|BANKROLL|FIXED|MAKER|EQUITY|RECONCILE"
    r"|GATE|HALT|NOTIFY|TELEGRAM)_"
)
_URL_SECRETS: Final = re.compile(r"(://)[^/@\s]*@|((?<!/)/(?!/))[^,\s]+|\?[^,\s]*")
_SECRET: Final = frozenset({"live_private_key", "live_passphrase_fd"})
_NOT_YET: Final = re.compile(r"(RISK|LIVE)_[A-Z_]+")
_MISSPELT_CUTOFF: Final = 0.82
_ENV_FILE: Final = ".env"
_URLS: Final = "http(s)://HOST... or ws(s)://HOST..., as the name says; several where the name allows it"
_GROUPS: Final = (running, timing, copying, paper, money, risk, notifying, live)
_ACCEPTED: Final = {name: words for group in _GROUPS for name, words in group.ACCEPTED.items()}
_NOT_UTF8: Final = re.compile("[\ud800-\udfff]")
"""What the system makes of bytes that are no UTF-8."""
_NEVER_SHOWN: Final = ("token", "webhook_url")
"""How the names of variables end whose values are never shown."""


class ConfigurationError(Exception):
    """The environment cannot be used; the text is one line a person can act on."""


class Settings(
    RunSettings,
    PlaceSettings,
    TimingSettings,
    CopySettings,
    PaperSettings,
    MoneySettings,
    RiskSettings,
    NotifySettings,
    LiveSettings,
):
    """Every variable, parsed and bounded."""

    model_config = SettingsConfigDict(env_file=_ENV_FILE, extra="ignore", frozen=True, hide_input_in_errors=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show of URLs only the host: the rest may hold a key."""
        for name, value in super().__repr_args__():
            is_url = name is not None and name.endswith("_url") and isinstance(value, str | tuple)
            yield name, hosts(value) if is_url else value


def load() -> Settings:
    """Return the settings of this process.

    :raises ConfigurationError: a value does not parse, is out of bounds, or asks for what is not built.
    """
    _refuse_what_is_no_text()
    try:
        settings = Settings()
    except ValidationError as error:
        raise ConfigurationError(_sentence(error.errors()[0])) from None
    _refuse_what_is_not_built()
    check_together(settings)
    return settings


def check_together(settings: Settings) -> None:
    """Check what no value says by itself.

    :raises ConfigurationError: two values contradict each other.
    """
    if settings.execution_mode is ExecutionMode.LIVE:
        require_live(settings)
    if settings.quote_stale_ms < settings.quote_fresh_ms:
        raise ConfigurationError(
            f"QUOTE_STALE_MS is {settings.quote_stale_ms}; accepted: QUOTE_FRESH_MS ({settings.quote_fresh_ms}) or more"
        )
    copied = contradiction(settings.price_min, settings.price_max)
    signed = contradiction(settings.live_signer_price_min, settings.live_signer_price_max, whose="LIVE_SIGNER_")
    if (impossible := copied or signed) is not None:
        raise ConfigurationError(impossible)
    if (too_short := ttl_contradiction(settings.order_type, settings.order_ttl_ms)) is not None:
        raise ConfigurationError(too_short)
    if settings.gate_registry_age_max_ms < settings.registry_sync_interval_ms:
        raise ConfigurationError(
            f"GATE_REGISTRY_AGE_MAX_MS is {settings.gate_registry_age_max_ms}; "
            f"accepted: REGISTRY_SYNC_INTERVAL_MS ({settings.registry_sync_interval_ms}) or more"
        )
    if bool(settings.telegram_bot_token.get_secret_value()) != bool(settings.telegram_chat_id):
        missing = "TELEGRAM_CHAT_ID" if settings.telegram_bot_token.get_secret_value() else "TELEGRAM_BOT_TOKEN"
        raise ConfigurationError(f"{missing} is not set; both or none of TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID")


def _variables() -> dict[str, str]:
    """Return what is set in the `.env` file and the environment, which goes first."""
    written = dotenv_values(_ENV_FILE) if Path(_ENV_FILE).is_file() else {}
    return {name: value or "" for name, value in {**written, **os.environ}.items()}


def require_chain(settings: Settings) -> None:
    """Check that a run which reads the chain knows where it is.

    :raises ConfigurationError: a trigger mode with polygon, and no URL to read it from.
    """
    if settings.trigger_mode.uses_polygon and not settings.polygon_http_url:
        raise ConfigurationError(
            f"POLYGON_HTTP_URL is not set; TRIGGER_MODE={settings.trigger_mode} needs one or more http(s) URLs"
        )


def require_live(settings: Settings) -> None:
    """Check that a run with real orders knows whose money it moves; all else is for the gates to judge.

    :raises ConfigurationError: it does not.
    """
    if settings.live_signature_type is not SignatureType.EOA and settings.live_wallet is None:
        raise ConfigurationError(
            f"LIVE_WALLET is not set; LIVE_SIGNATURE_TYPE={settings.live_signature_type.value} needs "
            "the wallet that holds the money"
        )


def misspelt() -> list[tuple[str, str]]:
    """Return (name, what it probably means) for variables that look like ours and are not."""
    names = _variables()
    ours = [name.upper() for name in Settings.model_fields]
    found = []
    for name in sorted(set(names) - set(ours)):
        close = difflib.get_close_matches(name, ours, n=1, cutoff=_MISSPELT_CUTOFF)
        if close and (_OUR_FAMILIES.match(name) or name.split("_")[-1] == close[0].split("_")[-1]):
            found.append((name, close[0]))
    return found


def _refuse_what_is_not_built() -> None:
    ours = {name.upper() for name in Settings.model_fields}
    for name, value in _variables().items():
        if _NOT_YET.fullmatch(name) and name not in ours and value.strip():
            raise ConfigurationError(f"{name} is set, and this version does not apply it; unset it to go on")


def _refuse_what_is_no_text() -> None:
    for name, value in _variables().items():
        if name.lower() in Settings.model_fields and _NOT_UTF8.search(value):
            raise ConfigurationError(f"{name.upper()} is not UTF-8 text")


def _sentence(error: ErrorDetails) -> str:
    field, value, why = str(error["loc"][0]), error["input"], error["msg"]
    wrong = paper.what_is_wrong(value, why) if field in PaperSettings.model_fields else ""
    return _line(field, value, why=why.removeprefix("Value error, ")) + wrong


def _line(field: str, value: object, *, why: str = "") -> str:
    if field.endswith(_NEVER_SHOWN):
        return f"{field.upper()} is not usable; accepted: {_ACCEPTED[field]}"
    shown = repr(_URL_SECRETS.sub(r"\1\2***", str(value)) if field.endswith("_url") else str(value))
    if field in _SECRET:
        shown = "set to something else"
    return f"{field.upper()} is {shown}; accepted: {_ACCEPTED.get(field) or _bounds(field) or why}"


def _bounds(field: str) -> str:
    """Return the accepted values of a duration, from its own bounds."""
    if not field.endswith("_ms"):
        return _URLS if field.endswith("_url") else ""
    limits = {type(limit).__name__: limit for limit in Settings.model_fields[field].metadata}
    lowest, highest = limits.get("Ge"), limits.get("Le")
    return f"milliseconds, an integer from {getattr(lowest, 'ge', 0)} to {getattr(highest, 'le', 0)}"
