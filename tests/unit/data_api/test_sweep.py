"""Sweeping a leader's rows: pages and overlaps never change how many there are."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.data_api.decode import TradeRow, parse_row
from copytrade.adapters.data_api.sweep import CONFIRM_AFTER_MS, OVERLAP_S, Found, LeaderSweep
from tests.makers import LEADER, NOW_MS
from tests.unit.data_api.fake_api import NOW_S, a_row, tx


def row_of(name: int, age_s: int) -> TradeRow:
    row = parse_row(a_row(transaction_hash=tx(name), timestamp=NOW_S - age_s, price=Decimal("0.95")), LEADER)
    assert row is not None
    return row


def sweep_all(sweep: LeaderSweep, rows: list[TradeRow], page_rows: int, *, elapsed_ms: int = 0) -> list[Found]:
    """Serve one sweep, newest first, in pages."""
    sweep.begin(now_ms=NOW_MS + elapsed_ms, monotonic_ms=elapsed_ms)
    served = sorted((row for row in rows if row.timestamp_s >= sweep.start_s), key=lambda row: -row.timestamp_s)
    found = []
    for at in range(0, max(1, len(served)), page_rows):
        cursor = str(at) if at + page_rows < len(served) else None
        page = served[at : at + page_rows]
        times = {"now_ms": NOW_MS + elapsed_ms, "monotonic_ms": elapsed_ms}
        found.append(sweep.take(page, next_cursor=cursor, **times))
    return found


def keys(found: list[Found]) -> list[str]:
    return sorted(sighting.source_key for page in found for sighting in page.new)


# A transaction has one block, so one second: its age follows from its name.
fills = st.lists(st.integers(0, 8), max_size=40).map(lambda names: [row_of(name, 3 * (name // 2)) for name in names])


@given(fills, st.integers(1, 7))
def test_identical_rows_are_counted_whatever_the_pages(rows, page_rows):
    found = sweep_all(LeaderSweep(since_s=0), rows, page_rows)

    expected = Counter(row.identity for row in rows)
    assert keys(found) == sorted(f"{identity}|{n}" for identity, count in expected.items() for n in range(count))


@given(fills, fills, st.integers(1, 7), st.integers(1, 7))
def test_a_later_sweep_reports_only_what_came_late(early, late, first_rows, second_rows):
    sweep = LeaderSweep(since_s=0)
    before = keys(sweep_all(sweep, early, first_rows))

    after = keys(sweep_all(sweep, early + late, second_rows, elapsed_ms=3_000))

    assert not set(before) & set(after)
    assert sorted(before + after) == keys(sweep_all(LeaderSweep(since_s=0), early + late, 50))


def test_a_row_still_served_a_minute_later_is_confirmed_once():
    sweep = LeaderSweep(since_s=0)
    rows = [row_of(1, 0), row_of(1, 0)]
    first = sweep_all(sweep, rows, 10)
    early = sweep_all(sweep, rows, 10, elapsed_ms=CONFIRM_AFTER_MS - 1)
    late = sweep_all(sweep, rows, 10, elapsed_ms=CONFIRM_AFTER_MS)
    again = sweep_all(sweep, rows, 10, elapsed_ms=CONFIRM_AFTER_MS + 3_000)

    assert [page.confirmed for page in first + early] == [(), ()]
    assert sorted(late[0].confirmed) == keys(first)
    assert again[0].confirmed == ()


def test_a_row_that_is_gone_is_not_confirmed():
    sweep = LeaderSweep(since_s=0)
    sweep_all(sweep, [row_of(1, 0)], 10)

    (page,) = sweep_all(sweep, [], 10, elapsed_ms=CONFIRM_AFTER_MS)

    assert page.confirmed == ()


def test_the_next_sweep_starts_an_overlap_before_the_last_began():
    sweep = LeaderSweep(since_s=NOW_S - 86_400)
    sweep_all(sweep, [], 10)
    assert sweep.start_s == NOW_S - 86_400

    sweep_all(sweep, [], 10, elapsed_ms=3_000)

    assert sweep.start_s == NOW_S - OVERLAP_S


def test_an_outage_is_swept_from_before_it():
    sweep = LeaderSweep(since_s=NOW_S - 86_400)
    sweep_all(sweep, [], 10)
    sweep.begin(now_ms=NOW_MS + 7_200_000, monotonic_ms=7_200_000)
    sweep.abandon()

    sweep.begin(now_ms=NOW_MS + 7_203_000, monotonic_ms=7_203_000)

    assert sweep.start_s <= NOW_S - OVERLAP_S


def test_nothing_before_he_was_followed_is_asked_for():
    sweep = LeaderSweep(since_s=NOW_S - 10)

    for elapsed_ms in (0, 3_000, 700_000):
        sweep_all(sweep, [], 10, elapsed_ms=elapsed_ms)
        assert sweep.start_s >= NOW_S - 10


def test_what_no_sweep_can_return_is_forgotten():
    sweep = LeaderSweep(since_s=0)
    for minute in range(600):
        sweep_all(sweep, [row_of(minute, -60 * minute)], 10, elapsed_ms=60_000 * minute)

    assert len(sweep._seen) < 100
