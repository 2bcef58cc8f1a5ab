"""A small server that answers what it knows, and only to those who call it by a name of this machine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from copytrade.adapters.http import server as module
from copytrade.adapters.http.server import Answer, CannotBindError, HttpServer, is_ours

ROUTES = {"/metrics": lambda: Answer(body=b"copytrade_up 1\n"), "/empty": lambda: Answer(body=b"", status=503)}


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    server = HttpServer(ROUTES, host="127.0.0.1")
    port = await server.start(0)
    try:
        yield port
    finally:
        await server.stop()


async def answer(port: int, request: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return (int(head.split()[1]) if head else 0), body


def a_request(path: str = "/metrics", *, method: str = "GET", host: str = "localhost") -> str:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"


@pytest.mark.parametrize(
    ("request_text", "status", "body"),
    [
        (a_request(), 200, "copytrade_up 1\n"),
        (a_request("/metrics?name[]=x"), 200, "copytrade_up 1\n"),
        (a_request(method="HEAD"), 200, ""),
        (a_request("/empty"), 503, ""),
        (a_request("/"), 404, "nothing here; there is /empty /metrics\n"),
        (a_request(method="POST"), 405, "only GET and HEAD\n"),
        (a_request(host="evil.example"), 421, "this server does not go by that name\n"),
        (a_request(host="evil.example:8080"), 421, "this server does not go by that name\n"),
    ],
)
async def test_each_request_gets_its_answer(request_text: str, status: int, body: str) -> None:
    async with serving() as port:
        assert await answer(port, request_text) == (status, body)


@pytest.mark.parametrize("nonsense", ["\x16\x03\x01 hello\r\n\r\n", f"GET /{'x' * 20_000} HTTP/1.1\r\n\r\n"])
async def test_nonsense_is_refused_and_the_next_request_is_answered(nonsense: str) -> None:
    async with serving() as port:
        status, _ = await answer(port, nonsense)
        assert 400 <= status < 500
        assert (await answer(port, a_request()))[0] == 200


async def test_a_caller_who_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.05)
    async with serving() as port:
        assert await answer(port, "GET /metrics HTTP/1.1\r\n") == (0, "")


async def test_beyond_so_many_connections_further_ones_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECTIONS_MAX", 1)
    async with serving() as port:
        _, idle = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.05)
        assert await answer(port, "") == (0, "")
        idle.close()
        await idle.wait_closed()


async def test_a_port_that_is_taken_or_an_address_that_is_not_ours_cannot_be_bound() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(CannotBindError, match="in use"):
            await HttpServer(ROUTES, host="127.0.0.1").start(other.getsockname()[1])
    with pytest.raises(CannotBindError):
        await HttpServer(ROUTES, host="192.0.2.7").start(0)


@pytest.mark.parametrize(
    ("named", "is_accepted"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:8080", True),
        ("[::1]:8080", True),
        ("[::1]", True),
        ("192.168.1.7", True),
        ("worker:8080", True),
        ("worker.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:80", False),
        ("", False),
    ],
)
def test_names_that_others_could_point_here_are_refused(named: str, is_accepted: bool) -> None:
    assert is_ours(named, "worker") is is_accepted
