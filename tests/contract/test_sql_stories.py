"""The story of one fill and the figures of all of them: the same on both databases, found by index."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from copytrade.adapters.sql import schema
from copytrade.adapters.sql.engine import Database
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.statistics import SqlStatistics
from copytrade.adapters.sql.stories import SqlStories
from copytrade.domain.attempts import AttemptStatus, Decision, Liquidity, reason
from copytrade.domain.attribution import Way, outcome_of
from copytrade.domain.fills import LeaderRole, RecordedFill, Side, Source
from copytrade.domain.markouts import HORIZONS, FillMarks
from copytrade.domain.markouts import OVERDUE_MS as MARK_OVERDUE_MS
from copytrade.ports.leader_fills import ChainConfirmed, FillsSeen
from tests.integration.test_sql_plans import listened, scans
from tests.ledger_facts import a_log, a_row, a_submitted, an_attempt, an_attribution, an_execution, removed
from tests.ledgers import sql_database
from tests.makers import LEADER, NO, NOW_MS, OTHER, YES, a_leader, a_market, micro

WAY = Way(leader=micro("0.5"), mid_at_decision=micro("0.495"), touch_at_decision=micro("0.5"))


async def some_trading(database: Database) -> list[RecordedFill]:
    """A buy in two fills, a sell at rest that was cut off, a skip, a fill of long ago, and one a reorg took."""
    ledger = SqlLedger(database)
    await ledger.add_leader(a_leader(label="Ann"))
    await ledger.add_leader(a_leader(address=OTHER, label="Bob"))
    await ledger.save_markets([a_market()])
    logs = (
        a_log(1, tx_hash="0xaaaa01", fill_ts_ms=NOW_MS, detected_at_ms=NOW_MS + 40),
        a_log(2, tx_hash="0xaaaa02", side=Side.SELL, fill_ts_ms=NOW_MS, detected_at_ms=NOW_MS + 60),
        a_log(3, tx_hash="0xbb03", leader=OTHER, token_id=NO, role=LeaderRole.MAKER, number=101),
        a_log(4, tx_hash="0xcc04", fill_ts_ms=NOW_MS - 10**9),
        a_log(5, tx_hash="0xdd05", number=300),
    )
    seen = await ledger.ingest(FillsSeen(source=Source.POLYGON, sightings=logs), now_ms=NOW_MS)
    bought, sold, skipped, history, gone = seen.new
    row = a_row(tx_hash="0xaaaa01", detected_at_ms=NOW_MS + 2_040)
    await ledger.ingest(FillsSeen(source=Source.DATA_API, sightings=(row,)), now_ms=NOW_MS)
    await ledger.orphan(removed(logs[4]), now_ms=NOW_MS + 9)
    await ledger.confirm(ChainConfirmed(block_number=100, at_ms=NOW_MS + 60_000))

    buy = an_attempt(bought, decided_at_ms=NOW_MS + 50, reasons=(reason("MARKETABLE", limit="0.51", book_age_ms=120),))
    sell = an_attempt(sold, decided_at_ms=NOW_MS + 70, created_at_ms=NOW_MS + 2)
    skip = an_attempt(
        skipped,
        decision=Decision.SKIP,
        status=AttemptStatus.SKIPPED,
        reasons=(reason("TOO_OLD", age_ms=31_000),),
        created_at_ms=NOW_MS + 3,
    )
    for attempt in (buy, sell, skip):
        await ledger.record_attempt(attempt)
    await ledger.submit_attempt(buy.id, order_hash="0x" + "b0" * 32, placed_at_ms=NOW_MS + 200)
    await ledger.submit_attempt(sell.id, order_hash="0x" + "50" * 32, placed_at_ms=NOW_MS + 220)
    maker: dict[str, Any] = {"liquidity": Liquidity.MAKER, "fee_usdc": 0}
    first = an_execution(buy, trade="1", shares="60", price=micro("0.5"), fill_at_ms=NOW_MS + 200)
    second = an_execution(buy, trade="2", shares="40", price=micro("0.51"), fill_at_ms=NOW_MS + 900, **maker)
    third = an_execution(sell, trade="3", shares="30", price=micro("0.45"), fill_at_ms=NOW_MS + 1_000)
    for execution in (first, second, third):
        await ledger.book_execution(execution)
    await ledger.close_attempt(sell.id, status=AttemptStatus.CANCELED, reason=None, at_ms=NOW_MS + 5_220)
    outcome = outcome_of(Side.BUY, WAY, [first, second])
    await ledger.keep_attributions([an_attribution(buy, way=WAY, outcome=outcome, is_final=True)], now_ms=NOW_MS)
    marks = FillMarks(attempt_id=buy.id, token_id=YES, fill_at_ms=NOW_MS + 200)
    await ledger.keep_marks([marks.marked("1s", micro("0.52")).lacking("10s", "NO_BOOK")])
    return [bought, sold, skipped, history, gone]


async def test_a_story_tells_who_saw_it_what_was_decided_and_what_it_cost(migrated_url: str) -> None:
    async with sql_database(migrated_url) as database:
        bought, *_ = await some_trading(database)
        story = await SqlStories(database).story(bought.id, now_ms=NOW_MS + 30_000)

    fill, (attempt,) = story["fill"], story["attempts"]
    assert (fill["state"], fill["confirmed_at"]) == ("confirmed", "2026-09-21T14:14:20.000Z")
    assert (fill["label"], fill["price"], fill["title"], fill["outcome"]) == (
        "Ann",
        "0.50",
        "Will it rain in Paris?",
        "Yes",
    )
    assert [(one["source"], one["behind_block_ms"], one["behind_first_ms"]) for one in story["sources"]] == [
        ("polygon", 40, 0),
        ("data_api", 2_040, 2_000),
    ]
    assert attempt["reasons"] == [{"code": "MARKETABLE", "limit": "0.51", "book_age_ms": "120"}]
    assert attempt["latency_ms"] == {
        "detect": 40,
        "decide": 10,
        "place": 150,
        "first_fill": 0,
        "done": 700,
        "total": 200,
    }
    lost = attempt["attribution"]["lost_usdc"]
    assert (lost["decision_delay"], lost["spread"], lost["placement_delay"], lost["depth"]) == (
        "-0.50",
        "0.50",
        None,
        None,
    )
    assert (lost["unknown"], lost["fee"], lost["total"]) == ("0.40", "0.25", "0.65")
    assert attempt["attribution"]["missing"] == {"book_at_placement": "NO_BOOK"}
    effects = [(one["position_before"]["shares"], one["position_after"]["shares"]) for one in attempt["executions"]]
    assert effects == [("0.00", "60.00"), ("60.00", "100.00")]
    assert [one["slippage_bps"] for one in attempt["executions"]] == [0, 200]
    (marks,) = attempt["markouts"]
    assert marks["1s"] == {"mid": "0.52", "gained_usdc": "1.20"}
    assert marks["10s"] == {"unknown": "NO_BOOK"}
    assert marks["1m"] == {"due": "2026-09-21T14:14:20.200Z"}


async def test_what_will_never_come_is_not_told_as_to_come(migrated_url: str) -> None:
    placed_ms = NOW_MS + 200
    async with sql_database(migrated_url) as database:
        bought, *_ = await some_trading(database)
        stories = SqlStories(database)
        kept = await a_submitted(SqlLedger(database), tx="0e")
        over_ms = kept.over_ms
        due_ms = placed_ms + HORIZONS["1m"] + MARK_OVERDUE_MS
        told = {at_ms: (await stories.story(bought.id, now_ms=at_ms))["attempts"][0] for at_ms in (due_ms, due_ms + 1)}
        left = [
            (await stories.story(kept.leader_fill_id, now_ms=at_ms))["attempts"][0] for at_ms in (over_ms, over_ms + 1)
        ]

    (soon, late) = (one["markouts"][0] for one in told.values())
    assert (soon["1m"], late["1m"]) == ({"due": "2026-09-21T14:14:20.200Z"}, {"unknown": "NOT_WATCHED"})
    assert late["10m"] == {"due": "2026-09-21T14:23:20.200Z"}
    assert late["resolution"] == {"due": "when the market is resolved"}
    assert [one["is_left"] for one in left] == [False, True]


async def test_a_position_is_told_as_it_stood_around_each_execution(migrated_url: str) -> None:
    async with sql_database(migrated_url) as database:
        _, sold, *_ = await some_trading(database)
        (attempt,) = (await SqlStories(database).story(sold.id, now_ms=NOW_MS))["attempts"]

    (execution,) = attempt["executions"]
    assert (execution["position_before"]["shares"], execution["position_before"]["cost_usdc"]) == ("100.00", "50.40")
    assert execution["position_after"] == {
        "shares": "70.00",
        "cost_usdc": "35.28",
        "realized_pnl_usdc": "-1.62",
        "fees_usdc": "0.50",
    }
    assert (attempt["attribution"], attempt["markouts"]) == (None, [])


async def test_a_fill_without_an_attempt_says_why(migrated_url: str) -> None:
    async with sql_database(migrated_url) as database:
        *_, skipped, history, gone = await some_trading(database)
        stories = SqlStories(database)
        told = [await stories.story(one.id, now_ms=NOW_MS) for one in (skipped, history, gone)]
        with pytest.raises(LookupError, match="no fill has the id"):
            await stories.story(UUID(int=1), now_ms=NOW_MS)

    verdicts = {one["rule"]: one["verdict"] for one in told[0]["attempts"][0]["verdicts"]}
    assert (verdicts["age"], verdicts["book"]) == ("refused", "passed")
    assert [one["no_attempt"].split(":")[0] for one in told] == [
        "",
        "history",
        "a reorg took it away before it was decided",
    ]
    assert told[2]["fill"]["state"] == "orphaned"


async def test_a_fill_is_found_by_anything_that_names_it_and_by_its_beginning(migrated_url: str) -> None:
    async with sql_database(migrated_url) as database:
        bought, *_ = await some_trading(database)
        stories = SqlStories(database)
        attempt = an_attempt(bought).id
        execution = an_execution(an_attempt(bought), trade="1").id
        names = [
            *(str(one) for one in (bought.id, attempt, execution)),
            *(str(one)[:11].upper() for one in (bought.id, attempt, execution)),
            attempt.hex,
            *("0xaaaa01", "0x" + "b0" * 32, bought.dedupe_key, f"  {bought.id} "),
        ]

        for name in names:
            assert [match.fill_id for match in await stories.find(name)] == [bought.id], name


async def test_a_beginning_of_several_names_all_of_them_and_nonsense_none(migrated_url: str) -> None:
    async with sql_database(migrated_url) as database:
        bought, sold, *_ = await some_trading(database)
        stories = SqlStories(database)

        assert {match.fill_id for match in await stories.find("0xaaaa")} >= {bought.id, sold.id}
        assert [match.what for match in await stories.find("0xAAAA")] == [
            "transaction 0xaaaa01",
            "transaction 0xaaaa02",
        ]
        assert await stories.find("0xaaaaff") == await stories.find("a|b") == await stories.find("f" * 32) == []
        for wrong in ("0x", "ab", "rain", "f" * 33, ""):
            with pytest.raises(ValueError, match=r"too short|too long|not an id"):
                await stories.find(wrong)


async def test_figures_tell_latencies_rates_losses_and_gains_in_all_by_role_and_by_leader(migrated_url: str) -> None:
    async with sql_database(migrated_url) as database:
        await some_trading(database)
        figures = await SqlStatistics(database).figures(now_ms=NOW_MS + 90_000)

    whole = figures["all"]
    counts = {name: whole[name] for name in ("attempts", "trades", "skips", "filled", "partial", "unfilled", "open")}
    assert counts == {
        "attempts": 3, "trades": 2, "skips": 1, "filled": 1, "partial": 1, "unfilled": 0, "open": 0,
    }  # fmt: skip
    assert (whole["fill_rate"], whole["partial_rate"]) == (0.5, 0.5)
    assert whole["latency_ms"]["place"] == {"n": 2, "p50": 150, "p95": 150, "p99": 150}
    assert whole["latency_ms"]["first_fill"] == {"n": 2, "p50": 0, "p95": 780, "p99": 780}
    assert whole["latency_ms"]["done"]["p99"] == 5_000
    assert whole["slippage_bps"]["p50"] == 80
    assert whole["slippage_bps"]["p99"] == 1_000
    assert [one for one in whole["slippage_bps"]["histogram"] if one["n"]] == [
        {"up_to": 100, "n": 1},
        {"up_to": None, "n": 1},
    ]
    assert (whole["lost_usdc"]["cost"], whole["lost_usdc"]["fee"], whole["lost_usdc"]["attempts"]) == (
        "0.65",
        "0.25",
        1,
    )
    assert whole["lost_usdc"]["cost_bps"] == 129
    assert whole["gained_usdc"]["1s"] == {"fills": 1, "usdc": "1.20"}
    assert whole["gained_usdc"]["10s"] == {"fills": 0, "usdc": "0.00"}
    lost_bps = {part: spread["p50"] for part, spread in whole["lost_bps"].items()}
    unknown = dict.fromkeys(("placement_delay", "depth", "rest"))
    assert lost_bps == {"decision_delay": -100, "spread": 100, **unknown, "fee": 50, "cost": 130}
    assert whole["gained_bps"]["1s"] == {"n": 1, "p50": 400, "p95": 400, "p99": 400}
    assert whole["gained_bps"]["10s"]["n"] == 0
    assert {role: group["attempts"] for role, group in figures["by_role"].items()} == {"maker": 1, "taker": 2}
    by_leader = {group["label"]: (group["leader"], group["trades"]) for group in figures["by_leader"]}
    assert by_leader == {"Ann": (LEADER, 2), "Bob": (OTHER, 0)}
    assert {row["source"]: row["behind_first_p50_ms"] for row in figures["sources"]}["data_api"] == 2_000
    by_role = figures["sources_by_role"]
    assert {role: {row["source"]: row["fills"] for row in rows} for role, rows in by_role.items()} == {
        "maker": {"polygon": 1},
        "taker": {"polygon": 2, "data_api": 1},
    }
    assert whole["book_age_ms"] == {"n": 1, "p50": 120, "p95": 120, "p99": 120}
    assert figures["by_role"]["maker"]["book_age_ms"]["n"] == 0


async def test_figures_may_be_of_one_leader_or_since_a_time_and_of_nothing(migrated_url: str) -> None:
    async with sql_database(migrated_url) as database:
        await some_trading(database)
        statistics = SqlStatistics(database)
        bobs = await statistics.figures(now_ms=NOW_MS, leader="Bob")
        latest = await statistics.figures(now_ms=NOW_MS, since_ms=NOW_MS + 2)
        nothing = await statistics.figures(now_ms=NOW_MS, since_ms=NOW_MS + 99_999)

    assert (bobs["all"]["attempts"], [one["label"] for one in bobs["by_leader"]]) == (1, ["Bob"])
    assert latest["all"]["attempts"] == 2
    assert (nothing["all"]["attempts"], nothing["all"]["latency_ms"]["detect"]["p50"]) == (0, None)
    assert nothing["all"]["fill_rate"] is nothing["all"]["lost_usdc"]["cost_bps"] is None


async def test_neither_a_story_nor_the_figures_of_late_read_a_whole_table(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    schema.upgrade(url)
    async with sql_database(url) as database:
        bought, *_ = await some_trading(database)
        stories = SqlStories(database)
        with listened() as statements:
            await stories.story(bought.id, now_ms=NOW_MS + 30_000)
            for name in (str(bought.id), "0xaaaa01", bought.dedupe_key):
                await stories.find(name)
            await SqlStatistics(database).figures(now_ms=NOW_MS, since_ms=NOW_MS)

    read = [one for one in statements if "fill_ts DESC" not in one[0]]
    assert len(read) > 10
    assert scans(tmp_path / "ledger.db", read) == []
