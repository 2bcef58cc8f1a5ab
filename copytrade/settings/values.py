"""The kinds of values a variable may have, parsed and bounded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf
from pydantic_settings import NoDecode

from copytrade.domain.effects import Effect, parse_effects
from copytrade.domain.interruptions import Interruption, parse_interruptions
from copytrade.domain.latency import FILE_PREFIX, Latency
from copytrade.domain.leaders import normal_address
from copytrade.domain.units import parse_micro

LATENCY_FILE_MAX: Final = 2_000_000
"""Characters of a file of measured latencies; one that never ends must not end the start."""


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


def as_micro(value: object) -> object:
    """Return the micro-units of a decimal text; what is no text stays, to be judged by its field."""
    return parse_micro(value.strip()) if isinstance(value, str) else value


def _latency(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip().startswith(FILE_PREFIX):
        return Latency.parse(value)
    path = value.strip().removeprefix(FILE_PREFIX)
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(LATENCY_FILE_MAX + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text") from error
    if len(text) > LATENCY_FILE_MAX:
        raise ValueError(f"{path} has more than {LATENCY_FILE_MAX} characters")
    return Latency.fit(text.splitlines(), source=path)


def _effects(value: object) -> object:
    return parse_effects(value) if isinstance(value, str) else value


def _interruptions(value: object) -> object:
    return parse_interruptions(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A host to listen on, by name or address, and a port; 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _bind(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    found = _HOST_AND_PORT.fullmatch(value.strip())
    if not found or int(found["port"]) > _PORT_MAX:
        raise ValueError("not HOST:PORT")
    return Bind(host=(found["six"] or found["host"]), port=int(found["port"]))


def _with_scheme(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        if not re.fullmatch(rf"({'|'.join(schemes)})://[^/\s]\S*", url):
            raise ValueError(f"not a {' or '.join(schemes)} URL")
        return url.rstrip("/")

    return AfterValidator(check)


_HOST_AND_PORT = re.compile(r"(\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,5})")
_PORT_MAX = 65_535

Milliseconds = Annotated[int, Field(ge=0, le=7 * 86_400_000)]
Interval = Annotated[int, Field(ge=10, le=7 * 86_400_000)]
Money = Annotated[int, BeforeValidator(as_micro), Field(gt=0, le=10**15)]
Delay = Annotated[InstanceOf[Latency], NoDecode, BeforeValidator(_latency)]
Effects = Annotated[frozenset[Effect], NoDecode, BeforeValidator(_effects)]
Interruptions = Annotated[tuple[InstanceOf[Interruption], ...], NoDecode, BeforeValidator(_interruptions)]
Address = Annotated[str, AfterValidator(normal_address)]
Addresses = Annotated[tuple[Address, ...], NoDecode, BeforeValidator(_words)]
MaybeBind = Annotated[InstanceOf[Bind] | None, NoDecode, BeforeValidator(_bind)]
HttpUrl = Annotated[str, _with_scheme("http", "https")]
WsUrl = Annotated[str, _with_scheme("ws", "wss")]
HttpUrls = Annotated[tuple[HttpUrl, ...], NoDecode, BeforeValidator(_words)]
WsUrls = Annotated[tuple[WsUrl, ...], NoDecode, BeforeValidator(_words)]
