"""What the venue says of the account before it may trade."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.domain.units import Usdc


@dataclass(frozen=True, slots=True, kw_only=True)
class Funds:
    """The wallet's collateral, and how much of it each contract of the venue may take, by address in lower case."""

    balance: Usdc
    allowances: Mapping[str, Usdc]


class VenueStanding(Protocol):
    """Each question is asked once, and changes nothing at the venue."""

    async def version(self) -> int:
        """Return the version of orders the venue takes.

        :raises VenueUnavailableError: it does not say.
        """

    async def blocked_in(self) -> str:
        """Return the country from which no order is taken, "" if one may trade from here.

        :raises VenueUnavailableError: it does not say.
        """

    async def funds(self) -> Funds:
        """Return what the venue believes the wallet has, after a look at the chain.

        :raises VenueUnavailableError: it does not say.
        """
