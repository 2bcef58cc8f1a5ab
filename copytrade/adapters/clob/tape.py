"""The recent past of what the venue prints and announces, by market; no network, no clock of its own."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import defaultdict
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from copytrade.adapters.clob.wire import QUOTES_OF_SIDE, SIZES
from copytrade.domain.fills import Side
from copytrade.domain.tape import TapeEntry, TradePrint

if TYPE_CHECKING:
    from copytrade.adapters.clob.wire import MarketMessage
    from copytrade.domain.tape import Told
    from copytrade.domain.units import Millis

ENTRIES_MAX: Final = 5_000
"""Entries kept of one market; the oldest go first."""
MARKETS_MAX: Final = 5_000
"""Markets with a tape; the one longest without an entry goes first."""
_AT: Final = attrgetter("at_ms")


class Tape:
    """Entries by condition id. Instants must not go back but after `clear`."""

    def __init__(self, *, history_ms: Millis) -> None:
        """Start empty."""
        self._history_ms = history_ms
        self._entries: dict[str, list[TapeEntry]] = {}
        self._waiters: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._number = 0

    def note(self, condition_id: str, told: Told, at_ms: Millis) -> None:
        """Add an entry and wake who waits for it."""
        self._number += 1
        entries = self._entries.pop(condition_id, [])
        entries.append(TapeEntry(number=self._number, at_ms=at_ms, told=told))
        # Old entries are dropped in bulk, so that a busy market does not move its list with every print.
        if len(entries) > ENTRIES_MAX or entries[0].at_ms < at_ms - 2 * self._history_ms:
            del entries[
                : max(len(entries) - ENTRIES_MAX // 2, bisect_right(entries, at_ms - self._history_ms, key=_AT))
            ]
        self._entries[condition_id] = entries
        if len(self._entries) > MARKETS_MAX:
            del self._entries[next(iter(self._entries))]
        for waiter in self._waiters.pop(condition_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    def note_print(self, message: MarketMessage, at_ms: Millis) -> bool:
        """Add the trade of a `last_trade_price`; False if it cannot be read."""
        try:
            trade = TradePrint(
                token_id=message.asset_id,
                side=Side(message.side),
                price=QUOTES_OF_SIDE["BUY"][message.price],
                size=SIZES[message.size],
            )
        except ValueError:
            return False
        self.note(message.market, trade, at_ms)
        return True

    def after(self, condition_id: str, at_ms: Millis) -> tuple[TapeEntry, ...]:
        """Return the entries from after an instant, oldest first."""
        entries = self._entries.get(condition_id, [])
        return tuple(entries[bisect_right(entries, at_ms, key=_AT) :])

    def clear(self) -> None:
        """Forget all entries; who waits for new ones goes on waiting."""
        self._entries.clear()

    async def printed(self, condition_id: str, at_ms: Millis) -> None:
        """Wait until there is an entry from after an instant."""
        while not self.after(condition_id, at_ms):
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters[condition_id].append(waiter)
            try:
                await waiter
            finally:
                waiting = self._waiters.get(condition_id, [])
                if waiter in waiting:
                    waiting.remove(waiter)
                if not waiting:
                    self._waiters.pop(condition_id, None)
