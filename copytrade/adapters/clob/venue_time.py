"""The venue's clock, from `GET /time`: Unix seconds as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

from copytrade.ports.risk import VenueTime, VenueTimeUnavailableError

if TYPE_CHECKING:
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

SECOND_MS: Final[Millis] = 1_000


class ClobTime(VenueTime):
    """Compares our clock before and after a request with the second the venue answered."""

    def __init__(self, *, url: str, http: httpx.AsyncClient, clock: Clock) -> None:
        self._url = f"{url}/time"
        self._http = http
        self._clock = clock

    async def skew_ms(self) -> Millis:
        """See the port: the venue read its clock between our two readings, somewhere in the second it told."""
        asked_ms = self._clock.now_ms()
        try:
            response = await self._http.get(self._url)
            response.raise_for_status()
            second_ms = int(response.text.strip().strip('"')) * SECOND_MS
        except (httpx.HTTPError, ValueError) as error:
            raise VenueTimeUnavailableError(f"{type(error).__name__} from /time") from error
        answered_ms = self._clock.now_ms()
        if answered_ms < second_ms:
            return answered_ms - second_ms
        return max(0, asked_ms - (second_ms + SECOND_MS))
