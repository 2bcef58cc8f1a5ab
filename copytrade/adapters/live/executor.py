"""Stage 3 for real: an order is posted once, and whatever is not proved of it is looked up until it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from copytrade.adapters.live.rows import OrderPhase
from copytrade.adapters.live.typed_data import order_hash
from copytrade.adapters.live.verdicts import Doubt, Refused
from copytrade.adapters.live.working import WorkingOrder
from copytrade.domain.attempts import AttemptStatus, ExecutionMode, reason
from copytrade.domain.booking import DUST
from copytrade.domain.orders import OrderType
from copytrade.domain.venue_orders import venue_order
from copytrade.ports.execution import (
    ExecutionAdapter,
    FoundOrder,
    NotSentError,
    OrderDone,
    OrderState,
    OutcomeUnknownError,
    PreparedOrder,
)
from copytrade.ports.signer import SigningRefusedError
from copytrade.ports.venue_account import VenueUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from uuid import UUID

    from copytrade.adapters.live.caps import Caps
    from copytrade.adapters.live.clob_account import ClobAccount
    from copytrade.adapters.live.following import Following
    from copytrade.adapters.live.posting import Posting
    from copytrade.adapters.live.rows import OrderRow
    from copytrade.adapters.live.user_stream import UserStream
    from copytrade.adapters.live.verdicts import Verdict
    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis
    from copytrade.domain.venue_orders import Exchanges
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionEvent
    from copytrade.ports.signer import Signer

OPEN_ORDERS_MAX: Final = 200
"""Orders at work at the same time; each has a task of its own."""
READY_WAIT_MS: Final[Millis] = 3_000
"""How long an order waits, after a start, for the account to be read; then it is too late and not sent."""
STOP_MS: Final[Millis] = 5_000
"""How long orders are being cancelled at the end."""

_log = structlog.get_logger()


class ClobExecutor(ExecutionAdapter):
    """Real orders of one wallet."""

    def __init__(
        self,
        *,
        clob: ClobAccount,
        posting: Posting,
        following: Following,
        stream: UserStream,
        signer: Signer,
        exchanges: Exchanges,
        order_type: OrderType,
        market_of: Callable[[str], Market | None],
        clock: Clock,
        caps: Caps,
        cancels_on_stop: bool = True,
    ) -> None:
        """Wire; nothing is asked before `run`."""
        self.clob = clob
        self._posting = posting
        self.following = following
        self._stream = stream
        self._signer = signer
        self._exchanges = exchanges
        self._order_type = order_type
        self._market_of = market_of
        self._clock = clock
        self._caps = caps
        self._cancels_on_stop = cancels_on_stop
        self._new: asyncio.Queue[WorkingOrder] = asyncio.Queue(OPEN_ORDERS_MAX)

    @property
    def mode(self) -> ExecutionMode:
        return ExecutionMode.LIVE

    @property
    def account_id(self) -> str:
        return self.clob.account_id

    def prepare(self, attempt: ExecutionAttempt, market: Market) -> PreparedOrder:
        signed = venue_order(
            attempt, market, order_type=self._order_type, account=self.clob.account, exchanges=self._exchanges
        )
        return PreparedOrder(
            attempt=attempt,
            market=market,
            order_type=self._order_type,
            order_hash=order_hash(signed),
            placed_at_ms=attempt.decided_at_ms,
            venue_order=signed,
        )

    async def submit(self, order: PreparedOrder) -> None:
        if order.order_hash in self.following.open:
            return
        working = await self._sign(order)
        await self._check(order)
        self.following.begin(working)
        verdict = await self._post(working)
        if isinstance(verdict, Refused):
            del self.following.open[order.order_hash]
            await self._end(order.attempt, verdict.status, verdict)
            return
        if not isinstance(verdict, Doubt):
            working.accept()
        self._doubt(working, verdict)
        await self._new.put(working)
        if isinstance(verdict, Doubt):
            raise OutcomeUnknownError(verdict.why.code)

    async def cancel(self, attempt_id: UUID) -> None:
        order = self.following.open.get(self.following.hashes.get(attempt_id, ""))
        if order is not None and order.cancelled_for is None:
            order.cancelled_for = reason("CANCELED_BY_US")
            order.poked.set()

    async def find(self, attempt: ExecutionAttempt) -> FoundOrder:
        wanted = attempt.order_hash or self.following.hashes.get(attempt.id)
        try:
            row = None if wanted is None else await self.clob.order(wanted)
        except VenueUnavailableError as error:
            _log.warning("live.order_unread", order_hash=wanted, why=str(error))
            row = None
        if row is None:
            return FoundOrder(state=OrderState.UNKNOWN, filled_shares=None)
        return FoundOrder(state=_state(row, attempt), filled_shares=row.matched)

    async def recover(self, attempt: ExecutionAttempt) -> OrderDone | None:
        """Take up an order of an earlier life: it is looked up and cancelled in time, never posted again."""
        if attempt.order_hash is None:
            return OrderDone(
                attempt_id=attempt.id,
                status=AttemptStatus.CANCELED,
                reason=reason("INTERRUPTED"),
                at_ms=self._clock.now_ms(),
            )
        market = self._market_of(attempt.token_id)
        working = WorkingOrder(
            attempt,
            order_hash=attempt.order_hash,
            order_type=attempt.order_type or OrderType.GTC,
            placed_at_ms=attempt.decided_at_ms if attempt.placed_at_ms is None else attempt.placed_at_ms,
            condition_id=None if market is None else market.condition_id,
        )
        self._doubt(working, Doubt(why=reason("NEVER_ARRIVED")))
        self.following.begin(working, is_known=True)
        await self._new.put(working)
        return None

    async def events(self) -> AsyncIterator[ExecutionEvent]:
        while True:
            yield await self.following.events.get()

    async def run(self) -> None:
        await self.following.load()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._stream.run(), name="live-user-stream")
                group.create_task(self.following.sweep(lambda: self._stream.restart("silent")), name="live-sweep")
                while True:
                    order = await self._new.get()
                    group.create_task(self.following.follow(order), name=f"live-order {order.order_hash}")
        finally:
            await self._cancel_what_rests()

    async def _sign(self, order: PreparedOrder) -> WorkingOrder:
        """Make what will be sent, before anything is asked of the venue."""
        if order.venue_order is None:
            raise NotSentError("not prepared here")
        try:
            signature = await self._signer.sign_order(order.venue_order)
        except SigningRefusedError as error:
            raise NotSentError(f"SIGNING_REFUSED: {error}") from None
        return WorkingOrder(
            order.attempt,
            order_hash=order.order_hash,
            order_type=order.order_type,
            placed_at_ms=order.placed_at_ms,
            condition_id=order.market.condition_id,
            signed=(order.venue_order, signature),
        )

    async def _check(self, order: PreparedOrder) -> None:
        """Let an order pass that may be sent this instant.

        :raises NotSentError: any other; it is not kept for later.
        """
        try:
            async with asyncio.timeout(READY_WAIT_MS / 1_000):
                await self.following.is_healed.wait()
        except TimeoutError:
            raise NotSentError("NOT_RECONCILED: the account was not read yet") from None
        if self._clock.now_ms() >= order.placed_at_ms + order.attempt.ttl_ms:
            raise NotSentError("TOO_LATE: its time to live is over")
        if len(self.following.open) >= OPEN_ORDERS_MAX:
            raise NotSentError(f"{OPEN_ORDERS_MAX} orders are open already")
        await self._caps.check(order.attempt)
        self._posting.check(order.order_type)

    async def _post(self, working: WorkingOrder) -> Verdict:
        if working.signed is None:
            raise NotSentError("not signed")
        try:
            return await self._posting.post(*working.signed, order_hash=working.order_hash)
        except NotSentError:
            del self.following.open[working.order_hash]
            raise

    def _doubt(self, working: WorkingOrder, verdict: Verdict) -> None:
        if isinstance(verdict, Doubt):
            working.doubt = verdict
            working.doubted_at_ms = self._clock.monotonic_ms()

    async def _end(self, attempt: ExecutionAttempt, status: AttemptStatus, refused: Refused) -> None:
        done = OrderDone(attempt_id=attempt.id, status=status, reason=refused.why, at_ms=self._clock.now_ms())
        await self.following.events.put(done)

    async def _cancel_what_rests(self) -> None:
        """Leave no order on the book behind, unless that is wanted; what became of them is found at the next start."""
        resting = [order.order_hash for order in self.following.open.values() if order.order_type.may_rest]
        if not self._cancels_on_stop or not resting:
            return
        try:
            async with asyncio.timeout(STOP_MS / 1_000):
                await self.clob.cancel_all(resting)
            _log.info("live.cancelled_at_stop", orders=len(resting))
        except (TimeoutError, VenueUnavailableError) as error:
            _log.error("live.not_cancelled_at_stop", orders=len(resting), why=str(error) or "no answer in time")


def _state(row: OrderRow, attempt: ExecutionAttempt) -> OrderState:
    is_whole = row.matched is not None and row.matched + DUST > attempt.size_shares_target
    if row.phase is OrderPhase.UNCLEAR:
        return OrderState.UNKNOWN
    if row.phase is OrderPhase.OPEN:
        return OrderState.OPEN
    if is_whole:
        return OrderState.FILLED
    is_resting = row.phase is OrderPhase.MATCHED and attempt.order_type is not None and attempt.order_type.may_rest
    return OrderState.OPEN if is_resting else OrderState.ENDED
