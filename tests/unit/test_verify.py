"""The comparison behind `leaders verify`, on made-up trades and on recorded ones."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from copytrade.adapters.polygon import decode
from copytrade.adapters.polygon.witness import trade_of
from copytrade.domain.fills import Side, Sighting
from copytrade.engine.verify import API_DELAY_MS, DAY_MS, RangeReport, Verify, differences
from copytrade.ports.witnesses import ChainPart, ChainWitness, Trade, TradeWitness
from tests.unit.polygon.raw_logs import DECODERS

DAY = 20_000 * DAY_MS
UNTIL_MS = DAY + DAY_MS // 2
BLOCK_MS = 2_000


def trade(tx: str = "a", *, size: int = 100, side: Side = Side.BUY, at_ms: int = DAY) -> Trade:
    return Trade(tx_hash=tx, token_id="1", side=side, size=size, at_ms=at_ms)


class Chain(ChainWitness):
    def __init__(self, *trades: Trade) -> None:
        self.kept = trades

    async def final_block(self) -> tuple[int, int]:
        return UNTIL_MS // BLOCK_MS, UNTIL_MS

    async def first_block_at(self, at_ms: int) -> int:
        return -(-at_ms // BLOCK_MS)

    async def read(self, accounts: list[str], *, first: int, limit: int) -> ChainPart:
        last = min(limit, first + 9_999)
        found = tuple(one for one in self.kept if first <= one.at_ms // BLOCK_MS <= last)
        return ChainPart(last=last, trades=found, is_agreed=True)


class Record(TradeWitness):
    def __init__(self, *trades: Trade) -> None:
        self.kept = trades

    async def trades(self, account: str, *, since_ms: int) -> list[Trade]:
        return [one for one in self.kept if one.at_ms >= since_ms]


def report(
    chain: list[Trade], api: list[Trade], ours: list[Trade], *, ours_since_ms: int | None = DAY - DAY_MS
) -> list[RangeReport]:
    verify = Verify(chain=Chain(*chain), api=Record(*api), ours=Record(*ours), tell=lambda _done, _left: None)
    return asyncio.run(verify.run("0x", since_ms=DAY - DAY_MS, ours_since_ms=ours_since_ms))


def test_identical_trades_are_paired_one_by_one():
    assert differences([trade(), trade()], [trade()]) == ([trade()], [])
    assert differences([trade()], [trade(), trade()]) == ([], [trade()])
    assert differences([trade(size=100), trade(size=200)], [trade(size=201), trade(size=99)]) == ([], [])


@pytest.mark.parametrize("change", [{"tx_hash": "b"}, {"token_id": "2"}, {"side": Side.SELL}, {"size": 102}])
def test_trades_that_differ_are_missing_and_too_much(change):
    other = replace(trade(), **change)

    assert differences([trade()], [other]) == ([trade()], [other])


def test_days_without_differences_are_complete():
    trades = [trade("a", at_ms=DAY - 10_000), trade("b", at_ms=DAY + 10_000)]
    first, second = report(trades, trades, trades)

    assert [(one.on_chain, one.api.count, one.ours and one.ours.count) for one in (first, second)] == [(1, 1, 1)] * 2
    assert (first.from_block, first.to_block + 1, second.to_block) == (
        (DAY - DAY_MS) // BLOCK_MS,
        second.from_block,
        UNTIL_MS // BLOCK_MS,
    )
    assert not first.differs
    assert not second.differs


def test_what_is_missing_and_too_much_is_named_in_its_day():
    gone, strange = trade("gone", at_ms=DAY - 10_000), trade("strange")
    first, second = report([gone], [gone, strange], [strange])

    assert first.ours is not None
    assert (first.ours.missing, first.api.missing) == ((gone,), ())
    assert second.ours is not None
    assert (second.api.extra, second.ours.extra) == ((strange,), (strange,))
    assert first.differs
    assert second.differs


@pytest.mark.parametrize(("age_ms", "is_pending"), [(API_DELAY_MS, True), (API_DELAY_MS + 1_000, False)])
def test_the_api_may_lack_what_is_newer_than_its_delay(age_ms, is_pending):
    late = trade(at_ms=UNTIL_MS - age_ms)
    *_, last = report([late], [], [late])

    assert (last.api.pending, last.api.missing) == (((late,), ()) if is_pending else ((), (late,)))
    assert last.differs != is_pending


def test_our_tables_have_no_delay_and_count_only_since_he_was_followed():
    newest, old = trade("n", at_ms=UNTIL_MS), trade("o", at_ms=DAY - 10_000)
    first, second = report([old, newest], [old, newest], [], ours_since_ms=DAY)

    assert first.ours is None
    assert second.ours is not None
    assert second.ours.missing == (newest,)


def test_a_trade_of_a_later_block_with_the_same_second_is_not_too_much():
    later = [trade("z", at_ms=UNTIL_MS)]

    assert not any(one.differs for one in report([], later, later))
    assert any(one.differs for one in report([], [trade("z", at_ms=UNTIL_MS - 1_000)], []))


@pytest.mark.recorded
def test_recorded_logs_and_api_rows_reconcile_to_zero_differences(recorded_data):
    folder = recorded_data / "onchain"
    wallet = json.loads((folder / "v2_wallet_0x2f633efb_logs_vs_dataapi.json").read_text("utf-8"))
    other = json.loads((folder / "polyprinter_v2_logs_vs_dataapi.json").read_text("utf-8"))
    expected = other["expected_from_source_test"]
    pairs = [(entry["log"], entry["data_api"]) for entry in wallet]
    pairs += [(other["logs"][name], expected[name]["data_api"]) for name in ("BUY_LOG", "SELL_LOG")]
    chain = [on_chain(log) for log, _ in pairs]
    api = [in_the_api(row, one) for (_, row), one in zip(pairs, chain, strict=True)]

    assert differences(chain, api) == ([], [])
    assert len(chain) == 4
    assert differences(chain[1:], api) == ([], [api[0]])


def on_chain(log: dict[str, Any]) -> Trade:
    full = {"blockHash": "0x" + "00" * 32, "removed": False} | log
    fill = decode.decode_log(full, DECODERS).leader_fill(fill_ts_ms=DAY, detected_at_ms=DAY)
    return trade_of(Sighting(fill=fill, source_key="", payload=""))


def in_the_api(row: dict[str, Any], one: Trade) -> Trade:
    """Return what a row says; where the recording left the token or side out, the log's."""
    size = int(Decimal(str(row["size"])) * 1_000_000)
    return replace(one, side=Side(row["side"]), token_id=row.get("asset", one.token_id), size=size)
