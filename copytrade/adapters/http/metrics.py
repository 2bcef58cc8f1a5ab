"""The worker's figures for Prometheus, counted as things happen.

Latencies are in seconds, each from the stage before; that of detection may be below zero, since a block can be told
before its own stamp. Slippage is in basis points of the leader's price, plus is worse for us.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from copytrade.domain.attempts import AttemptStatus, Decision
from copytrade.domain.fills import LeaderRole, Side
from copytrade.domain.halts import HaltLevel
from copytrade.domain.happenings import (
    Decided,
    FillDetected,
    FillJoined,
    Happening,
    Noted,
    OrderEnded,
    OrderFilled,
    OrderSent,
    PositionSettled,
)
from copytrade.domain.units import BPS
from copytrade.ports.notifier import Notifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.gates import GateState
    from copytrade.domain.halts import Halt
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

ROLES_KEPT_MAX: Final = 10_000
"""Open attempts of which the leader's role is remembered; beyond them it counts as unknown."""
DETECT_S: Final = (-2, -1, -0.5, 0, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60)
STAGE_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SLIPPAGE_BPS: Final = (-200, -100, -50, -20, -5, 0, 5, 20, 50, 100, 200, 500)
TIERS: Final = ("fresh", "soft_stale", "hard_stale", "without_book")
FORMAT: Final = CONTENT_TYPE_PLAIN_0_0_4


class Metrics(Notifier):
    """Listens to what the worker does; what it looks like now is asked when the figures are."""

    def __init__(self, clock: Clock, *, version: str) -> None:
        self._clock = clock
        self._roles: OrderedDict[UUID, LeaderRole] = OrderedDict()
        self._registry = CollectorRegistry()
        disable_created_metrics()  # Twice the series, for nothing that a dashboard asks.
        ProcessCollector(registry=self._registry)
        Info("copytrade_build", "Which program this is.", registry=self._registry).info({"version": version})
        self._detect = self._latency("detect", "Block's stamp to detection.", DETECT_S, "leader_role", "source")
        self._decision = self._latency("decision", "Detection to decision.", STAGE_S)
        self._placement = self._latency("placement", "Decision to the order being placed.", STAGE_S)
        self._first_fill = self._latency("first_fill", "Placement to the first execution.", STAGE_S)
        self._done = self._latency("done", "Placement to the order's end.", STAGE_S)
        self._behind_block = self._latency(
            "source_behind_block", "Block's stamp to a source's report.", DETECT_S, "leader_role", "source"
        )
        self._behind_first = self._latency(
            "source_behind_first", "First report to a source's own.", STAGE_S, "leader_role", "source"
        )
        self._commit = self._latency("commit", "A write to the database, from asking to durable.", STAGE_S, "kind")
        self._lag = Histogram(
            "copytrade_loop_lag_seconds", "How late the event loop is.", buckets=STAGE_S, registry=self._registry
        )
        worse = "Our price against the leader's, plus is worse for us."
        self._slippage = Histogram(
            "copytrade_slippage_bps", worse, ["leader_role"], buckets=SLIPPAGE_BPS, registry=self._registry
        )
        self._fills = self._count(
            "fills", "Leader fills stored for the first time.", "source", "leader_role", "history"
        )
        self._decisions = self._count("decisions", "Decisions made.", "decision", "leader_role")
        self._skips = self._count("skip_reasons", "Reasons of skipped fills.", "code", "leader_role")
        self._orders = self._count(
            "orders", "Orders that ended, by how much of them was filled.", "outcome", "leader_role"
        )
        self._executions = self._count("executions", "Executions booked.", "liquidity", "leader_role")
        self._settlements = self._count("settlements", "Positions that ended without a trade.", "kind")
        self._notes = self._count("notes", "What an operator was told.", "code")

    def page(self) -> bytes:
        """Return all figures as text in FORMAT."""
        return generate_latest(self._registry)

    def watch(
        self,
        *,
        books: Callable[[], Mapping[str, int]],
        depths: Mapping[str, Callable[[], int]],
        halts: Callable[[], Sequence[Halt]],
        gates: Callable[[], Sequence[GateState]],
    ) -> None:
        """Tell from now on how the books are, how many wait where, and what stops orders."""
        self._registry.register(_Present(books, depths))
        self._registry.register(_Stopped(halts, gates))

    def committed(self, kind: str, took_ms: Millis) -> None:
        """Count a write that became durable."""
        self._commit.labels(kind).observe(took_ms / 1000)

    def lagged(self, late_ms: Millis) -> None:
        """Count how late the loop came to something."""
        self._lag.observe(late_ms / 1000)

    def tell(self, happening: Happening) -> None:
        """Count it."""
        match happening:
            case FillDetected():
                self._detected(happening)
            case FillJoined(recorded=recorded, by=source):
                now_ms = self._clock.now_ms()
                self._behind_block.labels(recorded.fill.role, source).observe(
                    (now_ms - recorded.fill.fill_ts_ms) / 1000
                )
                self._behind_first.labels(recorded.fill.role, source).observe(
                    (now_ms - recorded.fill.detected_at_ms) / 1000
                )
            case Decided(recorded=recorded, attempt=attempt):
                self._decided(recorded, attempt)
            case OrderSent(attempt=attempt):
                self._since(self._placement, attempt, attempt.placed_at_ms, attempt.decided_at_ms)
            case OrderFilled(attempt=attempt, fill=fill, recorded=recorded):
                self._filled(attempt, fill, recorded)
            case OrderEnded(attempt=attempt):
                self._ended(attempt)
            case PositionSettled(settlement=settlement):
                self._settlements.labels(settlement.kind).inc()
            case Noted(code=code):
                self._notes.labels(code).inc()

    def _detected(self, seen: FillDetected) -> None:
        fill = seen.recorded.fill
        self._fills.labels(fill.source, fill.role, str(seen.is_history).lower()).inc()
        if not seen.is_history:
            self._detect.labels(fill.role, fill.source).observe((fill.detected_at_ms - fill.fill_ts_ms) / 1000)
            self._behind_block.labels(fill.role, fill.source).observe((fill.detected_at_ms - fill.fill_ts_ms) / 1000)
            self._behind_first.labels(fill.role, fill.source).observe(0)

    def _decided(self, recorded: RecordedFill, attempt: ExecutionAttempt) -> None:
        role = recorded.fill.role
        self._decisions.labels(attempt.decision, role).inc()
        self._decision.labels(role).observe((attempt.decided_at_ms - recorded.fill.detected_at_ms) / 1000)
        if attempt.decision is Decision.SKIP:
            for one in attempt.reasons:
                self._skips.labels(one.code, role).inc()
            return
        self._remember(attempt.id, role)

    def _filled(self, attempt: ExecutionAttempt, fill: ExecutionFill, recorded: RecordedFill | None) -> None:
        if recorded is not None:
            self._remember(attempt.id, recorded.fill.role)
        self._executions.labels(fill.liquidity, self._role(attempt)).inc()
        if attempt.filled_shares == fill.shares:
            self._since(self._first_fill, attempt, attempt.first_fill_at_ms, attempt.placed_at_ms)
        if recorded is not None and recorded.fill.price:
            theirs = recorded.fill.price
            worse = fill.price - theirs if fill.side is Side.BUY else theirs - fill.price
            self._slippage.labels(recorded.fill.role).observe(worse * BPS / theirs)

    def _ended(self, attempt: ExecutionAttempt) -> None:
        self._orders.labels(_outcome(attempt), self._role(attempt)).inc()
        self._since(self._done, attempt, attempt.done_at_ms, attempt.placed_at_ms)
        self._roles.pop(attempt.id, None)

    def _since(
        self, stage: Histogram, attempt: ExecutionAttempt, later_ms: Millis | None, earlier_ms: Millis | None
    ) -> None:
        if later_ms is not None and earlier_ms is not None:
            stage.labels(self._role(attempt)).observe((later_ms - earlier_ms) / 1000)

    def _remember(self, attempt_id: UUID, role: LeaderRole) -> None:
        self._roles[attempt_id] = role
        while len(self._roles) > ROLES_KEPT_MAX:
            self._roles.popitem(last=False)

    def _role(self, attempt: ExecutionAttempt) -> LeaderRole:
        return self._roles.get(attempt.id, LeaderRole.UNKNOWN)

    def _latency(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(
            f"copytrade_{name}_seconds", meaning, labels or ("leader_role",), buckets=buckets, registry=self._registry
        )

    def _count(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"copytrade_{name}", meaning, labels, registry=self._registry)


class _Present(Collector):
    """What can be asked at any time: it is not counted, it is looked at."""

    def __init__(self, books: Callable[[], Mapping[str, int]], depths: Mapping[str, Callable[[], int]]) -> None:
        self._books = books
        self._depths = depths

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Look."""
        figures = self._books()
        books = GaugeMetricFamily("copytrade_books", "Tracked tokens by the age of their book.", labels=["tier"])
        for tier in TIERS:
            books.add_metric([tier], figures.get(tier, 0))
        yield books
        oldest_s = figures.get("oldest_age_ms", 0) / 1000
        yield GaugeMetricFamily("copytrade_book_age_oldest_seconds", "Age of the oldest book.", value=oldest_s)
        depth = GaugeMetricFamily("copytrade_queue_depth", "How many wait where.", labels=["queue"])
        for queue, count in self._depths.items():
            depth.add_metric([queue], count())
        yield depth


class _Stopped(Collector):
    """What stops orders now."""

    def __init__(self, halts: Callable[[], Sequence[Halt]], gates: Callable[[], Sequence[GateState]]) -> None:
        self._halts = halts
        self._gates = gates

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Look. Each level is told, halted or not, so that an alert can tell 0 from a worker that is gone."""
        levels = [halt.level for halt in self._halts()]
        halted = GaugeMetricFamily(
            "copytrade_halted", "Halts in force: of entries, or of all that is sent.", labels=["level"]
        )
        for level in HaltLevel:
            halted.add_metric([level], levels.count(level))
        yield halted
        closed = GaugeMetricFamily("copytrade_gate_closed", "1 while a health gate refuses entries.", labels=["gate"])
        for state in self._gates():
            closed.add_metric([state.name], float(not state.reading.is_healthy))
        yield closed


def _outcome(attempt: ExecutionAttempt) -> str:
    if attempt.status is AttemptStatus.FILLED:
        return "filled"
    if attempt.filled_shares:
        return "partial"
    return "failed" if attempt.status is AttemptStatus.FAILED else "unfilled"
