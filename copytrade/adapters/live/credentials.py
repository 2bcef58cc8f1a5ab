"""What proves to the venue who asks: a wallet's signature once (L1), an HMAC in every request after it (L2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from copytrade.adapters.live.typed_data import checksummed

if TYPE_CHECKING:
    from copytrade.ports.signer import Signer


class BadCredentialsError(Exception):
    """The venue answered a request for an API key with something that is none; the text repeats nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ApiKey:
    """An API key with what proves it; shows none of it."""

    key: str
    passphrase: str
    secret: bytes = field(compare=False)
    encoded_secret: str

    @property
    def parts(self) -> tuple[str | bytes, ...]:
        """All that proves it, and its name: none of it may be told."""
        return (self.key, self.passphrase, self.encoded_secret, self.secret)

    def __repr__(self) -> str:
        """Show nothing."""
        return "ApiKey(***)"


def read_api_key(answer: Any) -> ApiKey:
    """Read the venue's answer.

    :raises BadCredentialsError: it is no key.
    """
    try:
        key, secret, passphrase = (answer[name] for name in ("apiKey", "secret", "passphrase"))
        if not all(isinstance(part, str) and part for part in (key, secret, passphrase)):
            raise BadCredentialsError("the venue's API key lacks a part")
        raw = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    except (KeyError, TypeError, binascii.Error, ValueError):
        raise BadCredentialsError("the venue's answer is no API key") from None
    return ApiKey(key=key, secret=raw, passphrase=passphrase, encoded_secret=secret)


async def key_request_headers(signer: Signer, *, timestamp_s: int, nonce: int = 0) -> dict[str, str]:
    """Return the headers that ask for an API key.

    :raises SigningRefusedError: the signer will not.
    """
    signature = await signer.sign_attestation(timestamp_s=timestamp_s, nonce=nonce)
    return {
        "POLY_ADDRESS": checksummed(signer.address),
        "POLY_NONCE": str(nonce),
        "POLY_SIGNATURE": f"0x{signature.hex()}",
        "POLY_TIMESTAMP": str(timestamp_s),
    }


def request_headers(
    api_key: ApiKey, *, address: str, method: str, path: str, body: bytes, timestamp_s: int
) -> dict[str, str]:
    """Return the headers of a private request; `path` without its query, `body` exactly as it is sent."""
    message = f"{timestamp_s}{method}{path}".encode() + body
    digest = hmac.new(api_key.secret, message, hashlib.sha256).digest()
    return {
        "POLY_ADDRESS": checksummed(address),
        "POLY_API_KEY": api_key.key,
        "POLY_PASSPHRASE": api_key.passphrase,
        "POLY_SIGNATURE": base64.urlsafe_b64encode(digest).decode(),
        "POLY_TIMESTAMP": str(timestamp_s),
    }
