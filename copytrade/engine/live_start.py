"""Asking, once before live mode starts, whatever its gates want to know of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from copytrade.domain.attempts import reason
from copytrade.domain.live_gates import Asked, Unknown, refusals
from copytrade.engine.risk import Entrants
from copytrade.ports.risk import VenueTimeUnavailableError
from copytrade.ports.venue_account import VenueUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from copytrade.domain.attempts import Reason
    from copytrade.domain.live_gates import LiveFacts
    from copytrade.domain.units import Millis, Usdc
    from copytrade.ports.clock import Clock
    from copytrade.ports.leader_fills import LeaderRoll
    from copytrade.ports.live_orders import LiveOrderStore
    from copytrade.ports.risk import VenueTime
    from copytrade.ports.venue_account import VenueAccount
    from copytrade.ports.venue_standing import VenueStanding

T = TypeVar("T")

TRADED_LATELY_MS: Final[Millis] = 3_600_000
"""A trade that young of an order we do not know is taken for somebody else who trades the account now."""
_SILENT: Final = (VenueUnavailableError, VenueTimeUnavailableError)


class GateShutError(Exception):
    """Live mode does not start; the text is one line that names the gate."""


class LiveQuestions:
    """Whom to ask; `chains` asks each node which chain it is on."""

    def __init__(
        self,
        *,
        standing: VenueStanding,
        account: VenueAccount,
        venue_time: VenueTime,
        chains: Callable[[], Awaitable[Mapping[str, int | Unknown]]],
        store: LiveOrderStore,
        clock: Clock,
    ) -> None:
        self._standing = standing
        self._account = account
        self._venue_time = venue_time
        self._chains = chains
        self._store = store
        self._clock = clock

    async def ask(self, *, needed: Usdc, holds_lock: bool) -> Asked:
        """Ask everybody; what is not answered is Unknown."""
        funds = await _answer(self._standing.funds())
        return Asked(
            chains=await self._chains(),
            skew_ms=await _answer(self._venue_time.skew_ms()),
            version=await _answer(self._standing.version()),
            is_blocked_in=await _answer(self._standing.blocked_in()),
            balance=funds if isinstance(funds, Unknown) else funds.balance,
            allowances=funds if isinstance(funds, Unknown) else funds.allowances,
            needed=needed,
            holds_lock=holds_lock,
            strangers=await _answer(self._strangers()),
        )

    async def _strangers(self) -> tuple[str, ...]:
        since_ms = self._clock.now_ms() - TRADED_LATELY_MS
        seen = {*await self._account.open_orders()}
        seen |= {trade.order_hash for trade in await self._account.trades_since(since_ms)}
        known = {attempt.order_hash for attempt in await self._store.attempts_of_orders(seen)}
        return tuple(sorted(seen - known))


async def _answer(question: Awaitable[T]) -> T | Unknown:
    try:
        return await question
    except _SILENT as error:
        return Unknown(str(error))


def require(facts: LiveFacts) -> None:
    """Let pass what every gate is content with.

    :raises GateShutError: the first that is not.
    """
    first = next(refusals(facts), None)
    if first is not None:
        raise GateShutError(first.line)


class LiveEntrants(Entrants):
    """Who may be entered after with real orders: one who is on the list and still allowed at the decision."""

    def __init__(self, roll: LeaderRoll, allow_list: frozenset[str]) -> None:
        self._roll = roll
        self._allow_list = allow_list

    def refusals(self, leader: str) -> tuple[Reason, ...]:
        """Return why no entry follows this leader."""
        known = self._roll.leaders().get(leader)
        if leader in self._allow_list and known is not None and known.live_allowed:
            return ()
        return (reason("GATE_LEADERS", leader=leader, value="not allowed live", limit="LIVE_LEADERS and live_allowed"),)
