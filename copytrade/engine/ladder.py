"""The ladder while orders are real: keeps an account to its rung, and takes it down when it goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from copytrade.domain.attempts import reason
from copytrade.domain.fills import Side
from copytrade.domain.happenings import Noted
from copytrade.domain.ladder import ALARMS, MOVED, ceiling, fault, lacking, measure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.domain.attempts import ExecutionAttempt, Reason
    from copytrade.domain.ladder import Divergence, Rung, Standing
    from copytrade.domain.risk import LimitName
    from copytrade.domain.units import Millis, Usdc
    from copytrade.engine.risk_limits import LimitBook
    from copytrade.ports.clock import Clock
    from copytrade.ports.ladder import LadderStore
    from copytrade.ports.notifier import Notifier

LOOK_EVERY_MS: Final[Millis] = 1_000
"""A move that another process made is in force within this."""
MEASURE_EVERY_MS: Final[Millis] = 30_000
MEASURED_MAX: Final = 10_000
"""So many of the newest attempts on a rung are measured."""
WORKER: Final = "worker"

_log = structlog.get_logger()


class NotMovedError(Exception):
    """An account stays where it is; the text says why, a line for each reason."""


async def measured(store: LadderStore, standing: Standing) -> Divergence:
    """Return what was measured of an account since it reached its rung."""
    shadowed = await store.shadowed(account_id=standing.account_id, since_ms=standing.since_ms, limit=MEASURED_MAX)
    alarms = await store.noted_since(ALARMS, since_ms=standing.since_ms)
    return measure(shadowed, alarms=alarms)


async def promote(store: LadderStore, account_id: str, *, first: Rung, by: str, now_ms: Millis) -> Standing:
    """Move an account up a rung, or on to the `first` if it stands on none.

    :raises NotMovedError: it is on the last rung, what was measured does not do, or another process moved it.
    """
    standing = await store.standing(account_id)
    if standing is None:
        return await _move(store, account_id, first, after=0, by=by, why="began", at_ms=now_ms)
    rung = standing.rung.above
    if rung is None:
        raise NotMovedError(f"{standing.rung} is the last rung")
    found = await measured(store, standing)
    if missing := lacking(standing, found, now_ms=now_ms):
        raise NotMovedError("\n".join(missing))
    why = f"{found.orders} orders, {found.shadows} on paper" if standing.rung.enters else f"{found.shadows} on paper"
    return await _move(store, account_id, rung, after=standing.revision, by=by, why=why, at_ms=now_ms)


async def demote(
    store: LadderStore, account_id: str, *, to: Rung | None, by: str, why: str, now_ms: Millis
) -> Standing:
    """Move an account down, one rung or to the one that is named.

    :raises NotMovedError: it is not above that, stands on no rung, or another process moved it.
    """
    standing = await store.standing(account_id)
    if standing is None:
        raise NotMovedError("the account stands on no rung; copytrade live promote begins")
    rung = standing.rung.below if to is None else to
    if rung is None or not rung.is_below(standing.rung):
        raise NotMovedError(f"it stands on {standing.rung}, which is not above {rung or 'anything'}")
    return await _move(store, account_id, rung, after=standing.revision, by=by, why=why, at_ms=now_ms)


async def _move(
    store: LadderStore, account_id: str, rung: Rung, *, after: int, by: str, why: str, at_ms: Millis
) -> Standing:
    moved = await store.move_rung(account_id, rung, after=after, by=by, why=why, at_ms=at_ms)
    if moved is None:
        raise NotMovedError("it was moved meanwhile; look at it again: copytrade live status")
    return moved


class Ladder:
    """Where one account stands now. One that was never put on the ladder has its whole caps."""

    def __init__(
        self,
        *,
        store: LadderStore,
        account_id: str,
        caps: Mapping[LimitName, Usdc],
        limits: LimitBook,
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        """Prepare; `caps` are those of real orders, which hold beside the limits."""
        self._store = store
        self._account_id = account_id
        self._caps = caps
        self._limits = limits
        self._notifier = notifier
        self._clock = clock
        self._standing: Standing | None = None

    def stops(self, attempt: ExecutionAttempt) -> Reason | None:
        """Return why an attempt must not be sent, None if it may; exits always may."""
        if attempt.side is Side.SELL or self._standing is None or self._standing.rung.enters:
            return None
        return reason("LADDER", rung=self._standing.rung)

    async def refresh(self) -> None:
        """Take where the account stands, and put its caps in force."""
        standing = await self._store.standing(self._account_id)
        if standing == self._standing:
            return
        is_move = self._standing is not None
        self._standing = standing
        self._limits.bound(self._allowed)
        if is_move and standing is not None:
            self._notifier.tell(Noted(code=MOVED, detail=standing.told(), at_ms=self._clock.now_ms()))

    async def run(self) -> None:
        """Follow moves, and measure, until cancelled."""
        measure_at_ms = self._clock.monotonic_ms() + MEASURE_EVERY_MS
        while True:
            await self.refresh()
            if self._clock.monotonic_ms() >= measure_at_ms:
                measure_at_ms = self._clock.monotonic_ms() + MEASURE_EVERY_MS
                await self.judge()
            await self._clock.sleep_ms(LOOK_EVERY_MS)

    async def judge(self) -> None:
        """Take the account down a rung if what was measured is too bad."""
        standing = self._standing
        if standing is None or not standing.rung.enters:
            return
        why = fault(standing, await measured(self._store, standing))
        if why is None:
            return
        try:
            await demote(
                self._store, self._account_id, to=standing.rung.below, by=WORKER, why=why, now_ms=self._clock.now_ms()
            )
        except NotMovedError:
            _log.info("ladder.moved_meanwhile", account=self._account_id)
        await self.refresh()

    def _allowed(self, name: LimitName, limit: Usdc | None) -> Usdc | None:
        if self._standing is None:
            return limit
        cap = self._caps.get(name)
        both = [one for one in (cap, limit) if one is not None]
        return ceiling(self._standing.rung, name, min(both) if both else None)
