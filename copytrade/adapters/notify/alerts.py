"""Incidents on their way to people: each once, at a bounded rate, by channels that may fail without harm."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from copytrade.domain.happenings import Happening, Noted
from copytrade.ports.notifier import Notifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from copytrade.domain.redaction import Redaction
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

ALERTS_WAITING_MAX: Final = 100
INCIDENTS_REMEMBERED_MAX: Final = 1_000
INCIDENT_MS: Final[Millis] = 86_400_000
"""The same incident is told again after so long."""
PER_MINUTE_MAX: Final = 20
MINUTE_MS: Final[Millis] = 60_000
TRIES_MAX: Final = 3
RETRY_FIRST_MS: Final[Millis] = 1_000
RETRY_MAX_MS: Final[Millis] = 60_000
FAILURE_NOTED_EVERY_MS: Final[Millis] = 600_000
TEXT_LENGTH_MAX: Final = 1_000
INCIDENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "HALTED": ("cause", "level", "why", "since_ms"),
    "RESUMED": ("cause", "level", "why", "since_ms"),
    "LIMIT_SET": (),
    "GATE_BOOKS": ("since_ms",),
    "GATE_CHAIN_LAG": ("since_ms",),
    "GATE_PROVED_LAG": ("since_ms",),
    "GATE_REGISTRY_AGE": ("since_ms",),
    "GATE_DATABASE": ("since_ms",),
    "GATE_CLOCK_SKEW": ("since_ms",),
    "GATE_SOURCES": ("since_ms",),
    "GATE_HEALTHY": ("gate", "since_ms"),
    "DRIFT_ADDRESS": ("address",),
    "DRIFT_TOPIC": ("address", "topic"),
    "DRIFT_API_ONLY": ("fill",),
    "GAMMA_VERSION_MIX": (),
    "REORG_UNDER_COPY": ("attempts",),
    "RESOLUTION_CONFLICT": ("condition_id",),
    "MIGRATION_UNMAPPED": (),
    "CASH_BELOW_ZERO": (),
    "ACCOUNT_DIFFERS": (),
    "TRADE_FAILED": ("trade",),
    "SETTLEMENT_LATE": ("trade",),
    "EXECUTION_IMPOSSIBLE": (),
    "HEARTBEAT_MISSED": ("account",),
    "RUNG_MOVED": ("account", "revision"),
    "RECONCILE_DIFFERENCES": ("differences",),
    "DAILY_SUMMARY": ("day_began_ms", "strategy_id", "account_id"),
}
"""What people are told, and what of its detail makes two of a kind the same incident; nothing is all of it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What is told: a code, one text for people, and the details for programs. Free of secrets."""

    code: str
    text: str
    detail: Mapping[str, Any]
    at_ms: Millis


class NotDeliveredError(Exception):
    """A channel did not take an alert; with `retry_after_ms` it may later, without it never."""

    def __init__(self, why: str, *, retry_after_ms: Millis | None = None) -> None:
        super().__init__(why)
        self.retry_after_ms = retry_after_ms


class Channel(Protocol):
    """A way to people."""

    @property
    def name(self) -> str:
        """How it is called in counts and in the log."""

    async def send(self, alert: Alert) -> None:
        """Deliver one alert.

        :raises NotDeliveredError: it was not taken.
        """


class Alerts(Notifier):
    """Picks incidents out of what happens and hands them to every channel, in a loop of its own."""

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        redaction: Redaction,
        clock: Clock,
        note: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        """Prepare; `note` gets what an operator should find later: that a channel fails."""
        self._channels = channels
        self._redaction = redaction
        self._clock = clock
        self._note = note
        self._waiting: asyncio.Queue[Alert] = asyncio.Queue(ALERTS_WAITING_MAX)
        self._known: OrderedDict[str, Millis] = OrderedDict()
        self._sent_ms: deque[Millis] = deque(maxlen=PER_MINUTE_MAX)
        self._failure_noted_ms: dict[str, Millis] = {}
        self.delivered: dict[str, int] = {channel.name: 0 for channel in channels}
        self.failed: dict[str, int] = {channel.name: 0 for channel in channels}
        self.dropped = 0

    def tell(self, happening: Happening) -> None:
        """Queue an incident that was not told yet; one for which there is no room is counted."""
        if not isinstance(happening, Noted) or happening.code not in INCIDENTS:
            return
        if self._is_known(happening):
            return
        if self._waiting.full():
            self.dropped += 1
            return
        self._waiting.put_nowait(self._alert(happening))

    async def run(self) -> None:
        """Deliver in order until cancelled."""
        while True:
            alert = await self._waiting.get()
            await self._keep_the_rate()
            for channel in self._channels:
                await self._deliver(channel, alert)
            if self.dropped and self._waiting.empty():
                dropped, self.dropped = self.dropped, 0
                self._note("ALERTS_DROPPED", {"count": dropped})

    def _alert(self, noted: Noted) -> Alert:
        detail = self._redaction.value(json.loads(json.dumps(dict(noted.detail), default=str)))
        facts = ", ".join(f"{name}={value}" for name, value in detail.items())
        text = self._redaction.text(f"{noted.code}: {facts}")[:TEXT_LENGTH_MAX]
        return Alert(code=noted.code, text=text, detail=detail, at_ms=noted.at_ms)

    def _is_known(self, noted: Noted) -> bool:
        """Tell whether an incident was told lately; it is remembered if not."""
        now_ms = self._clock.monotonic_ms()
        names = INCIDENTS[noted.code] or tuple(noted.detail)
        facts = {name: noted.detail.get(name) for name in names}
        incident = json.dumps([noted.code, facts], default=str, sort_keys=True)
        told_ms = self._known.get(incident)
        if told_ms is not None and now_ms - told_ms < INCIDENT_MS:
            return True
        self._known[incident] = now_ms
        self._known.move_to_end(incident)
        while len(self._known) > INCIDENTS_REMEMBERED_MAX:
            self._known.popitem(last=False)
        return False

    async def _keep_the_rate(self) -> None:
        if len(self._sent_ms) == PER_MINUTE_MAX:
            await self._clock.sleep_ms(self._sent_ms[0] + MINUTE_MS - self._clock.monotonic_ms())
        self._sent_ms.append(self._clock.monotonic_ms())

    async def _deliver(self, channel: Channel, alert: Alert) -> None:
        """Try a few times; what is not delivered then is counted and given up."""
        for number in range(TRIES_MAX):
            try:
                await channel.send(alert)
            except NotDeliveredError as error:
                why = self._redaction.text(str(error))
                log.warning("alert.not_delivered", channel=channel.name, code=alert.code, why=why, tries=number + 1)
                if error.retry_after_ms is None or number == TRIES_MAX - 1:
                    self._give_up(channel, alert, why)
                    return
                pause_ms = max(error.retry_after_ms, RETRY_FIRST_MS * 2**number)
                await self._clock.sleep_ms(min(pause_ms, RETRY_MAX_MS))
            else:
                self.delivered[channel.name] += 1
                return

    def _give_up(self, channel: Channel, alert: Alert, why: str) -> None:
        self.failed[channel.name] += 1
        now_ms = self._clock.monotonic_ms()
        noted_ms = self._failure_noted_ms.get(channel.name)
        if noted_ms is None or now_ms - noted_ms >= FAILURE_NOTED_EVERY_MS:
            self._failure_noted_ms[channel.name] = now_ms
            failed = self.failed[channel.name]
            self._note("NOTIFIER_FAILED", {"channel": channel.name, "code": alert.code, "why": why, "failed": failed})


class LogChannel(Channel):
    """The log."""

    name = "log"

    async def send(self, alert: Alert) -> None:
        log.warning("alert", code=alert.code, text=alert.text)
