"""The limits in force: what the settings start with, changed by what people have set since."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from copytrade.domain.risk import LimitName, Limits
from copytrade.domain.scopes import EVERYTHING, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from copytrade.domain.risk import LimitChange
    from copytrade.ports.risk import RiskStore


Ceiling: TypeAlias = Callable[[LimitName, int | None], int | None]


def _as_set(_name: LimitName, value: int | None) -> int | None:
    return value


class LimitBook:
    """Limits by name and scope; `changes` has the last change of each that was ever set."""

    def __init__(self, start: Mapping[LimitName, int], store: RiskStore) -> None:
        self._start = {(name, EVERYTHING): value for name, value in start.items()}
        self._store = store
        self._revision = 0
        self._ceiling: Ceiling = _as_set
        self.changes: dict[tuple[LimitName, Scope], LimitChange] = {}
        self.now = Limits(self._start)

    async def refresh(self) -> tuple[LimitChange, ...]:
        """Take what was set since the last time; return it."""
        changes = await self._store.limit_changes(after=self._revision)
        if changes:
            self._take(changes)
        return changes

    def hold(self, limits: Limits) -> None:
        """Let these be in force until the next change, for a drill."""
        self.now = limits

    def bound(self, ceiling: Ceiling) -> None:
        """Let `ceiling` say from now on how much holds of each limit on everything together."""
        self._ceiling = ceiling
        self._put_in_force()

    def start_value(self, name: LimitName, scope: Scope) -> int | None:
        """Return what the settings say, None for no limit; they speak only for everything together."""
        return self._start.get((name, scope))

    def _take(self, changes: Iterable[LimitChange]) -> None:
        for change in changes:
            self.changes[change.name, change.scope] = change
            self._revision = change.revision
        self._put_in_force()

    def _put_in_force(self) -> None:
        values = dict(self._start)
        for key, change in self.changes.items():
            if change.new is None:
                values.pop(key, None)
            else:
                values[key] = change.new
        for name in LimitName:
            allowed = self._ceiling(name, values.get((name, EVERYTHING)))
            if allowed is not None:
                values[name, EVERYTHING] = allowed
        self.now = Limits(values)
