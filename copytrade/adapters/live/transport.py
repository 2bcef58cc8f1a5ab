"""Private requests to the CLOB: signed, paced, and with one meaning for everything that can go wrong."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec
import structlog

from copytrade.adapters.live.credentials import (
    ApiKey,
    BadCredentialsError,
    key_request_headers,
    read_api_key,
    request_headers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from copytrade.domain.redaction import Redaction
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock
    from copytrade.ports.signer import Signer

ANSWER_BYTES_MAX: Final = 16 * 2**20
TEXT_CHARS_MAX: Final = 300
COMPLAINTS: Final = ("error", "error_msg", "errorMsg")
"""What the venue calls its complaint, in the order in which it is looked for."""
TIMEOUT: Final = httpx.Timeout(10.0, connect=3.0, pool=1.0)
_UNAUTHORIZED: Final = 401
_BAD_REQUEST: Final = 400

_log = structlog.get_logger()


class NeverLeft(Exception):
    """No connection was made: the venue cannot have got the request. The text names no secret."""


class NoAnswer(Exception):
    """The request may have arrived. The text names no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the venue said: `body` is decoded JSON, None for anything else; `took_ms` from first byte to last."""

    status: int
    body: Any
    is_json: bool
    retry_after_ms: Millis | None
    took_ms: Millis
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        """The venue's complaint, shortened; "" where there is none."""
        if not isinstance(self.body, dict):
            return ""
        said = next((self.body[name] for name in COMPLAINTS if self.body.get(name)), "")
        return str(said)[:TEXT_CHARS_MAX]


class Transport:
    """One account's way to the CLOB. Its API key is made or derived on first use, and once more when it is refused."""

    def __init__(
        self, *, url: str, http: httpx.AsyncClient, signer: Signer, clock: Clock, redaction: Redaction
    ) -> None:
        """Prepare; `redaction` learns the API key, and no complaint of the venue repeats a secret."""
        self._url = url
        self._http = http
        self._signer = signer
        self._clock = clock
        self._redaction = redaction
        self._api_key: ApiKey | None = None
        self._renewing = asyncio.Lock()

    async def api_key(self) -> ApiKey:
        """Return the account's API key.

        :raises NeverLeft, NoAnswer: the venue could not be asked.
        :raises BadCredentialsError: it gave none.
        :raises SigningRefusedError: the signer will not ask for one.
        """
        if self._api_key is None:
            await self._renew(None)
        if self._api_key is None:
            raise BadCredentialsError("no API key")
        return self._api_key

    async def call(
        self, method: str, path: str, *, query: str = "", body: Callable[[str], bytes] | None = None
    ) -> Answer:
        """Send a private request, once more with a new API key if the first is refused.

        `body` makes the content from the API key's name; it is sent exactly as it is made.

        :raises NeverLeft: it provably did not arrive.
        :raises NoAnswer: nobody knows.
        :raises BadCredentialsError: there is no API key.
        :raises SigningRefusedError: nor may one be asked for.
        """
        api_key = await self.api_key()
        answer = await self._send_with(api_key, method, path, query=query, body=body)
        if answer.status != _UNAUTHORIZED:
            return answer
        await self._renew(api_key)
        return await self._send_with(await self.api_key(), method, path, query=query, body=body)

    async def _send_with(
        self, api_key: ApiKey, method: str, path: str, *, query: str, body: Callable[[str], bytes] | None
    ) -> Answer:
        content = b"" if body is None else body(api_key.key)
        headers = request_headers(
            api_key,
            address=self._signer.address,
            method=method,
            path=path,
            body=content,
            timestamp_s=self._clock.now_ms() // 1_000,
        )
        return await self._send(method, path, query=query, content=content, headers=headers)

    async def _renew(self, refused: ApiKey | None) -> None:
        """Get an API key, unless somebody else has meanwhile: make it, or derive the one that exists."""
        async with self._renewing:
            if self._api_key is not refused:
                return
            routes = [("POST", "/auth/api-key"), ("GET", "/auth/derive-api-key")]
            answer = None
            for method, path in routes if refused is None else reversed(routes):
                headers = await key_request_headers(self._signer, timestamp_s=self._clock.now_ms() // 1_000)
                answer = await self._send(method, path, headers=headers)
                if answer.status != _BAD_REQUEST:
                    break
            if answer is None or answer.status >= _BAD_REQUEST:
                status = answer.status if answer is not None else 0
                raise BadCredentialsError(f"the venue gives us no API key (HTTP {status})")
            self._api_key = read_api_key(answer.body)
            self._redaction.learn(*self._api_key.parts, passing=True)
            _log.info("live.api_key", address=self._signer.address, renewed=refused is not None)

    async def _send(
        self, method: str, path: str, *, query: str = "", content: bytes = b"", headers: Mapping[str, str]
    ) -> Answer:
        url = f"{self._url}{path}{query}"
        given = {**headers, "Content-Type": "application/json"} if content else dict(headers)
        started_ms = self._clock.monotonic_ms()
        try:
            answer = await self._http.request(method, url, content=content, headers=given, timeout=TIMEOUT)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NeverLeft(f"{method} {path}: {type(error).__name__}") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswer(f"{method} {path}: {type(error).__name__}") from None
        return self._read(answer, took_ms=self._clock.monotonic_ms() - started_ms)

    def _read(self, answer: httpx.Response, *, took_ms: Millis) -> Answer:
        try:
            body, is_json = msgspec.json.decode(answer.content), len(answer.content) <= ANSWER_BYTES_MAX
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            body, is_json = None, False
        said = body.keys() & set(COMPLAINTS) if isinstance(body, dict) else ()
        for name in said:
            body[name] = self._redaction.text(str(body[name] or ""))
        return Answer(
            status=answer.status_code,
            body=body,
            is_json=is_json,
            retry_after_ms=_retry_after_ms(answer.headers, body),
            took_ms=took_ms,
            headers=answer.headers,
        )


def _retry_after_ms(headers: Mapping[str, str], body: Any) -> Millis | None:
    told = body.get("retry_after_seconds") if isinstance(body, dict) else None
    text = str(headers.get("retry-after") or told or "")
    return int(text) * 1_000 if text.isascii() and text.isdigit() and len(text) <= 6 else None
