from __future__ import annotations

import pytest

from copytrade.domain.latency import LATENCY_MS_MAX, Latency


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("0", Latency(median_ms=0)),
        (" 150 ", Latency(median_ms=150)),
        ("lognormal:150:0.4", Latency(median_ms=150, sigma=400_000)),
        ("lognormal:150:0", Latency(median_ms=150)),
        (str(LATENCY_MS_MAX), Latency(median_ms=LATENCY_MS_MAX)),
    ],
)
def test_a_latency_is_read(text: str, latency: Latency) -> None:
    assert Latency.parse(text) == latency


@pytest.mark.parametrize(
    "text",
    [
        *("", "fast", "-1", "1.5", "1e3", "²", "600001", "9" * 5_000, "normal:1:1", "lognormal", "lognormal:150"),
        *("lognormal:150:0.4:1", "lognormal::0.4", "lognormal:150:", "lognormal:150:-0.1", "lognormal:150:5.1"),
        *("lognormal:150:nan", "150:0.4"),
    ],
)
def test_what_is_no_latency_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"not (an integer|a decimal|from)|sigma"):
        Latency.parse(text)


def test_measured_latencies_are_read_to_the_nearest_millisecond_and_sorted() -> None:
    latency = Latency.fit(["200", " 99.5 ", "", "0.4", "150.25\n"], source="way.txt")

    assert latency == Latency(median_ms=150, measured=(0, 100, 150, 200), source="way.txt")
    assert str(latency) == "file:way.txt"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "way.txt has 0 latencies"),
        (["", "  "], "way.txt has 0 latencies"),
        (["150", "fast"], "line 2 of way.txt is no number"),
        (["nan"], "line 1 of way.txt is no number"),
        (["-1"], "line 1 of way.txt is not from 0"),
        (["600001"], "line 1 of way.txt is not from 0"),
    ],
)
def test_a_file_of_anything_else_is_refused_with_its_line(lines: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Latency.fit(lines, source="way.txt")


@pytest.mark.parametrize("text", ["0", "150", "lognormal:150:0.40"])
def test_a_latency_is_written_as_it_is_read(text: str) -> None:
    assert str(Latency.parse(text)) == text
