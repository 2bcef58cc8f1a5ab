"""Who else than the registry tells how markets were resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from copytrade.domain.settlement import Resolution


class ResolutionsUnavailableError(Exception):
    """The source cannot be read now; asking again later may work, and misses nothing."""


class ResolutionFeed(Protocol):
    """A record of resolutions that is read on and on."""

    async def resolved(self, condition_ids: Collection[str]) -> tuple[Resolution, ...]:
        """Return the resolutions of these conditions since the last call, oldest first; final ones only.

        :raises ResolutionsUnavailableError: it cannot be read; what was not read is read by the next call.
        """
