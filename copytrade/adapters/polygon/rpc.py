"""JSON-RPC over HTTP: one or more nodes, the first healthy one serves; foreign errors are translated here, once."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
import msgspec
import structlog
import tenacity

from copytrade.adapters.feeds.retrying import host_of
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 30.0
ATTEMPTS: Final = 4
BACKOFF_FIRST_S: Final = 0.25
BACKOFF_MAX_S: Final = 5.0
REST_AFTER_FAILURE_MS: Final = 10_000
RETRY_AFTER_MAX_MS: Final = 60_000
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
MESSAGE_CHARS_MAX: Final = 300

_RATE_LIMIT_WORDS: Final = ("rate limit", "too many requests", "throttle", "requests per second", "capacity exceeded")
_PRUNED_WORDS: Final = ("pruned", "archive request", "archive node")
_UNKNOWN_WORDS: Final = ("unknown block", "header not found", "block not found", "beyond current head")
_TOO_LARGE_STATUS: Final = 413
_TEMPORARY_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})

_log = structlog.get_logger()


class RpcError(Exception):
    """A call failed; `host` says where (URLs may hold keys and are never shown)."""

    def __init__(self, host: str, text: str) -> None:
        super().__init__(f"{host}: {text}"[:MESSAGE_CHARS_MAX])
        self.host = host


class RpcUnavailable(RpcError):
    """The node cannot be reached, is overloaded, or limits our rate: the same call may work later or elsewhere."""

    def __init__(self, host: str, text: str, *, retry_after_ms: Millis = 0) -> None:
        super().__init__(host, text)
        self.retry_after_ms = min(retry_after_ms, RETRY_AFTER_MAX_MS)


class RpcTimeout(RpcUnavailable):
    """The node took the call and did not answer in time: a smaller one may work."""


class RpcUnusable(RpcError):
    """This node will not serve us until a person acts."""


class NotJson(RpcUnusable):
    """Something that is no JSON-RPC node answered, such as a web page."""


class RpcForbidden(RpcUnusable):
    """The node does not accept our key."""


class WrongChain(RpcUnusable):
    """The node is on another chain."""


class RpcRefused(RpcError):
    """The node answered with an error of its own."""

    def __init__(self, host: str, *, code: int | None, message: str) -> None:
        super().__init__(host, f"error {code}: {message}")
        self.code = code
        self.message = message[:MESSAGE_CHARS_MAX]


class RpcLacking(RpcRefused):
    """The node does not have what is asked for, yet or any more: another node may."""


class RpcPruned(RpcLacking):
    """The node has lost it, or keeps it for those who pay."""


class BadAnswer(RpcError):
    """The node answered something that cannot be true, or has the wrong shape."""


class Endpoint:
    """One node."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.host: Final = host_of(url)
        self._url: Final = url
        self._client: Final = client
        self._last_id = 0

    async def call(self, method: str, params: list[Any]) -> Any:
        """Return the result of one call, sent once.

        :raises RpcError: one of its kinds.
        """
        self._last_id += 1
        request = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        try:
            status, retry_after, body = await self._post(msgspec.json.encode(request))
        except httpx.ReadTimeout:
            raise RpcTimeout(self.host, f"{method} timed out") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RpcUnavailable(self.host, type(error).__name__) from None
        return self._result_of(status, retry_after, body)

    async def _post(self, content: bytes) -> tuple[int, str | None, bytes]:
        headers = {"content-type": "application/json"}
        async with self._client.stream("POST", self._url, content=content, headers=headers) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise RpcRefused(self.host, code=None, message="response size exceeded what we accept")
            return response.status_code, response.headers.get("retry-after"), bytes(body)

    def _result_of(self, status: int, retry_after: str | None, body: bytes) -> Any:
        try:
            answer = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            answer = None
        error = answer.get("error") if isinstance(answer, dict) else None
        if error:
            raise self._refusal(status, retry_after, error)
        if status in _TEMPORARY_STATUSES:
            raise RpcUnavailable(self.host, f"HTTP {status}", retry_after_ms=_retry_after_ms(retry_after))
        if status in {401, 403}:
            raise RpcForbidden(self.host, f"HTTP {status}")
        if status == _TOO_LARGE_STATUS:
            raise RpcRefused(self.host, code=None, message="response too large (HTTP 413)")
        if not isinstance(answer, dict) or "result" not in answer:
            kind = "a web page" if body.lstrip()[:1] == b"<" else "not JSON-RPC"
            raise NotJson(self.host, f"answered {kind} (HTTP {status})")
        return answer["result"]

    def _refusal(self, status: int, retry_after: str | None, error: Any) -> RpcError:
        fields = error if isinstance(error, dict) else {"message": str(error)}
        code, message = fields.get("code"), str(fields.get("message", ""))
        if status in {429, 503} or any(words in message.lower() for words in _RATE_LIMIT_WORDS):
            text = f"limits our rate (HTTP {status}, error {code})"
            return RpcUnavailable(self.host, text, retry_after_ms=_retry_after_ms(retry_after))
        if status in {401, 403}:
            return RpcForbidden(self.host, f"HTTP {status}, error {code}: {message}")
        kinds = (RpcPruned, _PRUNED_WORDS), (RpcLacking, _UNKNOWN_WORDS)
        kind = next((kind for kind, words in kinds if any(word in message.lower() for word in words)), RpcRefused)
        return kind(self.host, code=code if isinstance(code, int) else None, message=message)


class Pool:
    """Several nodes of one chain: calls go to the first that is not resting after a failure."""

    def __init__(
        self, urls: tuple[str, ...], *, clock: Clock, rng: random.Random, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        self._client: Final = httpx.AsyncClient(timeout=timeout, transport=transport)
        self.endpoints: Final = tuple(Endpoint(url, self._client) for url in urls)
        self._clock: Final = clock
        self._rng: Final = rng
        self._resting_until: Final[dict[Endpoint, Millis]] = {}
        self._admitted: Final[set[Endpoint]] = set()
        self._admit: Callable[[Endpoint], Awaitable[None]] | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def are_independent(self, one: frozenset[Endpoint], other: frozenset[Endpoint]) -> bool:
        """Tell whether two answers are two opinions; with a single node, two reads of it must do."""
        return len(self.endpoints) == 1 or one.isdisjoint(other)

    def put_last(self, endpoint: Endpoint, *, for_ms: Millis) -> None:
        """Have other nodes serve for a while, where there are any; this one still gives second opinions."""
        if len(self.endpoints) > 1:
            until_ms = self._clock.monotonic_ms() + for_ms
            self._resting_until[endpoint] = max(until_ms, self._resting_until.get(endpoint, 0))

    def guard(self, admit: Callable[[Endpoint], Awaitable[None]]) -> None:
        """Have `admit` approve each node (or raise) before its first call is served."""
        self._admit = admit

    async def call(self, method: str, params: list[Any]) -> Any:
        """Return the result of a read, as `ask` does."""
        result, _ = await self.ask(method, params)
        return result

    async def ask(
        self, method: str, params: list[Any], *, avoid: frozenset[Endpoint] = frozenset()
    ) -> tuple[Any, Endpoint]:
        """Return the result of a read and who gave it, trying every node and, a few times, again.

        Nodes in `avoid` go last: a second opinion comes from another node where there is one.

        :raises RpcRefused: a node answered with an error; other nodes were not asked, unless it is RpcLacking.
        :raises RpcError: no node could answer.
        """
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_may_be_tried_again),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=self._wait_s,
            sleep=self._sleep_s,
            reraise=True,
        )
        return await retrying(self._round, method, params, avoid)

    async def _round(self, method: str, params: list[Any], avoid: frozenset[Endpoint]) -> tuple[Any, Endpoint]:
        """Ask each node once, the best first."""
        failure: RpcError = RpcUnavailable("(none)", "no node is configured")
        for endpoint in self._in_order(avoid):
            try:
                await self._admit_once(endpoint)
                return await endpoint.call(method, params), endpoint
            except RpcLacking as error:
                failure = error
            except (RpcUnavailable, RpcUnusable) as error:
                failure = error
                self._rest(endpoint, error)
                if isinstance(error, RpcTimeout):
                    break
        raise failure

    async def _admit_once(self, endpoint: Endpoint) -> None:
        if self._admit is not None and endpoint not in self._admitted:
            await self._admit(endpoint)
            self._admitted.add(endpoint)

    def _in_order(self, avoid: frozenset[Endpoint]) -> list[Endpoint]:
        now_ms = self._clock.monotonic_ms()
        return sorted(self.endpoints, key=lambda one: (one in avoid, self._resting_until.get(one, 0) > now_ms))

    def _rest(self, endpoint: Endpoint, error: RpcError) -> None:
        _log.debug("polygon.node_failed", host=endpoint.host, error=type(error).__name__, text=str(error))
        self.put_last(endpoint, for_ms=REST_AFTER_FAILURE_MS)

    def _wait_s(self, state: tenacity.RetryCallState) -> float:
        """Return full jitter below an exponential ceiling, or what the node asked for."""
        ceiling = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**state.attempt_number)
        error = state.outcome.exception() if state.outcome else None
        asked_s = error.retry_after_ms / 1000 if isinstance(error, RpcUnavailable) else 0.0
        return max(asked_s, self._rng.uniform(BACKOFF_FIRST_S, ceiling))

    async def _sleep_s(self, seconds: float) -> None:
        await self._clock.sleep_ms(round(seconds * 1000))


def _may_be_tried_again(error: BaseException) -> bool:
    # A timed-out read is not repeated as it is: the caller may ask for less.
    return isinstance(error, RpcUnavailable) and not isinstance(error, RpcTimeout)


def _retry_after_ms(header: str | None) -> Millis:
    return int(header) * 1000 if header is not None and header.isascii() and header.isdigit() else 0
