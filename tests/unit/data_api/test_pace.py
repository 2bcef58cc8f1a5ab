"""The interval at which leaders are really polled, once a minute."""

from __future__ import annotations

from copytrade.adapters.data_api.pace import LEADERS_TOLD, TELL_EVERY_MS, Pace


def test_the_interval_is_the_time_from_one_beginning_to_the_next():
    pace = Pace(wanted_ms=3_000)
    for at_ms in (0, 3_000, 7_500):
        pace.begin("ann", at_ms)
    pace.begin("bob", 6_000)
    pace.begin("bob", 7_000)

    assert pace.figures(7_600) == {
        "leaders": 2,
        "wanted_ms": 3_000,
        "interval_p50_ms": 1_000,
        "interval_max_ms": 4_500,
        "slowest": {"ann": 4_500, "bob": 1_000},
    }


def test_one_who_is_never_reached_again_grows_slower_and_slower():
    pace = Pace(wanted_ms=3_000)
    pace.begin("ann", 0)
    pace.begin("ann", 3_000)
    for at_ms in range(0, 90_000, 3_000):
        pace.begin("bob", at_ms)

    told = pace.figures(90_000)

    assert told is not None
    assert told["slowest"] == {"ann": 87_000, "bob": 3_000}


def test_it_is_told_once_a_minute_and_never_before_there_is_an_interval():
    pace = Pace(wanted_ms=3_000)
    assert pace.figures(0) is None
    pace.begin("ann", 0)
    assert pace.figures(100) is None
    pace.begin("ann", 3_000)
    assert pace.figures(3_000) is not None
    assert pace.figures(3_000 + TELL_EVERY_MS - 1) is None
    assert pace.figures(3_000 + TELL_EVERY_MS) is not None
    pace.forget("ann")
    assert pace.figures(10 * TELL_EVERY_MS) is None


def test_of_many_leaders_the_slowest_are_named():
    pace = Pace(wanted_ms=3_000)
    for at in range(100):
        pace.begin(f"{at:03}", 0)
        pace.begin(f"{at:03}", 1_000 + at)

    told = pace.figures(1_100)

    assert told is not None
    assert (told["leaders"], told["interval_p50_ms"], told["interval_max_ms"]) == (100, 1_049, 1_099)
    assert list(told["slowest"]) == [f"{at:03}" for at in range(99, 99 - LEADERS_TOLD, -1)]
