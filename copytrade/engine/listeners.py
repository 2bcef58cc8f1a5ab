"""Everybody who wants to be told what happened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from copytrade.domain.happenings import Noted
from copytrade.ports.notifier import Notifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from copytrade.domain.happenings import Happening


class Listeners(Notifier):
    """Tells each listener, in the order they were added, without what `redact` takes out of the detail of notes."""

    def __init__(self, *, redact: Callable[[Mapping[str, object]], Mapping[str, object]] = dict) -> None:
        self._redact = redact
        self._notifiers: list[Notifier] = []

    def add(self, *notifiers: Notifier) -> None:
        """Tell these too from now on."""
        self._notifiers.extend(notifiers)

    def tell(self, happening: Happening) -> None:
        """Tell each."""
        if isinstance(happening, Noted):
            happening = replace(happening, detail=self._redact(happening.detail))
        for notifier in self._notifiers:
            notifier.tell(happening)
