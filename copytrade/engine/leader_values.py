"""What the leaders whose copies depend on it are worth, asked for in the background and answered from memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from copytrade.domain.copy_rules import rules_of
from copytrade.domain.sizing import SizingMode
from copytrade.ports.wallet_values import ValueUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from copytrade.domain.copy_rules import CopyRules
    from copytrade.domain.leaders import Leader
    from copytrade.domain.units import Millis, Usdc
    from copytrade.ports.clock import Clock
    from copytrade.ports.leader_fills import LeaderRoll
    from copytrade.ports.wallet_values import WalletValues

REFRESH_MS: Final = 60_000
"""Each value is asked for this often."""
AGE_MAX_MS: Final = 3_600_000
"""A value older than this is none: he may have won or lost everything since."""
FIRST_ANSWER_WAIT_MS: Final = 2_000
"""How long a decision waits, after a start or a change of mode, until a leader was asked about once."""
ASKED_AT_ONCE: Final = 4
OUTAGE_FAILURES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderValue:
    """What a leader's positions were worth, so many milliseconds ago."""

    usdc: Usdc
    age_ms: Millis


@dataclass(slots=True)
class _Watch:
    """One leader: his last value, when it was read and when he is due again (monotonic)."""

    usdc: Usdc | None = None
    read_ms: Millis = 0
    due_ms: Millis = 0
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class LeaderValues:
    """Keeps one value for each leader sized by bankroll, as many as there are on the roll.

    `asks_about_all` is for a session that is recorded: a replay may size by bankroll what this one did not.
    """

    def __init__(
        self,
        *,
        values: WalletValues,
        roll: LeaderRoll,
        rules: CopyRules,
        clock: Clock,
        note: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        self._values = values
        self._roll = roll
        self._rules = rules
        self._clock = clock
        self._note = note
        self.asks_about_all = False
        self._known: Mapping[str, Leader] | None = None
        self._watches: dict[str, _Watch] = {}
        self._room = asyncio.Semaphore(ASKED_AT_ONCE)
        self._failures = 0

    def of(self, address: str) -> LeaderValue | None:
        """Return the last value of a leader, None if there is none or it is too old; never touches the network."""
        watch = self._watches.get(address)
        if watch is None or watch.usdc is None:
            return None
        age_ms = self._clock.monotonic_ms() - watch.read_ms
        return LeaderValue(usdc=watch.usdc, age_ms=age_ms) if age_ms <= AGE_MAX_MS else None

    async def first_of(self, address: str) -> LeaderValue | None:
        """Return the last value; if he was never asked about, wait a little for the answer that is on its way."""
        self._follow_roll()
        watch = self._watches.get(address)
        if watch is not None and not watch.answered.is_set():
            try:
                async with asyncio.timeout(FIRST_ANSWER_WAIT_MS / 1000):
                    await watch.answered.wait()
            except TimeoutError:
                return None
        return self.of(address)

    async def run(self) -> None:
        """Ask about whoever is due, until cancelled."""
        while True:
            self._follow_roll()
            now_ms = self._clock.monotonic_ms()
            async with asyncio.TaskGroup() as asking:
                for address, watch in self._watches.items():
                    if watch.due_ms <= now_ms:
                        asking.create_task(self._ask(address, watch), name=f"value-{address}")
            await self._wait()

    def _follow_roll(self) -> None:
        leaders = self._roll.leaders()
        if leaders is self._known:
            return
        wanted = [
            address
            for address, leader in leaders.items()
            if self.asks_about_all or rules_of(leader, self._rules).sizing_mode is SizingMode.BANKROLL
        ]
        self._watches = {address: self._watches.get(address) or _Watch() for address in wanted}
        self._known = leaders

    async def _wait(self) -> None:
        """Wait until someone is due or the leaders change."""
        now_ms = self._clock.monotonic_ms()
        soonest_ms = min((watch.due_ms for watch in self._watches.values()), default=now_ms + REFRESH_MS)
        try:
            async with asyncio.timeout(max(1, soonest_ms - now_ms) / 1000):
                if self._roll.leaders() is self._known:
                    await self._roll.changed()
        except TimeoutError:
            return

    async def _ask(self, address: str, watch: _Watch) -> None:
        async with self._room:
            watch.due_ms = self._clock.monotonic_ms() + REFRESH_MS
            try:
                usdc = await self._values.value(address)
            except ValueUnavailableError as error:
                self._on_failure(error)
            else:
                self._on_success()
                # One who holds nothing now has only cash, of which no figure tells.
                watch.usdc = usdc or None
                watch.read_ms = self._clock.monotonic_ms()
            watch.answered.set()

    def _on_failure(self, error: ValueUnavailableError) -> None:
        self._failures += 1
        if self._failures == OUTAGE_FAILURES:
            self._note("UNREACHABLE", {"source": "data_api", "route": "value", "error": str(error)})

    def _on_success(self) -> None:
        if self._failures >= OUTAGE_FAILURES:
            self._note("RECONNECTED", {"source": "data_api", "route": "value"})
        self._failures = 0
