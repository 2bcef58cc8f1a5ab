"""What differs between the chain, the Data API and our tables is named, each thing once."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from copytrade.adapters.polygon import decode
from copytrade.domain.fills import Side, Sighting
from copytrade.domain.market import OutcomeToken
from copytrade.domain.reconciliation import Kind, Severity
from copytrade.engine.reconcile import WINDOW_MAX_MS
from copytrade.engine.repair import REPAIRED
from copytrade.engine.verify import API_DELAY_MS, DAY_MS
from copytrade.ports.leader_fills import Cursor, CursorScope
from tests.ledger_facts import see
from tests.makers import NOW_MS, OTHER, YES, a_leader, a_market, a_sighting
from tests.unit.polygon.raw_logs import DECODERS
from tests.witnesses import BLOCK_MS, FINAL_MS, OLD_MS, SINCE_MS, World, a_log, block_at, named, only, played


def test_where_all_say_the_same_nothing_differs_and_every_day_is_counted():
    async def story(world: World) -> None:
        await world.begin(a_log("1"), a_log("2", at_ms=OLD_MS - DAY_MS), a_log("3", at_ms=OLD_MS - DAY_MS))
        found = await world.compare()

        assert named(found) == []
        assert found.is_ok
        (leader,) = found.leaders
        days = [(day.chain, day.data_api, day.ledger) for day in leader.days]
        assert sum(chain for chain, *_ in days) == 3
        assert all(chain == api == ledger for chain, api, ledger in days)
        assert [one.from_block for one in leader.days[1:]] == [one.to_block + 1 for one in leader.days[:-1]]
        assert (found.from_ms, found.to_ms) == (SINCE_MS, FINAL_MS)

    played(story)


def test_a_fill_at_the_cursor_that_we_lack_is_an_error_and_repaired_once():
    async def story(world: World) -> None:
        lost = a_log("2", at_ms=FINAL_MS)
        await world.begin(a_log("1"))
        world.chain.logs.append(lost)
        world.api.listed.append(lost)

        found = await world.compare()
        assert named(found) == only(Kind.MISSING_FILL, "0x2", "ledger")
        repaired = await world.repair()
        assert repaired.done == ["stored the fill of 0x2"]
        assert [one.code for one in world.ledger.events] == [REPAIRED]
        assert named(await world.compare()) == []
        assert (await world.repair()).done == []
        assert [one.fill.tx_hash for one in await world.ledger.undecided(limit=9)] == ["0x2"]

    played(story)


def test_what_no_node_keeps_any_more_is_told_and_the_rest_is_compared():
    async def story(world: World) -> None:
        await world.begin(a_log("1", at_ms=SINCE_MS), a_log("2"))
        world.chain.kept_from_ms = OLD_MS - DAY_MS + 500
        lost = a_log("3")
        world.chain.logs.append(lost)
        world.api.listed.append(lost)

        found = await world.compare()
        kept_ms = OLD_MS - DAY_MS + 1_000
        assert named(found) == [
            (Kind.LOST_PAST, None, "chain", Severity.PENDING),
            *only(Kind.MISSING_FILL, "0x3", "ledger"),
        ]
        assert found.discrepancies[0].detail == (("from_ms", SINCE_MS), ("compared_from_ms", kept_ms))
        assert found.from_ms == kept_ms

    played(story)


def test_a_fill_above_the_cursor_is_still_to_come():
    async def story(world: World) -> None:
        await world.begin(a_log("1"))
        world.ledger._cursors[CursorScope()] = Cursor(
            scope=CursorScope(), last_processed_block=block_at(OLD_MS), proved_block=None
        )
        for tx, at_ms in (("2", OLD_MS), ("3", OLD_MS + BLOCK_MS)):
            world.chain.logs.append(a_log(tx, at_ms=at_ms))
            world.api.listed.append(a_log(tx, at_ms=at_ms))

        assert named(await world.compare()) == [
            (Kind.MISSING_FILL, "0x2", "ledger", Severity.ERROR),
            (Kind.MISSING_FILL, "0x3", "ledger", Severity.PENDING),
        ]

    played(story)


def test_what_came_before_he_was_added_is_judged_by_his_own_cursor():
    async def story(world: World) -> None:
        late = a_leader(address=OTHER, followed_since_ms=SINCE_MS, created_at_ms=FINAL_MS)
        await world.begin(a_log("1"))
        await world.ledger.add_leader(late)
        early, earlier = a_log("3", leader=OTHER), a_log("2", leader=OTHER, at_ms=OLD_MS - BLOCK_MS)
        world.chain.logs += [earlier, early]
        world.api.listed += [earlier, early]
        own = Cursor(
            scope=CursorScope(leader_address=OTHER), last_processed_block=block_at(OLD_MS) - 1, proved_block=None
        )
        await see(world.ledger, cursor=own)

        assert named(await world.compare()) == [
            (Kind.MISSING_FILL, "0x2", "ledger", Severity.ERROR),
            (Kind.MISSING_FILL, "0x3", "ledger", Severity.PENDING),
        ]

    played(story)


def test_where_the_chain_is_not_read_our_tables_have_the_delay_of_the_api():
    async def story(world: World) -> None:
        await world.begin()
        world.ledger._cursors.clear()
        for tx, at_ms in (("2", FINAL_MS - API_DELAY_MS - BLOCK_MS), ("3", FINAL_MS - API_DELAY_MS)):
            world.chain.logs.append(a_log(tx, at_ms=at_ms))
            world.api.listed.append(a_log(tx, at_ms=at_ms))

        assert [(tx, severity) for _, tx, _, severity in named(await world.compare())] == [
            ("0x2", Severity.ERROR),
            ("0x3", Severity.PENDING),
        ]

    played(story)


@pytest.mark.parametrize(("age_ms", "severity"), [(0, Severity.PENDING), (BLOCK_MS, Severity.ERROR)])
def test_the_api_alone_may_be_ten_minutes_late_and_that_is_listed(age_ms, severity):
    async def story(world: World) -> None:
        late = a_log("2", at_ms=FINAL_MS - API_DELAY_MS - age_ms)
        await world.begin(a_log("1"), late)
        world.api.listed.remove(late)

        found = await world.compare()
        assert named(found) == only(Kind.MISSING_TRADE, "0x2", "data_api", severity)
        assert found.is_ok == (severity is Severity.PENDING)

    played(story)


def test_a_trade_that_only_the_api_has_is_too_much():
    async def story(world: World) -> None:
        await world.begin(a_log("1"))
        world.api.listed.append(a_log("2"))

        assert named(await world.compare()) == only(Kind.EXTRA_TRADE, "0x2", "chain")
        assert (await world.repair()).left == ["1 extra_trade: not ours to repair"]

    played(story)


def test_a_token_without_its_market_is_named_once_and_looked_up():
    async def story(world: World) -> None:
        await world.begin(a_log("1"), a_log("2"))
        world.ledger._markets.clear()

        found = await world.compare()
        assert named(found) == only(Kind.UNMAPPED_TOKEN, "0x1", "registry")
        assert dict(found.discrepancies[0].detail) == {"token_id": YES}
        world.registry_fails = True
        assert (await world.repair()).left == [f"token {YES}: gamma: busy"]
        world.registry_fails = False
        assert (await world.repair()).done == [f"stored the market {a_market().condition_id} of token {YES}"]
        assert named(await world.compare()) == []

    played(story)


def test_a_window_bounds_what_is_compared():
    async def story(world: World) -> None:
        yesterday = NOW_MS // DAY_MS * DAY_MS - DAY_MS
        await world.begin(a_log("1"))
        for tx, at_ms in (("2", yesterday - 2_000), ("3", yesterday), ("4", yesterday + DAY_MS - 2_000)):
            world.chain.logs.append(a_log(tx, at_ms=at_ms))
            world.api.listed.append(a_log(tx, at_ms=at_ms))

        found = await world.compare(from_ms=yesterday, to_ms=yesterday + DAY_MS)
        assert [tx for _, tx, *_ in named(found)] == ["0x3", "0x4"]
        ((day,),) = (leader.days for leader in found.leaders)
        assert (day.chain, day.ledger) == (2, 0)
        assert min(first for first, _ in world.chain.asked) == yesterday // BLOCK_MS
        assert max(last for _, last in world.chain.asked) == (yesterday + DAY_MS) // BLOCK_MS - 1

    played(story)


def test_without_a_window_a_week_is_compared_at_most():
    async def story(world: World) -> None:
        await world.begin()
        await world.ledger.add_leader(a_leader(address=OTHER, followed_since_ms=0, created_at_ms=0))
        found = await world.compare()

        assert found.from_ms == -(-(FINAL_MS - WINDOW_MAX_MS) // 1_000) * 1_000

    played(story)


def test_a_leader_added_a_moment_ago_has_nothing_to_compare():
    async def story(world: World) -> None:
        await world.ledger.add_leader(a_leader(followed_since_ms=NOW_MS, created_at_ms=NOW_MS))
        found = await world.compare()

        assert [leader.days for leader in found.leaders] == [()]
        assert found.is_ok

    played(story)


@pytest.mark.recorded
def test_recorded_wallets_reconcile(recorded_data):
    folder = recorded_data / "onchain"
    wallet = json.loads((folder / "v2_wallet_0x2f633efb_logs_vs_dataapi.json").read_text("utf-8"))
    other = json.loads((folder / "polyprinter_v2_logs_vs_dataapi.json").read_text("utf-8"))
    expected = other["expected_from_source_test"]
    pairs = [(entry["log"], entry["data_api"]) for entry in wallet]
    pairs += [(other["logs"][name], expected[name]["data_api"]) for name in ("BUY_LOG", "SELL_LOG")]
    logs = [a_recorded_log(log, number) for number, (log, _) in enumerate(pairs)]
    rows = [a_recorded_row(row, log) for (_, row), log in zip(pairs, logs, strict=True)]

    async def story(world: World) -> None:
        for address in {log.fill.leader for log in logs}:
            await world.ledger.add_leader(a_leader(address=address, followed_since_ms=SINCE_MS, created_at_ms=SINCE_MS))
        await world.ledger.save_markets(
            [a_market(condition_id=str(n), tokens=(token_of(log),)) for n, log in enumerate(logs)]
        )
        await world.begin(*logs)
        world.api.listed = rows

        found = await world.compare()
        assert (found.is_ok, named(found)) == (True, [])
        assert sum(day.chain for leader in found.leaders for day in leader.days) == len(logs) == 4

        world.api.listed = rows[1:]
        assert named(await world.compare()) == only(Kind.MISSING_TRADE, logs[0].fill.tx_hash, "data_api")

    played(story)


def a_recorded_log(log: dict[str, Any], number: int) -> Sighting:
    """Decode a log as it was recorded; its block is moved into the time of these tests."""
    full = {"blockHash": "0x" + "00" * 32, "removed": False} | log | {"blockNumber": hex(block_at(OLD_MS) + number)}
    at_ms = (block_at(OLD_MS) + number) * BLOCK_MS
    return a_sighting(decode.decode_log(full, DECODERS).leader_fill(fill_ts_ms=at_ms, detected_at_ms=at_ms))


def a_recorded_row(row: dict[str, Any], log: Sighting) -> Sighting:
    """Return what a row says; where the recording left the token or side out, the log's."""
    size = int(Decimal(str(row["size"])) * 1_000_000)
    token_id = row.get("asset", log.fill.token_id)
    return a_sighting(replace(log.fill, side=Side(row["side"]), token_id=token_id, size=size))


def token_of(log: Sighting) -> OutcomeToken:
    return OutcomeToken(token_id=log.fill.token_id, outcome="Yes", outcome_index=0)
