"""A key in this process. Signatures are deterministic (RFC 6979): the same order, the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coincurve import PrivateKey

from copytrade.adapters.live.typed_data import (
    CHAIN_ID,
    attestation_digest,
    keccak256,
    nested_digest,
    nested_trailer,
    order_digest,
)
from copytrade.domain.venue_orders import SignatureType
from copytrade.ports.signer import Signer

if TYPE_CHECKING:
    from copytrade.domain.venue_orders import VenueOrder

KEY_BYTES: Final = 32
_V_BASE: Final = 27


class BadKeyError(Exception):
    """What was given is no private key; the text does not repeat it."""


class LocalSigner(Signer):
    """Holds a private key and shows it to nobody."""

    __slots__ = ("_address", "_chain_id", "_key")

    def __init__(self, key: bytes, *, chain_id: int = CHAIN_ID) -> None:
        """Take the 32 bytes of a key, and sign once so that the first order need not wait for tables.

        :raises BadKeyError: they are no key.
        """
        if len(key) != KEY_BYTES:
            raise BadKeyError("a private key has 32 bytes")
        try:
            self._key = PrivateKey(key)
        except ValueError:
            raise BadKeyError("not a private key of this curve") from None
        self._chain_id = chain_id
        self._address = "0x" + keccak256(self._key.public_key.format(compressed=False)[1:])[12:].hex()
        self._sign(bytes(32))

    def __repr__(self) -> str:
        """Say whose key it is."""
        return f"LocalSigner({self._address})"

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to leave this object.

        :raises TypeError: always.
        """
        raise TypeError("a signer cannot be copied or stored")

    @property
    def address(self) -> str:
        return self._address

    async def sign_order(self, order: VenueOrder) -> bytes:
        if order.signature_type is SignatureType.WALLET:
            return self._sign(nested_digest(order, self._chain_id)) + nested_trailer(order, self._chain_id)
        return self._sign(order_digest(order, self._chain_id))

    async def sign_attestation(self, *, timestamp_s: int, nonce: int) -> bytes:
        digest = attestation_digest(
            address=self._address, timestamp_s=timestamp_s, nonce=nonce, chain_id=self._chain_id
        )
        return self._sign(digest)

    def _sign(self, digest: bytes) -> bytes:
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([signature[64] + _V_BASE])
