"""Hours of the whole worker: money adds up, the drawdown switch does what it owes, and no fill is missed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.ports.leader_fills import FillsSeen
from copytrade.ports.ledger import Ingested
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


def test_no_fill_is_missed_or_invented_while_something_breaks_every_minute(tmp_path: Path) -> None:
    outcome = play(tmp_path / "day.db", seed=1, hours=0.5, plan=PLAN, say=print, faults=30)

    assert outcome.breaches == []
    assert outcome.faults.total() >= 30
    assert len(+outcome.faults) >= 15
    found = outcome.reckoning
    assert found is not None
    assert found.venue == found.ledger >= 100
    assert (found.missed, found.invented, found.undecided) == (0, 0, 0)


def test_fills_that_are_dropped_are_counted_as_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest_before = SqlLedger.ingest

    async def ingest(self: SqlLedger, seen: FillsSeen, *, now_ms: int) -> Ingested:
        kept = tuple(one for one in seen.sightings if int(one.fill.tx_hash, 16) % 5)
        return await ingest_before(self, replace(seen, sightings=kept), now_ms=now_ms)

    monkeypatch.setattr(SqlLedger, "ingest", ingest)
    outcome = play(tmp_path / "day.db", seed=1, hours=0.2, plan=PLAN, say=print)

    found = outcome.reckoning
    assert found is not None
    assert found.missed == found.venue - found.ledger >= 5
    assert any("stored 0 times" in breach for breach in outcome.breaches)
