"""Health gates: while what a decision relies on is not healthy no trade is entered, and if that lasts all is halted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from copytrade.domain.gates import WAITS_FOR_A_PERSON, GateName, GateState, Reading
from copytrade.domain.halts import BY_GATE, HaltLevel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from copytrade.domain.attempts import Reason
    from copytrade.domain.units import Millis
    from copytrade.engine.halt import Halts
    from copytrade.engine.risk_events import RiskEvents
    from copytrade.ports.clock import Clock

SETTLED_MS: Final[Millis] = 10_000
"""A gate must be healthy for so long before the halt it made ends."""


class Gate(Protocol):
    """One thing that is looked at."""

    @property
    def name(self) -> GateName:
        """Which."""

    def read(self) -> Reading:
        """Return how it is now; quick, and without asking anybody."""


class Gates:
    """The gates of this mode, as they were at the last check."""

    def __init__(
        self, gates: Sequence[Gate], *, halt_after_ms: Millis, halts: Halts, events: RiskEvents, clock: Clock
    ) -> None:
        self._gates = {gate.name: gate for gate in gates}
        self._halt_after_ms = halt_after_ms
        self._halts = halts
        self._events = events
        self._clock = clock
        self._states: dict[GateName, GateState] = {}
        self._changed_ms: dict[GateName, Millis] = {}
        self._halted: set[GateName] = set()
        self._tripped: dict[GateName, Reading] = {}

    @property
    def names(self) -> tuple[GateName, ...]:
        """The gates that apply in this mode."""
        return tuple(self._gates)

    def states(self) -> tuple[GateState, ...]:
        """Return every gate as it was at the last check."""
        return tuple(self._states.values())

    def refusals(self) -> tuple[Reason, ...]:
        """Return why no trade is entered."""
        return tuple(refusal for state in self._states.values() if (refusal := state.refusal) is not None)

    def trip(self, readings: Mapping[GateName, Reading]) -> None:
        """Let gates read this until told otherwise, for a drill; those of other modes then apply too."""
        self._tripped = dict(readings)

    async def check(self) -> None:
        """Read every gate, tell what changed, and halt or resume where that is due."""
        for name in dict.fromkeys([*self._gates, *self._tripped]):
            reading = self._tripped[name] if name in self._tripped else self._gates[name].read()
            self._take(name, reading)
            await self._halt_or_resume(name, is_healthy=reading.is_healthy)

    def _take(self, name: GateName, reading: Reading) -> None:
        before = self._states.get(name)
        was_healthy = before is None or before.reading.is_healthy
        if before is None or reading.is_healthy != was_healthy:
            self._changed_ms[name] = self._clock.monotonic_ms()
            since_ms = self._clock.now_ms()
        else:
            since_ms = before.since_ms
        self._states[name] = GateState(name=name, reading=reading, since_ms=since_ms)
        if reading.is_healthy != was_healthy:
            code = "GATE_HEALTHY" if reading.is_healthy else f"GATE_{name}"
            detail = {"gate": name, "value": reading.value, "limit": reading.limit, "since_ms": since_ms}
            self._events.take(code, detail)

    async def _halt_or_resume(self, name: GateName, *, is_healthy: bool) -> None:
        cause = f"{BY_GATE}{name}"
        lasts_ms = self._clock.monotonic_ms() - self._changed_ms[name]
        is_halted = self._halts.is_open(cause)
        if is_halted:
            self._halted.add(name)
        if name in self._halted and not is_halted:
            # Somebody resumed: what lasts halts again, after as long as at first.
            self._halted.discard(name)
            self._changed_ms[name] = self._clock.monotonic_ms()
        elif not is_healthy and not is_halted and lasts_ms >= self._halt_after_ms:
            await self._halts.halt(cause, level=HaltLevel.ENTRIES, why=self._why(name, lasts_ms))
        elif is_healthy and is_halted and lasts_ms >= SETTLED_MS and name not in WAITS_FOR_A_PERSON:
            self._halted.discard(name)
            await self._halts.resume(cause)

    def _why(self, name: GateName, lasts_ms: Millis) -> str:
        reading = self._states[name].reading
        return f"{name} for {lasts_ms // 1000} s: {reading.value} (limit {reading.limit})"
