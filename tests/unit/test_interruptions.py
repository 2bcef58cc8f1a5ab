from __future__ import annotations

from datetime import UTC, datetime

import pytest

from copytrade.domain.interruptions import VenueMode, interruption_at, parse_interruptions


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


def mode_at(written: str, text: str) -> VenueMode | None:
    found = interruption_at(parse_interruptions(written), at(text))
    return found.mode if found else None


@pytest.mark.parametrize(
    ("instant", "mode"),
    [
        ("2026-11-24T11:59:59.999", None),
        ("2026-11-24T12:00:00", VenueMode.RESTART),
        ("2026-11-24T12:01:29.999", VenueMode.RESTART),
        ("2026-11-24T12:01:30", VenueMode.POST_ONLY),
        ("2026-11-24T12:03:29.999", VenueMode.POST_ONLY),
        ("2026-11-24T12:03:30", None),
        ("2026-11-25T12:00:00", None),
        ("2026-12-01T12:00:00", VenueMode.RESTART),
    ],
)
def test_a_weekly_restart_comes_every_week_with_what_follows_it(instant: str, mode: VenueMode | None) -> None:
    assert mode_at("restart@TUE-12:00", instant) is mode


def test_a_restart_on_a_date_comes_once() -> None:
    written = "restart@2026-11-24T12:00:00Z"

    assert mode_at(written, "2026-11-24T12:00:30") is VenueMode.RESTART
    assert mode_at(written, "2026-12-01T12:00:30") is None


def test_a_window_lasts_as_many_seconds_as_it_says_and_may_cross_the_week_s_end() -> None:
    written = "cancel_only@SUN-23:59/120"

    assert mode_at(written, "2026-11-22T23:59:00") is VenueMode.CANCEL_ONLY
    assert mode_at(written, "2026-11-23T00:00:59.999") is VenueMode.CANCEL_ONLY
    assert mode_at(written, "2026-11-23T00:01:00") is None


def test_what_is_left_of_it_is_counted_down() -> None:
    (disabled,) = parse_interruptions("disabled@2026-11-24T13:00:00+01:00/600")

    assert disabled.left_ms(at("2026-11-24T12:04:00")) == 360_000
    assert disabled.left_ms(at("2026-11-24T12:10:00")) == 0


def test_nothing_is_no_interruption() -> None:
    assert parse_interruptions(" , ") == ()
    assert interruption_at((), at("2026-11-24T12:00:00")) is None


@pytest.mark.parametrize(
    "text",
    [
        *("restart", "restart@", "restart@TUE", "restart@TUE-25:00", "restart@DIE-12:00", "restart@TUE-12:00/90"),
        *("closed@TUE-12:00/5", "disabled@TUE-12:00", "disabled@TUE-12:00/", "disabled@TUE-12:00/0"),
        *("disabled@TUE-12:00/86401", "disabled@TUE-12:00/x", "post_only@2026-11-24T12:00:00/5", "TUE-12:00"),
    ],
)
def test_what_is_no_interruption_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"not comma-separated|SECONDS|START"):
        parse_interruptions(text)
