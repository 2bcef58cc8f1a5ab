"""Where the metrics are served: where the operator says, and never in the way of a worker that nobody asked to."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from copytrade import app
from copytrade.app.metrics import standing
from copytrade.domain.gates import GateName, GateState, Reading
from copytrade.domain.halts import BY_OPERATOR, HaltLevel, new_halt
from copytrade.settings import ConfigurationError, Settings, load


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*os.environ]:
        if name.lower() in Settings.model_fields:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


async def get(url: str, path: str) -> tuple[int, str]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), body


async def test_metrics_are_served_at_once_and_health_says_it_is_only_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_BIND", "127.0.0.1:0")
    said: list[str] = []

    async with app.open_observatory(load(), warn=said.append) as observatory:
        assert observatory is not None
        metrics = await get(observatory.url, "/metrics")
        health = await get(observatory.url, "/healthz")

    assert metrics[0] == 200
    assert "copytrade_build_info" in metrics[1]
    assert (health[0], json.loads(health[1])) == (503, {"status": "starting"})
    assert said == []


async def test_an_empty_address_serves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_BIND", "")

    async with app.open_observatory(load(), warn=pytest.fail) as observatory:
        assert observatory is None


async def test_an_address_that_was_chosen_and_is_taken_is_an_error(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setenv("HTTP_BIND", f"127.0.0.1:{taken}")

    with pytest.raises(ConfigurationError, match=rf"HTTP_BIND is '127\.0\.0\.1:{taken}'.*in use"):
        async with app.open_observatory(load(), warn=pytest.fail):
            pass


async def test_an_address_that_nobody_chose_and_is_taken_is_gone_without(taken: int) -> None:
    default = load().model_copy(update={"http_bind": load().http_bind.__class__(host="127.0.0.1", port=taken)})
    default.model_fields_set.discard("http_bind")
    said: list[str] = []

    async with app.open_observatory(default, warn=said.append) as observatory:
        assert observatory is None

    assert "going on without metrics" in said[0]


async def test_an_address_that_others_can_reach_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_BIND", "0.0.0.0:0")
    said: list[Any] = []

    async with app.open_observatory(load(), warn=said.append) as observatory:
        assert observatory is not None

    assert "whoever can reach that port" in said[0]


def test_health_says_what_stops_orders_and_since_when() -> None:
    closed = GateState(
        name=GateName.BOOKS, reading=Reading(is_healthy=False, value="no book", limit="5000 ms"), since_ms=1_000
    )
    healthy = GateState(
        name=GateName.DATABASE, reading=Reading(is_healthy=True, value="1 ms", limit="1000 ms"), since_ms=1_000
    )
    halt = new_halt(BY_OPERATOR, level=HaltLevel.ALL, why="looks odd", by="me@here", now_ms=2_000)

    assert standing([], [healthy]) == {"status": "ok", "halts": [], "closed_gates": []}
    assert standing([], [closed, healthy])["status"] == "entries refused"
    assert standing([halt], [closed, healthy]) == {
        "status": "halted",
        "halts": [{"level": "all", "cause": "operator", "why": "looks odd", "since": "1970-01-01T00:00:02.000Z"}],
        "closed_gates": [
            {"gate": "BOOKS", "value": "no book", "limit": "5000 ms", "since": "1970-01-01T00:00:01.000Z"}
        ],
    }
