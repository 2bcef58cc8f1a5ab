"""What runs, and where it keeps what it knows."""

from __future__ import annotations

from typing import Final

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from copytrade.domain.attempts import ExecutionMode
from copytrade.settings.values import Addresses, Bind, BookstoreMode, MaybeBind, TriggerMode

ACCEPTED: Final[dict[str, str]] = {
    "trigger_mode": "data_api, polygon, both, rtds, all",
    "execution_mode": "paper, live",
    "bookstore_mode": "rest, ws, ws+snapshot",
    "database_url": "sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME",
    "leaders": "comma-separated addresses of 0x and 40 hex digits",
    "http_bind": "HOST:PORT, or nothing for no metrics",
}


class RunSettings(BaseSettings):
    """Modes, database and leaders."""

    trigger_mode: TriggerMode = TriggerMode.DATA_API
    execution_mode: ExecutionMode = ExecutionMode.PAPER
    bookstore_mode: BookstoreMode = BookstoreMode.WS_SNAPSHOT
    database_url: SecretStr = SecretStr("sqlite:///copytrade.db")
    leaders: Addresses = ()
    http_bind: MaybeBind = Bind(host="127.0.0.1", port=8080)
