"""Real orders after they were sent: looked up until their end is proved, with every trade of theirs told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog

from copytrade.adapters.live.rows import MalformedRowError, read_trade
from copytrade.adapters.live.verdicts import Doubt, Taken
from copytrade.domain.attempts import FINAL_SETTLEMENTS, AttemptStatus, ExecutionFill, Liquidity, Settlement
from copytrade.domain.fees import sweep_fees_down
from copytrade.domain.ids import execution_fill_id
from copytrade.domain.matching import Match
from copytrade.domain.venue_orders import SECOND_MS
from copytrade.ports.execution import Executed, NotSentError
from copytrade.ports.order_logs import OrderLogsUnavailableError
from copytrade.ports.venue_account import VenueUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from copytrade.adapters.live.clob_account import ClobAccount
    from copytrade.adapters.live.posting import Posting
    from copytrade.adapters.live.rows import OwnTrade
    from copytrade.adapters.live.working import WorkingOrder
    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis, Usdc
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionEvent, OrderDone
    from copytrade.ports.live_orders import LiveOrderStore
    from copytrade.ports.order_logs import OrderLog, OrderLogs

EVENTS_MAX: Final = 1_024
SWEEP_MS: Final[Millis] = 30_000
"""How often the account's trades are read, whatever the user stream says."""
SWEEP_AGAIN_MS: Final[Millis] = 1_000
"""How soon that is tried again where it did not work."""
STREAM_LATE_MS: Final[Millis] = 10_000
"""News that was read so long ago and that the user stream has still not told shows that it is dead."""
CHAIN_WAIT_MS: Final[Millis] = 3_000
"""How long a trade that is over waits for what the chain says of it; after that its fee is the computed one."""
HASHES_KEPT_MAX: Final = 10_000
TRADES_KEPT_MAX: Final = 20_000
"""Trades whose last state is remembered; the oldest is forgotten first, and told again if it comes up."""

_log = structlog.get_logger()


class Following:
    """The open orders of one wallet and their trades; `events` is what becomes of them."""

    def __init__(
        self,
        *,
        clob: ClobAccount,
        posting: Posting,
        store: LiveOrderStore,
        market_of: Callable[[str], Market | None],
        clock: Clock,
        note: Callable[[str, dict[str, object]], None],
        logs: OrderLogs | None = None,
    ) -> None:
        """Follow; `logs` is the chain, which has the last word where it can be asked."""
        self.events: asyncio.Queue[ExecutionEvent] = asyncio.Queue(EVENTS_MAX)
        self.open: dict[str, WorkingOrder] = {}
        self.hashes: dict[UUID, str] = {}
        """By attempt, the order it became in this life."""
        self.is_healed = asyncio.Event()
        """Set once the account was read, and every order of an earlier life looked up."""
        self._clob = clob
        self._posting = posting
        self._store = store
        self._market_of = market_of
        self._clock = clock
        self._note = note
        self.logs = logs
        self._unread: set[str] = set()
        self._has_read_trades = False
        self._healing = asyncio.Lock()
        self._told: dict[str, Settlement] = {}
        self._owed: dict[tuple[str, Settlement], Millis] = {}
        self._unsettled: dict[str, Millis] = {}

    def begin(self, order: WorkingOrder, *, is_known: bool = False) -> None:
        """Keep an order; one of an earlier life (`is_known`) keeps new ones waiting until it is looked up."""
        self.open[order.order_hash] = order
        self.hashes[order.attempt.id] = order.order_hash
        if len(self.hashes) > HASHES_KEPT_MAX:
            del self.hashes[next(iter(self.hashes))]
        if is_known:
            self._unread.add(order.order_hash)
            self.is_healed.clear()

    async def load(self) -> None:
        """Know from the ledger which trades are still on their way."""
        for fill in await self._store.unsettled_executions():
            if fill.account_id == self._clob.account_id:
                self._unsettled[fill.venue_trade_id] = fill.fill_at_ms

    async def follow(self, order: WorkingOrder) -> None:
        """Look an order up until its end is proved, and tell it."""
        done = await self._step(order)
        while done is None:
            await self._rest(order)
            done = await self._step(order)
        del self.open[order.order_hash]
        await self.events.put(done)

    async def sweep(self, on_late: Callable[[], None]) -> None:
        """Read the account again and again; `on_late` is called when the user stream does not tell what was read."""
        while True:
            try:
                await self.heal()
                wait_ms = SWEEP_MS
            except VenueUnavailableError as error:
                _log.warning("live.account_unread", why=str(error))
                wait_ms = SWEEP_AGAIN_MS
            if self._is_stream_late():
                self._note("USER_STREAM_SILENT", {"late_ms": STREAM_LATE_MS})
                on_late()
            await self._clock.sleep_ms(wait_ms)

    async def heal(self) -> None:
        """Read all trades since the oldest that may not be told yet, and have open orders looked up.

        :raises VenueUnavailableError: nothing is known.
        """
        async with self._healing:
            oldest = [order.placed_at_ms for order in self.open.values()]
            since_ms = min([self._clock.now_ms() - SWEEP_MS, *oldest, *self._unsettled.values()])
            for trade in await self._clob.own_trades(since_ms):
                await self._take(trade, is_pushed=False)
            for order in self.open.values():
                order.poked.set()
            self._has_read_trades = True
            self._see_whether_healed()

    async def hear(self, news: dict[str, Any]) -> None:
        """Take a push of the user stream: a trade counts at once, an order is only looked up again."""
        try:
            if news.get("event_type") == "trade":
                await self._hear_trade(news)
            elif news.get("event_type") == "order":
                order = self.open.get(str(news.get("id") or "").lower())
                if order is not None:
                    order.poked.set()
        except MalformedRowError as error:
            self._note("QUARANTINED", {"source": "user_stream", "field": str(error)})

    async def _hear_trade(self, news: dict[str, Any]) -> None:
        owner = str(news.get("trade_owner") or "")
        for trade in read_trade(news, wallet=self._clob.account.wallet, api_key=owner):
            await self._take(trade, is_pushed=True)

    async def _step(self, order: WorkingOrder) -> OrderDone | None:
        """Ask what has become of an order, once; None while it is not over, or nobody knows."""
        try:
            if order.wants_cancel(self._clock.now_ms()):
                await self._clob.cancel(order.order_hash)
            order.take(await self._clob.order(order.order_hash), now_ms=self._clock.monotonic_ms())
            if order.lacks_trades():
                for trade in await self._clob.own_trades(order.placed_at_ms, condition_id=order.condition_id):
                    await self._take(trade, is_pushed=False)
        except VenueUnavailableError as error:
            _log.warning("live.order_unread", order_hash=order.order_hash, why=str(error))
            return None
        self._unread.discard(order.order_hash)
        self._see_whether_healed()
        if order.may_be_sent_again(self._clock.now_ms()):
            await self._send_again(order)
            return None
        done = order.ending(now_ms=self._clock.monotonic_ms(), wall_ms=self._clock.now_ms())
        return done if done is None or await self._is_proved(order, done) else None

    async def _is_proved(self, order: WorkingOrder, done: OrderDone) -> bool:
        """Tell whether the chain, too, has nothing of an order that is about to be given up for lost."""
        if self.logs is None or done.status is not AttemptStatus.FAILED:
            return True
        try:
            if not await self.logs.logs_of(order.order_hash):
                return True
        except OrderLogsUnavailableError as error:
            _log.warning("live.chain_unread", order_hash=order.order_hash, why=str(error))
            return False
        order.accept()
        return False

    async def _rest(self, order: WorkingOrder) -> None:
        """Wait until there is news of an order, or it is time to look."""
        wait_ms = order.wait_ms(self._clock.now_ms())
        try:
            async with asyncio.timeout(wait_ms / 1_000):
                await order.poked.wait()
        except TimeoutError:
            return
        order.poked.clear()

    async def _send_again(self, order: WorkingOrder) -> None:
        """Send the same bytes once more: the venue has just said that it has no such order, and it is wanted still.

        Should the first have been on its way all the time, this one is its duplicate, which the venue refuses.
        No refusal proves anything of the first.
        """
        if order.signed is None:
            return
        order.resends += 1
        try:
            self._posting.check(order.order_type)
            verdict = await self._posting.post(*order.signed, order_hash=order.order_hash)
        except NotSentError as error:
            _log.info("live.not_sent_again", order_hash=order.order_hash, why=str(error))
            return
        if isinstance(verdict, Taken):
            order.accept()
        elif isinstance(verdict, Doubt) and verdict.may_resend:
            order.poked.set()
        else:
            order.doubt = Doubt(why=verdict.why)

    def _see_whether_healed(self) -> None:
        if self._has_read_trades and not self._unread:
            self.is_healed.set()

    async def _take(self, trade: OwnTrade, *, is_pushed: bool) -> None:
        """Tell of a trade, and again when it has come further; one of no order of ours is left to the comparison."""
        news = (trade.key, trade.settlement)
        if is_pushed:
            self._owed.pop(news, None)
        order = self.open.get(trade.order_hash)
        if order is not None and order.take_trade(trade):
            order.poked.set()
        if self._told.get(trade.key) is trade.settlement:
            return
        attempt = order.attempt if order is not None else await self._stored(trade.order_hash)
        if attempt is None or not self._is_plausible(trade, attempt):
            return
        self._remember(trade)
        if not is_pushed:
            self._owed[news] = self._clock.monotonic_ms()
        on_chain = await self._on_chain(trade) if trade.settlement in FINAL_SETTLEMENTS else None
        if on_chain is not None and trade.settlement is Settlement.FAILED:
            self._note("SETTLEMENT_CONTRADICTED", {"trade": trade.key, "tx_hash": on_chain.tx_hash})
            return
        fee = self._fee(trade) if on_chain is None else on_chain.fee
        fill = self._fill(trade, attempt, fee=fee, known_ms=self._clock.now_ms())
        await self.events.put(Executed(fill=fill, at_ms=self._clock.now_ms()))

    async def _on_chain(self, trade: OwnTrade) -> OrderLog | None:
        """Return the log of a trade that is over, None where there is none or nobody to ask."""
        if self.logs is None or not trade.tx_hash:
            return None
        try:
            async with asyncio.timeout(CHAIN_WAIT_MS / 1_000):
                logs = await self.logs.logs_of(trade.order_hash)
        except (OrderLogsUnavailableError, TimeoutError) as error:
            _log.warning("live.chain_unread", trade=trade.key, why=str(error) or "no answer in time")
            return None
        return next((log for log in logs if log.tx_hash == trade.tx_hash), None)

    async def _stored(self, order_hash: str) -> ExecutionAttempt | None:
        found = await self._store.attempts_of_orders({order_hash})
        return found[0] if found else None

    def _is_plausible(self, trade: OwnTrade, attempt: ExecutionAttempt) -> bool:
        if (trade.token_id, trade.side) == (attempt.token_id, attempt.side) and trade.is_possible:
            return True
        self._note("QUARANTINED", {"source": "trades", "trade": trade.key, "attempt": str(attempt.id)})
        return False

    def _remember(self, trade: OwnTrade) -> None:
        self._told[trade.key] = trade.settlement
        if len(self._told) > TRADES_KEPT_MAX:
            del self._told[next(iter(self._told))]
        if trade.settlement in FINAL_SETTLEMENTS:
            self._unsettled.pop(trade.key, None)
        else:
            self._unsettled[trade.key] = trade.matched_ms

    def _is_stream_late(self) -> bool:
        """Tell whether something was read long ago that the user stream has still not told; once per news."""
        now_ms = self._clock.monotonic_ms()
        late = [news for news, at_ms in self._owed.items() if now_ms - at_ms > STREAM_LATE_MS]
        for news in late:
            del self._owed[news]
        return bool(late)

    @staticmethod
    def _fill(trade: OwnTrade, attempt: ExecutionAttempt, *, fee: Usdc, known_ms: Millis) -> ExecutionFill:
        return ExecutionFill(
            id=execution_fill_id(attempt.account_id, trade.key),
            attempt_id=attempt.id,
            strategy_id=attempt.strategy_id,
            account_id=attempt.account_id,
            venue_trade_id=trade.key,
            token_id=trade.token_id,
            side=trade.side,
            shares=trade.shares,
            price=trade.price,
            fee_usdc=fee,
            liquidity=trade.liquidity,
            settlement=trade.settlement,
            fill_at_ms=_matched_at(trade.matched_ms, known_ms=known_ms),
        )

    def _fee(self, trade: OwnTrade) -> Usdc:
        """Return the fee as the venue's schedule has it: its trades name none."""
        market = self._market_of(trade.token_id)
        if trade.liquidity is Liquidity.MAKER or market is None:
            return 0
        return sum(sweep_fees_down(market.fees, trade.met or (Match(trade.price, trade.shares),)))


def _matched_at(told_ms: Millis, *, known_ms: Millis) -> Millis:
    """Return when a trade was matched: of a second that the venue tells as a whole, when it was known, or its end."""
    return told_ms if told_ms % SECOND_MS else max(told_ms, min(known_ms, told_ms + SECOND_MS - 1))
