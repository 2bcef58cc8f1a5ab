"""Which rows of the live stream are one fill.

The stream names no log. A taker's fill comes on both topics, any fill may come once on each of two connections
that overlap, and one settlement may hold fills that look exactly alike. So the n-th of equal rows on `trades` of
one connection is the fill numbered n, on whichever connection; a row of `orders_matched`, which tells each
settlement once, is always the first one that looks like it.

What this cannot tell: a message sent twice over one connection looks like a second fill, and is taken for one
on `trades`; it is never confirmed by the chain. On `orders_matched` it is ignored. Of two equal fills
of a taker that only `orders_matched` reports, the second waits for another source.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Final

from copytrade.adapters.rtds.decode import ActivityRow, Topic

if TYPE_CHECKING:
    from collections.abc import Hashable

ALIKE_MAX: Final = 20_000
"""Groups of alike rows remembered. The first row of a forgotten one gets the key it had, so nothing is doubled."""


class _Alike:
    """The rows of one settlement that agree on leader, token, side and size."""

    __slots__ = ("counts", "keys", "taken_key")

    def __init__(self) -> None:
        self.counts: Counter[tuple[Hashable, str]] = Counter()
        self.keys: set[str] = set()
        self.taken_key: str | None = None
        """The key of a row that only `orders_matched` has reported so far."""


class Identities:
    """Numbers the rows of all connections."""

    def __init__(self, *, alike_max: int = ALIKE_MAX) -> None:
        self._alike_max: Final = alike_max
        self._groups: Final[OrderedDict[str, _Alike]] = OrderedDict()

    def new_key_of(self, row: ActivityRow, connection: Hashable) -> str | None:
        """Return the source key of a fill not reported before, None for one that was."""
        group = self._group_of(row)
        if row.topic is Topic.MATCHED:
            return _key_of_matched(row, group)
        ordinal = group.counts[connection, row.identity]
        group.counts[connection, row.identity] += 1
        key = f"{row.identity}|{ordinal}"
        if key in group.keys:
            return None
        taken_key, group.taken_key = group.taken_key, None
        group.keys.add(key)
        return None if taken_key else key

    def _group_of(self, row: ActivityRow) -> _Alike:
        group = self._groups.setdefault(row.likeness, _Alike())
        self._groups.move_to_end(row.likeness)
        while len(self._groups) > self._alike_max:
            self._groups.popitem(last=False)
        return group


def _key_of_matched(row: ActivityRow, group: _Alike) -> str | None:
    if group.keys or group.taken_key:
        return None
    group.taken_key = f"{row.identity}|0"
    return group.taken_key
