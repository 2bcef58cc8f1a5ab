"""The one thing that holds the key: in this process, or in another that judges what it signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from copytrade.domain.venue_orders import VenueOrder


class SigningRefusedError(Exception):
    """The signer will not, or cannot now, sign this; the text holds no secret."""


class Signer(Protocol):
    """Signs orders and requests for API keys, and nothing else: no transfer, no approval, no free digest."""

    @property
    def address(self) -> str:
        """The address of the key, in lower case."""

    async def sign_order(self, order: VenueOrder) -> bytes:
        """Return the signature the venue takes for an order: 65 bytes, or more for a deposit wallet.

        The same order has the same order hash however often it is signed.

        :raises SigningRefusedError: it is not signed.
        """

    async def sign_attestation(self, *, timestamp_s: int, nonce: int) -> bytes:
        """Return the 65 bytes that prove at that time (Unix seconds) whose key this is, to get an API key.

        :raises SigningRefusedError: it is not signed.
        """
