"""One HTTP request to a way to people, with everything that can go wrong as one error that holds no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx

from copytrade.adapters.notify.alerts import NotDeliveredError

if TYPE_CHECKING:
    from copytrade.domain.units import Millis

TIMEOUT_S: Final = 10.0
AGAIN_SOON_MS: Final[Millis] = 1_000


async def post(http: httpx.AsyncClient, url: str, document: dict[str, Any]) -> httpx.Response:
    """Post a JSON document; the text of an error names the kind of failure, never the URL.

    :raises NotDeliveredError: no answer, or not one of success. Overload and server errors may pass.
    """
    try:
        response = await http.post(url, json=document, timeout=TIMEOUT_S, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotDeliveredError(type(error).__name__, retry_after_ms=AGAIN_SOON_MS) from None
    if response.is_success:
        return response
    may_pass = response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error
    raise NotDeliveredError(
        f"HTTP {response.status_code}", retry_after_ms=_retry_after_ms(response) if may_pass else None
    )


def _retry_after_ms(response: httpx.Response) -> Millis:
    """Return how long to wait: Telegram says it in the body, others in a header, some not at all."""
    said = _said_in_body(response) or response.headers.get("retry-after", "")
    return int(said) * 1_000 if said.isdecimal() else AGAIN_SOON_MS


def _said_in_body(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return ""
    parameters = body.get("parameters") if isinstance(body, dict) else None
    return str(parameters.get("retry_after", "")) if isinstance(parameters, dict) else ""
