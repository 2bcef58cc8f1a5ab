"""What people read of leaders' events and positions in the database."""

from __future__ import annotations

import json
from pathlib import Path

from copytrade.adapters.sql import schema
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.reports import SqlReports
from copytrade.domain.leader_events import LeaderEventKind, snapshots_of
from copytrade.ports.leader_fills import FillsSeen
from tests.contract.test_ledger_leader_events import an_event
from tests.ledger_facts import a_log
from tests.ledgers import rows, sql_database
from tests.makers import LEADER, NO, NOW_MS, YES, a_leader, a_market, micro


async def test_a_person_reads_events_notes_counts_and_positions(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    schema.upgrade(url)
    async with sql_database(url) as database:
        ledger, reports = SqlLedger(database), SqlReports(database)
        await ledger.add_leader(a_leader())
        await ledger.save_markets([a_market()])
        listing = snapshots_of(LEADER, [(NO, micro("30"))], at_ms=NOW_MS - 60_000, is_whole=True)
        merged = an_event(shares=micro("5"), event_ts_ms=NOW_MS + 1_000)
        await ledger.keep_leader_events([*listing, merged], now_ms=NOW_MS + 5_000)
        bought = a_log(1, tx_hash="0x01", fill_ts_ms=NOW_MS)
        await ledger.ingest(FillsSeen(source=bought.fill.source, sightings=(bought,)), now_ms=NOW_MS)

        events = await database.read(lambda open_: rows(open_, "SELECT kind, policy, shares FROM leader_event"))
        notes = await database.read(lambda open_: rows(open_, "SELECT code, detail FROM worker_event"))
        status = await reports.status(now_ms=NOW_MS)
        held = await reports.leader_positions(LEADER)

    assert ("MERGE", "alert", 5.0) in [(row["kind"], row["policy"], row["shares"]) for row in events]
    assert [row["code"] for row in notes] == ["LEADER_MERGED"]
    assert json.loads(str(notes[0]["detail"]))["shares"] == "5.00"
    assert status["leader_events_by_kind"] == {LeaderEventKind.MERGE: 1, LeaderEventKind.SNAPSHOT: 2}
    assert held == [
        {"token_id": YES, "shares": "95.00", "unknown": ""},
        {"token_id": NO, "shares": "25.00", "unknown": ""},
    ]
