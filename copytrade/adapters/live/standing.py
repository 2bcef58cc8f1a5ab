"""Version, place, balance and allowances, from the CLOB and the venue's own site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec

from copytrade.adapters.live.credentials import BadCredentialsError
from copytrade.adapters.live.transport import NeverLeft, NoAnswer
from copytrade.ports.signer import SigningRefusedError
from copytrade.ports.venue_account import VenueUnavailableError
from copytrade.ports.venue_standing import Funds, VenueStanding

if TYPE_CHECKING:
    from collections.abc import Collection

    from copytrade.adapters.live.transport import Transport
    from copytrade.domain.venue_orders import SignatureType

NEG_RISK_ADAPTER: Final = "0xd91e80cf2e7be2e162c6513ced06f1dd0da35296"
"""The venue still wants it approved by whoever buys in a neg-risk market."""
ANSWER_BYTES_MAX: Final = 64 * 1024


class ClobStanding(VenueStanding):
    """One account at the CLOB; `exchanges` are the contracts that must be allowed to take its collateral."""

    def __init__(
        self,
        *,
        clob_url: str,
        geoblock_url: str,
        http: httpx.AsyncClient,
        transport: Transport,
        signature_type: SignatureType,
        exchanges: Collection[str],
    ) -> None:
        self._clob_url = clob_url
        self._geoblock_url = geoblock_url
        self._http = http
        self._transport = transport
        self._signature_type = signature_type
        self._spenders = tuple(sorted({*exchanges, NEG_RISK_ADAPTER}))

    async def version(self) -> int:
        answer = await self._public(f"{self._clob_url}/version")
        version = answer.get("version")
        if not isinstance(version, int) or isinstance(version, bool):
            raise VenueUnavailableError("/version is no number")
        return version

    async def blocked_in(self) -> str:
        answer = await self._public(self._geoblock_url)
        if not isinstance(answer.get("blocked"), bool):
            raise VenueUnavailableError("the geoblock answer says neither yes nor no")
        return str(answer.get("country") or "an unnamed country")[:60] if answer["blocked"] else ""

    async def funds(self) -> Funds:
        query = f"?asset_type=COLLATERAL&signature_type={int(self._signature_type)}"
        await self._private("/balance-allowance/update", query)
        answer = await self._private("/balance-allowance", query)
        try:
            told = {str(spender).lower(): int(amount) for spender, amount in answer["allowances"].items()}
            balance = int(answer["balance"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise VenueUnavailableError("a balance that cannot be read") from None
        return Funds(balance=balance, allowances={spender: told.get(spender, 0) for spender in self._spenders})

    async def _private(self, path: str, query: str) -> Any:
        try:
            answer = await self._transport.call("GET", path, query=query)
        except (NeverLeft, NoAnswer, BadCredentialsError, SigningRefusedError) as error:
            raise VenueUnavailableError(str(error)) from None
        if answer.status != httpx.codes.OK:
            raise VenueUnavailableError(f"GET {path}: HTTP {answer.status} {answer.text}".strip())
        return answer.body

    async def _public(self, url: str) -> dict[str, Any]:
        path = httpx.URL(url).path
        try:
            answer = await self._http.get(url)
        except httpx.HTTPError as error:
            raise VenueUnavailableError(f"{path}: {type(error).__name__}") from None
        if answer.status_code != httpx.codes.OK:
            raise VenueUnavailableError(f"{path}: HTTP {answer.status_code}")
        try:
            body = msgspec.json.decode(answer.content[:ANSWER_BYTES_MAX])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise VenueUnavailableError(f"{path}: not JSON") from None
        if not isinstance(body, dict):
            raise VenueUnavailableError(f"{path}: not an object")
        return body
