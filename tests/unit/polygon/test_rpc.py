"""One call to a node: every way to fail has one name, nothing shows a key, reads are repeated within bounds."""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest

from copytrade.adapters.polygon import rpc
from tests.virtual_time import VirtualClock, run_virtual

KEY = "secret-key"
URL = f"https://node.test/v2/{KEY}?apikey={KEY}"


def ask(*answers: Any, urls: tuple[str, ...] = (URL,)) -> tuple[Any, list[str]]:
    """Call once through a pool; return the result or the error, and the hosts asked. The last answer repeats."""
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        answer = answers[min(len(asked), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    async def main() -> Any:
        transport = httpx.MockTransport(respond)
        pool = rpc.Pool(urls, clock=VirtualClock(), rng=random.Random(1), transport=transport)
        try:
            return await pool.call("eth_blockNumber", [])
        except rpc.RpcError as error:
            return error
        finally:
            await pool.close()

    return run_virtual(main, epoch_ms=0), asked


def error_answer(code: int, message: str, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json={"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}})


FINE = httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": "0x10"})

CORPUS: list[tuple[Any, type[rpc.RpcError]]] = [
    (httpx.ConnectError("refused"), rpc.RpcUnavailable),
    (httpx.ReadTimeout("slow"), rpc.RpcTimeout),
    (httpx.RemoteProtocolError("gone"), rpc.RpcUnavailable),
    (httpx.Response(502, text="<html>"), rpc.RpcUnavailable),
    (httpx.Response(503, text=""), rpc.RpcUnavailable),
    (httpx.Response(429, text="slow down"), rpc.RpcUnavailable),
    (httpx.Response(524, text="<html>"), rpc.RpcUnavailable),
    (error_answer(-32005, "rate limit exceeded", 200), rpc.RpcUnavailable),
    (error_answer(-32097, "Too Many Requests", 429), rpc.RpcUnavailable),
    (error_answer(-32000, "your app has exceeded its compute units per second capacity exceeded"), rpc.RpcUnavailable),
    (error_answer(-32000, "API key disabled, reason: tenant disabled", 401), rpc.RpcForbidden),
    (httpx.Response(403, text="<html>forbidden"), rpc.RpcForbidden),
    (error_answer(-32600, "up to a 10 block range", 400), rpc.RpcRefused),
    (error_answer(35, "ranges over 10000 blocks are not supported on free plan", 400), rpc.RpcRefused),
    (error_answer(-32614, "eth_getLogs is limited to a 10,000 range", 413), rpc.RpcRefused),
    (error_answer(-32000, "unknown block"), rpc.RpcLacking),
    (error_answer(-32000, "History has been pruned for this block"), rpc.RpcPruned),
    (error_answer(-32602, "Archive requests require a personal token."), rpc.RpcPruned),
    (httpx.Response(200, json={"error": "plain words"}), rpc.RpcRefused),
    (httpx.Response(200, text="<!doctype html>"), rpc.NotJson),
    (httpx.Response(200, text=""), rpc.NotJson),
    (httpx.Response(204), rpc.NotJson),
    (httpx.Response(404, text="not found"), rpc.NotJson),
    (httpx.Response(200, text="[]"), rpc.NotJson),
    (httpx.Response(200, text='{"jsonrpc":"2.0","id":1}'), rpc.NotJson),
    (httpx.Response(200, content=b'{"result": "\xff"}'), rpc.NotJson),
    (httpx.Response(200, text="[" * 100_000), rpc.NotJson),
    (httpx.Response(200, text='{"result": 1'), rpc.NotJson),
]


@pytest.mark.parametrize(("answer", "kind"), CORPUS)
def test_every_failure_has_one_name_and_shows_only_the_host(answer, kind):
    error, _ = ask(answer)

    assert type(error) is kind
    assert str(error).startswith("node.test: ")
    assert KEY not in str(error)
    assert len(str(error)) <= rpc.MESSAGE_CHARS_MAX


def test_a_read_is_repeated_until_it_works():
    result, asked = ask(httpx.ConnectError("refused"), httpx.Response(503), FINE)

    assert (result, len(asked)) == ("0x10", 3)


def test_a_read_is_not_repeated_for_ever():
    error, asked = ask(httpx.ConnectError("refused"))

    assert isinstance(error, rpc.RpcUnavailable)
    assert len(asked) == rpc.ATTEMPTS


@pytest.mark.parametrize("answer", [error_answer(-32000, "unknown block"), httpx.ReadTimeout("slow")])
def test_what_repeating_cannot_help_is_asked_once(answer):
    assert len(ask(answer)[1]) == 1


def test_the_first_healthy_node_serves():
    urls = ("https://a.test", "https://b.test")

    result, asked = ask(httpx.Response(200, text="<html>"), FINE, urls=urls)

    assert (result, asked) == ("0x10", ["a.test", "b.test"])


@pytest.mark.parametrize("text", ["unknown block", "history has been pruned"])
def test_what_one_node_lacks_is_asked_of_the_other(text):
    urls = ("https://a.test", "https://b.test")

    assert ask(error_answer(-32000, text), FINE, urls=urls) == ("0x10", ["a.test", "b.test"])
    error, asked = ask(error_answer(-32000, text), error_answer(-32000, text), urls=urls)
    assert (isinstance(error, rpc.RpcLacking), asked) == (True, ["a.test", "b.test"])


def test_a_node_that_failed_rests():
    urls = ("https://a.test", "https://b.test")
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return FINE if request.url.host == "b.test" else httpx.Response(502)

    async def main() -> None:
        clock = VirtualClock()
        pool = rpc.Pool(urls, clock=clock, rng=random.Random(1), transport=httpx.MockTransport(respond))
        await pool.call("eth_blockNumber", [])
        await pool.call("eth_blockNumber", [])
        await clock.sleep_ms(rpc.REST_AFTER_FAILURE_MS)
        await pool.call("eth_blockNumber", [])
        await pool.close()

    run_virtual(main, epoch_ms=0)

    assert asked == ["a.test", "b.test", "b.test", "a.test", "b.test"]


def test_a_second_opinion_comes_from_another_node():
    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"result": request.url.host})

    async def main() -> list[Any]:
        urls = ("https://a.test", "https://b.test")
        pool = rpc.Pool(urls, clock=VirtualClock(), rng=random.Random(1), transport=httpx.MockTransport(respond))
        first, served_by = await pool.ask("x", [])
        second, _ = await pool.ask("x", [], avoid=frozenset({served_by}))
        await pool.close()
        return [first, second]

    assert run_virtual(main, epoch_ms=0) == ["a.test", "b.test"]


@pytest.mark.parametrize(("header", "least_ms"), [("3", 3_000), ("86400", rpc.RETRY_AFTER_MAX_MS), ("soon", 0)])
def test_a_rate_limit_is_respected_within_a_bound(header, least_ms):
    waited: list[int] = []

    class NotingClock(VirtualClock):
        async def sleep_ms(self, duration_ms: int) -> None:
            waited.append(duration_ms)

    answers = iter([httpx.Response(429, headers={"retry-after": header}), FINE])

    def respond(request: httpx.Request) -> httpx.Response:
        return next(answers)

    async def main() -> None:
        pool = rpc.Pool((URL,), clock=NotingClock(), rng=random.Random(1), transport=httpx.MockTransport(respond))
        await pool.call("x", [])
        await pool.close()

    run_virtual(main, epoch_ms=0)

    assert max(least_ms, 250) <= waited[0] <= max(least_ms, 5_000)


def test_an_answer_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(rpc, "ANSWER_BYTES_MAX", 1_000)

    error, _ = ask(httpx.Response(200, content=b"x" * 5_000))

    assert isinstance(error, rpc.RpcRefused)
    assert "response size" in error.message
