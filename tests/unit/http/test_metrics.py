"""What happens is counted by the leader's role, and the example dashboard asks for nothing that is not there."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from copytrade.adapters.http import metrics as module
from copytrade.adapters.http.metrics import Metrics
from copytrade.domain.attempts import AttemptStatus, Decision, reason
from copytrade.domain.fills import LeaderRole, Source
from copytrade.domain.gates import GateName, GateState, Reading
from copytrade.domain.halts import BY_OPERATOR, HaltLevel, new_halt
from copytrade.domain.happenings import (
    Decided,
    FillDetected,
    FillJoined,
    Noted,
    OrderEnded,
    OrderFilled,
    OrderSent,
)
from copytrade.domain.positions import Position
from copytrade.ports.clock import Clock
from tests.ledger_facts import an_attempt, an_execution
from tests.makers import NOW_MS, YES, a_fill, micro, recorded

ROOT = Path(__file__).parents[3]
POSITION = Position(strategy_id="copy", account_id="paper", token_id=YES)


class StandingClock(Clock):
    def now_ms(self) -> int:
        return NOW_MS + 3_000

    def monotonic_ms(self) -> int:
        return 0

    async def sleep_ms(self, duration_ms: int) -> None:
        raise AssertionError


def some_metrics() -> Metrics:
    metrics = Metrics(StandingClock(), version="1.2.3")
    figures = {"fresh": 5, "soft_stale": 2, "hard_stale": 1, "without_book": 3, "oldest_age_ms": 7_500}
    halts = [new_halt(BY_OPERATOR, level=HaltLevel.ENTRIES, why="x", by="me", now_ms=NOW_MS)]
    gates = [
        GateState(name=name, reading=Reading(is_healthy=is_healthy, value="1", limit="2"), since_ms=NOW_MS)
        for name, is_healthy in ((GateName.BOOKS, False), (GateName.DATABASE, True))
    ]
    metrics.watch(books=lambda: figures, depths={"inbox": lambda: 4}, halts=lambda: halts, gates=lambda: gates)
    return metrics


def a_copied_fill(metrics: Metrics, **changes: Any) -> None:
    """Tell of a fill of a maker that was bought in two parts and then cut off."""
    seen = recorded(a_fill(role=LeaderRole.MAKER, fill_ts_ms=NOW_MS, detected_at_ms=NOW_MS - 400, **changes))
    attempt = an_attempt(seen, decided_at_ms=NOW_MS - 390, placed_at_ms=NOW_MS - 240)
    first = an_execution(attempt, trade="1", shares="30", price=micro("0.505"), fill_at_ms=NOW_MS + 760)
    second = an_execution(attempt, trade="2", shares="30", price=micro("0.5"), fill_at_ms=NOW_MS + 900)
    begun = replace(attempt, first_fill_at_ms=NOW_MS + 760, filled_shares=micro("30"))
    more = replace(begun, filled_shares=micro("60"))
    ended = replace(begun, filled_shares=micro("60"), status=AttemptStatus.CANCELED, done_at_ms=NOW_MS + 4_760)
    for happening in (
        FillDetected(recorded=seen, leader_label="", market=None, stored_at_ms=NOW_MS, is_history=False),
        FillJoined(recorded=seen, by=Source.DATA_API),
        Decided(recorded=seen, attempt=attempt, market=None, book=None),
        OrderSent(attempt=attempt),
        OrderFilled(attempt=begun, fill=first, position=POSITION, recorded=seen),
        OrderFilled(attempt=more, fill=second, position=POSITION, recorded=seen),
        OrderEnded(attempt=ended, status=ended.status, reason=None),
        Noted(code="RECONNECTED", detail={}, at_ms=NOW_MS),
    ):
        metrics.tell(happening)


def samples(metrics: Metrics) -> dict[str, float]:
    """Return every sample of the page by its name and labels, as a program reads it."""
    return {
        sample.name + "".join(f"|{value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.page().decode())
        for sample in family.samples
    }


def test_each_stage_of_a_fill_is_timed_by_the_leaders_role() -> None:
    metrics = some_metrics()
    a_copied_fill(metrics)

    found = samples(metrics)

    stages = ("decision", "placement", "first_fill", "done")
    timed = {stage: found[f"copytrade_{stage}_seconds_sum|maker"] for stage in stages}
    assert timed == pytest.approx({"decision": 0.01, "placement": 0.15, "first_fill": 1.0, "done": 5.0})
    assert {found[f"copytrade_{stage}_seconds_count|maker"] for stage in stages} == {1}
    assert found["copytrade_detect_seconds_bucket|-0.5|maker|polygon"] == 0
    assert found["copytrade_detect_seconds_bucket|0.0|maker|polygon"] == 1


def test_outcomes_slippage_and_sources_are_counted() -> None:
    metrics = some_metrics()
    a_copied_fill(metrics)
    a_copied_fill(metrics)

    found = samples(metrics)

    assert found["copytrade_orders_total|maker|partial"] == 2
    assert found["copytrade_executions_total|maker|taker"] == 4
    assert found["copytrade_slippage_bps_bucket|50.0|maker"] == 2
    assert found["copytrade_slippage_bps_bucket|100.0|maker"] == 4
    assert found["copytrade_fills_total|false|maker|polygon"] == 2
    assert found["copytrade_source_behind_first_seconds_sum|maker|data_api"] == pytest.approx(6.8)
    assert found["copytrade_source_behind_block_seconds_bucket|3.0|maker|data_api"] == 2
    assert found["copytrade_notes_total|RECONNECTED"] == 2


@pytest.mark.parametrize(
    ("filled", "status", "outcome"),
    [
        ("100", AttemptStatus.FILLED, "filled"),
        ("1", AttemptStatus.FAILED, "partial"),
        ("0", AttemptStatus.CANCELED, "unfilled"),
        ("0", AttemptStatus.FAILED, "failed"),
    ],
)
def test_an_order_ends_in_one_of_four_ways(filled: str, status: AttemptStatus, outcome: str) -> None:
    metrics = some_metrics()
    attempt = an_attempt(recorded(), filled_shares=micro(filled), status=status)

    metrics.tell(OrderEnded(attempt=attempt, status=status, reason=None))

    assert samples(metrics)[f"copytrade_orders_total|unknown|{outcome}"] == 1


def test_a_skip_counts_each_of_its_reasons() -> None:
    metrics = some_metrics()
    reasons = (reason("TOO_OLD"), reason("NO_BOOK"))
    skip = an_attempt(recorded(), decision=Decision.SKIP, reasons=reasons)

    metrics.tell(Decided(recorded=recorded(), attempt=skip, market=None, book=None))

    found = samples(metrics)
    assert found["copytrade_decisions_total|SKIP|taker"] == 1
    assert found["copytrade_skip_reasons_total|TOO_OLD|taker"] == 1
    assert found["copytrade_skip_reasons_total|NO_BOOK|taker"] == 1


def test_an_execution_of_an_order_of_an_earlier_life_has_the_role_of_its_fill() -> None:
    metrics = some_metrics()
    seen = recorded(a_fill(role=LeaderRole.MAKER))
    attempt = an_attempt(seen, status=AttemptStatus.PARTIAL, filled_shares=micro("30"))
    execution = an_execution(attempt, trade="1", shares="30")

    metrics.tell(OrderFilled(attempt=attempt, fill=execution, position=POSITION, recorded=seen))
    metrics.tell(OrderEnded(attempt=attempt, status=AttemptStatus.CANCELED, reason=None))

    found = samples(metrics)
    assert found["copytrade_executions_total|maker|taker"] == 1
    assert found["copytrade_orders_total|maker|partial"] == 1


def test_every_figure_of_copies_is_told_by_the_leaders_role() -> None:
    metrics = some_metrics()
    a_copied_fill(metrics)
    skip = an_attempt(recorded(), decision=Decision.SKIP, reasons=(reason("TOO_OLD"),))
    metrics.tell(Decided(recorded=recorded(), attempt=skip, market=None, book=None))

    without = {
        family.name
        for family in text_string_to_metric_families(metrics.page().decode())
        if family.samples and "leader_role" not in family.samples[0].labels
    }

    of_the_process = {name for name in without if name.startswith("process_")}
    of_the_worker = {"books", "book_age_oldest_seconds", "build_info", "gate_closed", "halted", "loop_lag_seconds"}
    of_the_worker |= {"notes", "queue_depth"}
    assert without - of_the_process == {f"copytrade_{name}" for name in of_the_worker}


def test_what_is_now_is_asked_when_the_page_is() -> None:
    metrics = some_metrics()
    metrics.committed("write", 12)
    metrics.lagged(3)

    found = samples(metrics)

    assert (found["copytrade_books|soft_stale"], found["copytrade_book_age_oldest_seconds"]) == (2, 7.5)
    assert found["copytrade_queue_depth|inbox"] == 4
    assert (found["copytrade_halted|entries"], found["copytrade_halted|all"]) == (1, 0)
    assert (found["copytrade_gate_closed|BOOKS"], found["copytrade_gate_closed|DATABASE"]) == (1, 0)
    assert found["copytrade_commit_seconds_bucket|write|0.025"] == 1
    assert found["copytrade_loop_lag_seconds_bucket|0.0025"] == 0
    assert found["copytrade_build_info|1.2.3"] == 1


def test_the_memory_for_roles_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROLES_KEPT_MAX", 2)
    metrics = some_metrics()
    for number in range(5):
        seen = recorded(a_fill(tx_hash=f"0x{number}"))
        metrics.tell(Decided(recorded=seen, attempt=an_attempt(seen), market=None, book=None))

    assert len(metrics._roles) == 2


def test_the_example_dashboard_asks_for_nothing_that_is_not_there() -> None:
    metrics = some_metrics()
    a_copied_fill(metrics)
    skip = an_attempt(recorded(), decision=Decision.SKIP, reasons=(reason("TOO_OLD"),))
    metrics.tell(Decided(recorded=recorded(), attempt=skip, market=None, book=None))
    metrics.committed("write", 1)
    page = metrics.page().decode()

    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text("utf-8"))
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\b(?:copytrade|process)_\w+", target["expr"])
    }

    assert len(asked) > 15
    assert {name for name in asked if not re.search(rf"^{name}[ {{]", page, re.MULTILINE)} == set()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_example_dashboard_sums_by_labels_that_its_figures_have() -> None:
    metrics = some_metrics()
    a_copied_fill(metrics)
    skip = an_attempt(recorded(), decision=Decision.SKIP, reasons=(reason("TOO_OLD"),))
    metrics.tell(Decided(recorded=recorded(), attempt=skip, market=None, book=None))
    metrics.committed("write", 1)
    families = list(text_string_to_metric_families(metrics.page().decode()))
    labels = {sample.name: set(sample.labels) for family in families for sample in family.samples}

    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text("utf-8"))
    summed = [
        (name, label)
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for by, name in re.findall(r"by \(([^)]*)\) \((?:rate|increase)\((\w+)", target["expr"])
        for label in by.split(", ")
    ]

    assert len(summed) > 20
    assert [(name, label) for name, label in summed if label not in labels[name]] == []
