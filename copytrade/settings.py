"""What an operator may set: the only reader of the environment (and of a `.env` file in the working directory).

Field names are the variable names in lower case. Durations are milliseconds, money and ratios are micro-units
after parsing. `.env.example` lists every variable with its default and unit.
"""

from __future__ import annotations

import difflib
import os
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from copytrade.domain.attempts import ExecutionMode
from copytrade.domain.latency import Latency
from copytrade.domain.leaders import normal_address
from copytrade.domain.sizing import ExitMode, SizingMode
from copytrade.domain.units import parse_micro

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_OUR_FAMILIES: Final = re.compile(
    r"(TRIGGER|EXECUTION|BOOKSTORE|POLY(GON)?|CLOB|GAMMA|DATA_API|RTDS|REGISTRY|BOOK|QUOTE|TRACK|COPY|RISK|LIVE|PAPER)_"
)
_URL_SECRETS: Final = re.compile(r"(://)[^/@\s]*@|((?<!/)/(?!/))[^,\s]+|\?[^,\s]*")
_NOT_YET: Final = re.compile(r"(RISK|LIVE)_[A-Z_]+")
_MISSPELT_CUTOFF: Final = 0.82
_ENV_FILE: Final = ".env"
_URLS: Final = "http(s)://HOST... or ws(s)://HOST..., as the name says; several where the name allows it"


class ConfigurationError(Exception):
    """The environment cannot be used; the text is one line a person can act on."""


class TriggerMode(StrEnum):
    """Which sources of leader fills run; `both` is polygon and data_api, `all` these two and rtds."""

    DATA_API = "data_api"
    POLYGON = "polygon"
    BOTH = "both"
    RTDS = "rtds"
    ALL = "all"

    @property
    def uses_polygon(self) -> bool:
        """Whether the chain is read."""
        return self in {TriggerMode.POLYGON, TriggerMode.BOTH, TriggerMode.ALL}

    @property
    def uses_data_api(self) -> bool:
        """Whether the Data API is polled."""
        return self in {TriggerMode.DATA_API, TriggerMode.BOTH, TriggerMode.ALL}

    @property
    def uses_rtds(self) -> bool:
        """Whether the live stream is listened to."""
        return self in {TriggerMode.RTDS, TriggerMode.ALL}


class BookstoreMode(StrEnum):
    """How books are kept: polled, from the socket alone, or from the socket and snapshots."""

    REST = "rest"
    WS = "ws"
    WS_SNAPSHOT = "ws+snapshot"


def _words(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(word.strip() for word in value.split(",") if word.strip())


def _micro(value: object) -> object:
    return parse_micro(value.strip()) if isinstance(value, str) else value


def _latency(value: object) -> object:
    return Latency.parse(value) if isinstance(value, str) else value


def _with_scheme(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        if not re.match(rf"({'|'.join(schemes)})://[^/\s]+", url):
            raise ValueError(f"not a {' or '.join(schemes)} URL")
        return url.rstrip("/")

    return AfterValidator(check)


Milliseconds = Annotated[int, Field(ge=0, le=7 * 86_400_000)]
Interval = Annotated[int, Field(ge=10, le=7 * 86_400_000)]
Money = Annotated[int, BeforeValidator(_micro), Field(gt=0, le=10**15)]
Factor = Annotated[int, BeforeValidator(_micro), Field(gt=0, le=10**12)]
Delay = Annotated[InstanceOf[Latency], NoDecode, BeforeValidator(_latency)]
Address = Annotated[str, AfterValidator(normal_address)]
Addresses = Annotated[tuple[Address, ...], NoDecode, BeforeValidator(_words)]
HttpUrl = Annotated[str, _with_scheme("http", "https")]
WsUrl = Annotated[str, _with_scheme("ws", "wss")]
HttpUrls = Annotated[tuple[HttpUrl, ...], NoDecode, BeforeValidator(_words)]
WsUrls = Annotated[tuple[WsUrl, ...], NoDecode, BeforeValidator(_words)]

ACCEPTED: Final[dict[str, str]] = {
    "trigger_mode": "data_api, polygon, both, rtds, all",
    "execution_mode": "paper (live is not available in this version)",
    "bookstore_mode": "rest, ws, ws+snapshot",
    "sizing_mode": "ratio, fixed_usdc (bankroll is not available in this version)",
    "exit_mode": "fraction, ratio",
    "database_url": "sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME",
    "leaders": "comma-separated addresses of 0x and 40 hex digits",
    "copy_ratio": "a decimal above 0",
    "maker_leader_ratio": "a decimal above 0",
    "max_usdc_per_trade": "a decimal above 0",
    "slippage_bps_max": "an integer from 0 to 10000",
    "decision_latency_ms": "an integer or lognormal:MEDIAN_MS:SIGMA",
    "submit_latency_ms": "an integer or lognormal:MEDIAN_MS:SIGMA",
    "paper_seed": "an integer",
    "track_leader_hours": "an integer from 0 to 720",
    "track_top_markets": "an integer from 0 to 1000",
    "track_max_tokens": "an integer from 1 to 50000",
}


class Settings(BaseSettings):
    """Every variable, parsed and bounded."""

    model_config = SettingsConfigDict(env_file=_ENV_FILE, extra="ignore", frozen=True)

    trigger_mode: TriggerMode = TriggerMode.DATA_API
    execution_mode: ExecutionMode = ExecutionMode.PAPER
    bookstore_mode: BookstoreMode = BookstoreMode.WS_SNAPSHOT
    database_url: SecretStr = SecretStr("sqlite:///copytrade.db")
    leaders: Addresses = ()

    polygon_ws_url: WsUrls = ()
    polygon_http_url: HttpUrls = ()
    poly_exchange_ctf: Address = "0xe111180000d2663c0091e4f400237545b87b996b"
    poly_exchange_negrisk: Address = "0xe2222d279d744050d28e00520010520000310f59"
    poly_exchange_v3: Address = "0xe3333700ca9d93003f00f0f71f8515005f6c00aa"
    poly_exchange_ctf_v1: Address = "0x4bfb41d5b3570defd03c39a9a4d8de6bd8b8982e"
    poly_exchange_negrisk_v1: Address = "0xc5d563a36ae78145c45a50134d48a1215220f80a"
    clob_http_url: HttpUrl = "https://clob.polymarket.com"
    clob_market_ws_url: WsUrl = "wss://ws-subscriptions-clob.polymarket.com/ws/market"
    clob_user_ws_url: WsUrl = "wss://ws-subscriptions-clob.polymarket.com/ws/user"
    gamma_http_url: HttpUrl = "https://gamma-api.polymarket.com"
    data_api_http_url: HttpUrl = "https://data-api.polymarket.com"
    rtds_ws_url: WsUrl = "wss://ws-live-data.polymarket.com"

    registry_sync_interval_ms: Interval = 900_000
    book_resync_interval_ms: Interval = 90_000
    quote_fresh_ms: Interval = 2_000
    quote_stale_ms: Interval = 5_000
    data_api_poll_interval_ms: Interval = 3_000
    data_api_activity_interval_ms: Interval = 30_000
    polygon_poll_interval_ms: Interval = 1_000
    book_history_ms: Interval = 60_000
    track_leader_hours: Annotated[int, Field(ge=0, le=720)] = 24
    track_top_markets: Annotated[int, Field(ge=0, le=1_000)] = 0
    track_max_tokens: Annotated[int, Field(ge=1, le=50_000)] = 2_000
    chain_lag_max_ms: Interval = 15_000
    fill_max_age_ms: Interval = 30_000
    unmapped_wait_ms: Milliseconds = 5_000
    book_wait_ms: Milliseconds = 5_000

    copy_ratio: Factor = 1_000_000
    max_usdc_per_trade: Money = 100_000_000
    slippage_bps_max: Annotated[int, Field(ge=0, le=10_000)] = 300
    order_ttl_ms: Interval = 5_000
    maker_leader_ratio: Factor = 1_000_000
    sizing_mode: SizingMode = SizingMode.RATIO
    exit_mode: ExitMode = ExitMode.FRACTION
    decision_latency_ms: Delay = Latency.parse("0")
    submit_latency_ms: Delay = Latency.parse("150")
    paper_seed: int = 0


def load() -> Settings:
    """Return the settings of this process.

    :raises ConfigurationError: a value does not parse, is out of bounds, or asks for what is not built.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        raise ConfigurationError(_sentence(error.errors()[0])) from None
    _refuse_what_is_not_built(settings)
    if settings.quote_stale_ms < settings.quote_fresh_ms:
        raise ConfigurationError(
            f"QUOTE_STALE_MS is {settings.quote_stale_ms}; accepted: QUOTE_FRESH_MS ({settings.quote_fresh_ms}) or more"
        )
    return settings


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


def _refuse_what_is_not_built(settings: Settings) -> None:
    if settings.execution_mode is ExecutionMode.LIVE:
        raise ConfigurationError(_line("execution_mode", settings.execution_mode))
    if settings.sizing_mode is SizingMode.BANKROLL:
        raise ConfigurationError(_line("sizing_mode", settings.sizing_mode))
    for name, value in _variables().items():
        if _NOT_YET.fullmatch(name) and value.strip():
            raise ConfigurationError(f"{name} is set, and this version does not apply it; unset it to go on")


def _sentence(error: ErrorDetails) -> str:
    return _line(str(error["loc"][0]), error["input"], why=error["msg"].removeprefix("Value error, "))


def _line(field: str, value: object, *, why: str = "") -> str:
    shown = repr(_URL_SECRETS.sub(r"\1\2***", str(value)) if field.endswith("_url") else str(value))
    return f"{field.upper()} is {shown}; accepted: {ACCEPTED.get(field) or _bounds(field) or why}"


def _bounds(field: str) -> str:
    """Return the accepted values of a duration, from its own bounds."""
    if not field.endswith("_ms"):
        return _URLS if field.endswith("_url") else ""
    limits = {type(limit).__name__: limit for limit in Settings.model_fields[field].metadata}
    lowest, highest = limits.get("Ge"), limits.get("Le")
    return f"milliseconds, an integer from {getattr(lowest, 'ge', 0)} to {getattr(highest, 'le', 0)}"
