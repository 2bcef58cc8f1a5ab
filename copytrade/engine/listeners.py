"""Everybody who wants to be told what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copytrade.ports.notifier import Notifier

if TYPE_CHECKING:
    from copytrade.domain.happenings import Happening


class Listeners(Notifier):
    """Tells each listener, in the order they were added."""

    def __init__(self) -> None:
        self._notifiers: list[Notifier] = []

    def add(self, *notifiers: Notifier) -> None:
        """Tell these too from now on."""
        self._notifiers.extend(notifiers)

    def tell(self, happening: Happening) -> None:
        """Tell each."""
        for notifier in self._notifiers:
            notifier.tell(happening)
