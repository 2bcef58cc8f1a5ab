"""API keys: asked for with a wallet's signature (L1), used with an HMAC in each request (L2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from copytrade.sandbox import digest
from copytrade.sandbox.http_message import BadRequestError, Request
from copytrade.sandbox.trading.recovery import recover_address
from copytrade.sandbox.trading.typed_data import attestation_digest

TIMESTAMP_WINDOW_S = 30
"""How far the clock in a request's headers may be off."""
UNAUTHORIZED = "Unauthorized/Invalid api key"
BAD_ATTESTATION = "Invalid L1 Request headers"

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_DIGITS = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key and what proves it, of an address in lower case; the secret is URL-safe base64."""

    key: str
    secret: str
    passphrase: str
    address: str
    nonce: int

    def __repr__(self) -> str:
        """Leave the secrets out."""
        return f"ApiKey({self.key})"


class KeyRing:
    """Every API key. The same seed, address and nonce give the same key, whenever the sandbox runs."""

    def __init__(self, *, seed: int) -> None:
        """Start with no key."""
        self._seed = seed
        self._by_key: dict[str, ApiKey] = {}
        self._by_nonce: dict[tuple[str, int], ApiKey] = {}
        self._generation: dict[tuple[str, int], int] = {}

    def create(self, request: Request, *, now_ms: int) -> ApiKey:
        """Make the key of an address and a nonce; raises BadRequestError, also when it exists."""
        address, nonce = read_attestation(request, now_ms=now_ms)
        if (address, nonce) in self._by_nonce:
            raise BadRequestError({"error": "Could not create api key"})
        return self._make(address, nonce)

    def derive(self, request: Request, *, now_ms: int) -> ApiKey:
        """Return the key of an address and a nonce again, a new one in place of a revoked one.

        Raises BadRequestError when there was none.
        """
        address, nonce = read_attestation(request, now_ms=now_ms)
        known = self._by_nonce.get((address, nonce))
        if known is None:
            raise BadRequestError({"error": "Could not derive api key!"})
        return known if known.key in self._by_key else self._make(address, nonce)

    def authorize(self, request: Request, *, now_ms: int) -> ApiKey:
        """Return the key a request proves to hold; raises BadRequestError with status 401."""
        headers = request.headers
        api_key = self._by_key.get(headers.get("poly_api_key", ""))
        if api_key is None or not _is_proved(request, api_key) or not _is_timely(headers, now_ms):
            raise BadRequestError({"error": UNAUTHORIZED}, status=401)
        return api_key

    def admits(self, *, key: object, secret: object, passphrase: object) -> ApiKey | None:
        """Return the key that plain credentials name, as the user socket takes them; None for wrong ones."""
        api_key = self._by_key.get(str(key))
        if api_key is None or (api_key.secret, api_key.passphrase) != (secret, passphrase):
            return None
        return api_key

    def of_address(self, address: str) -> list[str]:
        """Return the keys of an address."""
        return [api_key.key for api_key in self._by_key.values() if api_key.address == address]

    def delete(self, api_key: ApiKey) -> None:
        """Forget a key for good; its nonce can be used again."""
        self._by_key.pop(api_key.key, None)
        self._by_nonce.pop((api_key.address, api_key.nonce), None)

    def revoke(self, *, address: str | None) -> list[str]:
        """Let the keys of an address, or all, be good for nothing until they are derived again."""
        gone = [key for key, one in self._by_key.items() if address in (None, one.address)]
        for key in gone:
            del self._by_key[key]
        return gone

    def _make(self, address: str, nonce: int) -> ApiKey:
        generation = self._generation.get((address, nonce), 0)
        self._generation[address, nonce] = generation + 1
        parts = (self._seed, address, nonce, generation)
        api_key = ApiKey(
            key=str(uuid.UUID(bytes=digest.derive("key", *parts)[:16], version=4)),
            secret=base64.urlsafe_b64encode(digest.derive("secret", *parts)).decode(),
            passphrase=digest.derive("passphrase", *parts).hex(),
            address=address,
            nonce=nonce,
        )
        self._by_key[api_key.key] = self._by_nonce[address, nonce] = api_key
        return api_key


def read_attestation(request: Request, *, now_ms: int) -> tuple[str, int]:
    """Return the address (lower case) and nonce whose holder signed; raises BadRequestError with status 401."""
    headers = request.headers
    address, nonce = headers.get("poly_address", ""), headers.get("poly_nonce", "0")
    signature = headers.get("poly_signature", "")
    well_formed = _ADDRESS.fullmatch(address) and _DIGITS.fullmatch(nonce) and _is_timely(headers, now_ms)
    if not well_formed or not re.fullmatch(r"0x[0-9a-fA-F]{130}", signature):
        raise BadRequestError({"error": BAD_ATTESTATION}, status=401)
    signed = attestation_digest(address=address, timestamp=headers["poly_timestamp"], nonce=int(nonce))
    if recover_address(signed, bytes.fromhex(signature[2:])) != address.lower():
        raise BadRequestError({"error": BAD_ATTESTATION}, status=401)
    return address.lower(), int(nonce)


def request_signature(*, secret: str, timestamp: str, method: str, path: str, body: str) -> str:
    """Return the HMAC of a request; `path` without its query, `body` exactly as sent."""
    message = f"{timestamp}{method}{path}{body}"
    key = base64.urlsafe_b64decode(secret)
    return base64.urlsafe_b64encode(hmac.new(key, message.encode(), hashlib.sha256).digest()).decode()


def _is_proved(request: Request, api_key: ApiKey) -> bool:
    headers = request.headers
    if headers.get("poly_passphrase") != api_key.passphrase:
        return False
    if headers.get("poly_address", "").lower() != api_key.address:
        return False
    expected = request_signature(
        secret=api_key.secret,
        timestamp=headers.get("poly_timestamp", ""),
        method=request.method,
        path=request.path,
        body=request.body.decode(errors="replace"),
    )
    return _decoded(headers.get("poly_signature", "")) == _decoded(expected)


def _decoded(signature: str) -> bytes | None:
    try:
        return base64.b64decode(signature, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def _is_timely(headers: Mapping[str, str], now_ms: int) -> bool:
    text = headers.get("poly_timestamp", "")
    if not _DIGITS.fullmatch(text):
        return False
    return abs(int(text) - now_ms // 1_000) <= TIMESTAMP_WINDOW_S
