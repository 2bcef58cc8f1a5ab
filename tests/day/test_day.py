"""Two hours of the whole worker around a midnight: money adds up, and the drawdown switch does what it owes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.day.bustle import Plan
from tests.day.day import play
from tests.day.outages import OUTAGES

PLAN = Plan(leaders=24, first_markets=24, order_every_ms=12_000)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_audit_is_clean_pnl_adds_up_and_the_switch_fires_when_and_only_when_it_should(tmp_path: Path) -> None:
    outcome = play(tmp_path / "day.db", seed=0, hours=2.0, plan=PLAN, say=print)

    assert outcome.breaches == []
    assert outcome.thrown_at_loss
    assert outcome.most_lost_unthrown > 0
    counts = outcome.counts
    assert counts["leaders"] == PLAN.leaders
    assert counts["executions"] >= 100
    assert counts["settlements"] >= 50
    assert counts["markets void"] >= 1
    assert counts["lives"] >= 4
    assert counts["rows audited"] >= 1_000
    assert {name.removeprefix("outage ") for name in counts if name.startswith("outage ")} == set(OUTAGES)
