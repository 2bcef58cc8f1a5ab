"""While live: the account as venue and chain have it against the ledger. What that does not hold stops all orders."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from copytrade.domain.attempts import OPEN_STATUSES, Settlement
from copytrade.domain.booking import DUST
from copytrade.ports.order_logs import OrderLogsUnavailableError
from copytrade.ports.venue_account import VenueUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from copytrade.domain.attempts import ExecutionFill
    from copytrade.domain.units import Millis, Shares
    from copytrade.engine.notes import Notes
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.order_logs import OrderLog
    from copytrade.ports.venue_account import VenueAccount, VenueTrade

INTERVAL_MS: Final[Millis] = 30_000
LOOK_BACK_MS: Final[Millis] = 86_400_000
"""How far back trades are compared, but no further than the oldest of our own orders since then."""
SETTLEMENT_LATE_MS: Final[Millis] = 600_000
CHAIN_MS_MAX: Final[Millis] = 20_000
"""How long the nodes may take: the next comparison with the venue waits for it."""
PAGED_MAX: Final = 10_000

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something in which venue or chain and the ledger differ: a code, and which order or trade."""

    code: str
    order_hash: str
    venue_trade_id: str = ""
    booked: Shares = 0
    """What the ledger had of the order, where the chain has more: with more since then it only was late."""

    @property
    def is_certain(self) -> bool:
        """Whether it cannot be a report that is still on its way."""
        return self.code not in {"MISSED_FILL", "ENDED_ORDER_OPEN"}


class Comparison:
    """Compares every 30 s. One that cannot be made proves nothing, and is noted."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        venue: VenueAccount,
        notes: Notes,
        clock: Clock,
        halt: Callable[[str], Awaitable[None]],
        own_logs: Callable[[], Awaitable[Sequence[OrderLog]]] | None = None,
    ) -> None:
        """Wait for `halt` with the reason as soon as the ledger lacks something of the account.

        `own_logs` returns what the chain has of the account lately, where a node is known.
        """
        self._ledger = ledger
        self._venue = venue
        self._notes = notes
        self._clock = clock
        self._halt = halt
        self._own_logs = own_logs
        self._started_ms = clock.now_ms()
        self._suspected: dict[str, frozenset[Difference]] = {}
        """By who was asked, what the last comparison with him found."""
        self._has_venue_told = False
        self._paged: dict[str, None] = {}

    async def run(self) -> None:
        """Compare until cancelled."""
        while True:
            await self.compare()
            await self._clock.sleep_ms(INTERVAL_MS)

    async def compare(self) -> tuple[Difference, ...]:
        """Compare once, and return what is proved to differ."""
        now_ms = self._clock.now_ms()
        proved = [*await self._proved("venue", self._with_venue(now_ms))]
        await self._page_late(now_ms)
        # What the venue proved has stopped all orders before a slow node is asked.
        proved += await self._proved("chain", self._with_chain())
        return tuple(proved)

    async def _proved(self, who: str, asked: Awaitable[Sequence[Difference]]) -> Sequence[Difference]:
        """Page and return what is certain, or was found the last time too."""
        try:
            found = await asked
        except (VenueUnavailableError, OrderLogsUnavailableError) as error:
            self._notes.take("NOT_COMPARED", {"why": str(error)})
            return ()
        before = self._suspected.get(who, frozenset())
        self._suspected[who] = frozenset(found)
        proved = [one for one in found if one.is_certain or one in before]
        for difference in proved:
            await self._page(difference)
        return proved

    async def _with_venue(self, now_ms: Millis) -> Sequence[Difference]:
        # The venue first: what it has, the ledger had before.
        self._has_venue_told = False
        open_orders = await self._venue.open_orders()
        trades = await self._venue.trades_since(await self._since_ms(now_ms))
        self._has_venue_told = True
        return await self._differences(open_orders, trades)

    async def _with_chain(self) -> Sequence[Difference]:
        """Hold the ledger to the chain, whatever the venue says: by order, for a log names no trade.

        What is booked comes from the venue: while that does not answer, nothing of it can be missed.
        """
        traded: Counter[str] = Counter()
        for log in await self._logs():
            traded[log.order_hash] += log.shares
        attempts = await self._ledger.attempts_of_orders(traded.keys()) if traded else ()
        booked = {attempt.order_hash: attempt.filled_shares for attempt in attempts}
        return [
            Difference(
                code="MISSED_FILL" if one in booked else "FOREIGN_FILL", order_hash=one, booked=booked.get(one, 0)
            )
            for one, shares in traded.items()
            if one not in booked or (self._has_venue_told and shares > booked[one] + DUST)
        ]

    async def _logs(self) -> Sequence[OrderLog]:
        if self._own_logs is None:
            return ()
        try:
            async with asyncio.timeout(CHAIN_MS_MAX / 1_000):
                return await self._own_logs()
        except TimeoutError:
            raise OrderLogsUnavailableError("the nodes do not answer in time") from None

    async def _since_ms(self, now_ms: Millis) -> Millis:
        orders = await self._ledger.orders_since(self._venue.account_id, now_ms - LOOK_BACK_MS)
        return min([self._started_ms, *(order.decided_at_ms for order in orders)])

    async def _differences(self, open_orders: Collection[str], trades: Collection[VenueTrade]) -> list[Difference]:
        hashes = {*open_orders, *(trade.order_hash for trade in trades)}
        attempts = await self._ledger.attempts_of_orders(hashes) if hashes else ()
        known = {attempt.order_hash: attempt.status in OPEN_STATUSES for attempt in attempts}
        names = [trade.venue_trade_id for trade in trades]
        booked = await self._ledger.trades_of(self._venue.account_id, names) if names else ()
        stored = {fill.venue_trade_id: fill for fill in booked}
        foreign = [
            Difference(code="ENDED_ORDER_OPEN" if one in known else "FOREIGN_ORDER", order_hash=one)
            for one in open_orders
            if not known.get(one, False)
        ]
        judged = [_judge(trade, stored, is_known=trade.order_hash in known) for trade in trades]
        return foreign + [one for one in judged if one is not None]

    async def _page(self, difference: Difference) -> None:
        key = f"{difference.code}|{difference.order_hash}|{difference.venue_trade_id}|{difference.booked}"
        if key in self._paged:
            return
        self._paged[key] = None
        if len(self._paged) > PAGED_MAX:
            del self._paged[next(iter(self._paged))]
        detail = {
            "difference": difference.code,
            "order_hash": difference.order_hash,
            "trade": difference.venue_trade_id,
        }
        self._notes.take("ACCOUNT_DIFFERS", detail)
        await self._halt(f"ACCOUNT_DIFFERS: {difference.code} {difference.venue_trade_id or difference.order_hash}")
        _log.error("live.account_differs", **detail)

    async def _page_late(self, now_ms: Millis) -> None:
        for fill in await self._ledger.unsettled_executions():
            if fill.fill_at_ms < now_ms - SETTLEMENT_LATE_MS and fill.venue_trade_id not in self._paged:
                self._paged[fill.venue_trade_id] = None
                self._notes.take("SETTLEMENT_LATE", {**fill.told(), "settlement": fill.settlement})


def _judge(trade: VenueTrade, stored: Mapping[str, ExecutionFill], *, is_known: bool) -> Difference | None:
    if not is_known:
        return Difference(code="FOREIGN_FILL", order_hash=trade.order_hash, venue_trade_id=trade.venue_trade_id)
    fill = stored.get(trade.venue_trade_id)
    if fill is None:
        return Difference(code="MISSED_FILL", order_hash=trade.order_hash, venue_trade_id=trade.venue_trade_id)
    if {fill.settlement, trade.settlement} == {Settlement.CONFIRMED, Settlement.FAILED}:
        code = "SETTLEMENT_CONTRADICTED"
        return Difference(code=code, order_hash=trade.order_hash, venue_trade_id=trade.venue_trade_id)
    return None
