"""Who is told what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from copytrade.domain.happenings import Happening


class Notifier(Protocol):
    """A listener to what the worker did; told after it is durable."""

    def tell(self, happening: Happening) -> None:
        """Take note of a happening; must not block and must not raise."""
