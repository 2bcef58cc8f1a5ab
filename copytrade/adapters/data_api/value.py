"""Data API v2 as `WalletValues`: what the positions of a wallet are worth."""

from __future__ import annotations

from typing import Final

import httpx

from copytrade.adapters.data_api.requests import ApiError, Route
from copytrade.adapters.feeds.trade_fields import AMOUNT_MAX, MalformedError, amount, nearest_micro
from copytrade.domain.units import Usdc
from copytrade.ports.clock import Clock
from copytrade.ports.wallet_values import ValueUnavailableError, WalletValues

VALUES_PER_SECOND: Final = 16
"""The route has no limit of its own; below that of its like, and a fifth of what all of v2 may be asked."""


class DataApiValues(WalletValues):
    """Asks `/v2/value` of one host; `url` is the host, without `/v2`."""

    def __init__(self, *, url: str, http: httpx.AsyncClient, clock: Clock) -> None:
        self._route: Final = Route(url, "/v2/value", per_second=VALUES_PER_SECOND, clock=clock, client=http)

    async def value(self, address: str) -> Usdc | None:
        try:
            row = await self._route.record({"user": address})
            return None if row is None else _value_of(row, address)
        except ApiError as error:
            raise ValueUnavailableError(str(error)) from None
        except MalformedError as error:
            raise ValueUnavailableError(f"{self._route.host}: value: {error}") from None


def _value_of(row: object, address: str) -> Usdc:
    """Return the value in a row.

    :raises MalformedError: another wallet, or no amount.
    """
    if not isinstance(row, dict):
        raise MalformedError("not-an-object")
    if str(row.get("user", row.get("proxy_wallet", ""))).lower() != address:
        raise MalformedError("another-wallet")
    return nearest_micro(amount(row.get("value"), "value", AMOUNT_MAX))
