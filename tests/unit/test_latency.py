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


@pytest.mark.parametrize("text", ["0", "150", "lognormal:150:0.40"])
def test_a_latency_is_written_as_it_is_read(text: str) -> None:
    assert str(Latency.parse(text)) == text
