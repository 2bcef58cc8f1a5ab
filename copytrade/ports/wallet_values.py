"""What a wallet is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from copytrade.domain.units import Usdc


class ValueUnavailableError(Exception):
    """The source did not answer, or not in a way that is understood; the same question may work later."""


class WalletValues(Protocol):
    """The venue's own account of what the positions of a wallet are worth now; its cash is not among them."""

    async def value(self, address: str) -> Usdc | None:
        """Return the value, None if the venue knows nothing of the wallet.

        :raises ValueUnavailableError: no answer that can be used.
        """
