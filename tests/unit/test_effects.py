from __future__ import annotations

import pytest

from copytrade.domain.effects import ALL_EFFECTS, Effect, parse_effects


@pytest.mark.parametrize(
    ("text", "effects"),
    [
        ("all", ALL_EFFECTS),
        ("none", frozenset()),
        ("fees", {Effect.FEES}),
        (" queue, latency ,queue", {Effect.QUEUE, Effect.LATENCY}),
        ("latency,delay,impact,queue,fees", ALL_EFFECTS),
    ],
)
def test_effects_are_read(text: str, effects: frozenset[Effect]) -> None:
    assert parse_effects(text) == effects


@pytest.mark.parametrize("text", ["", " , ", "everything", "all,fees", "none,fees", "Fees"])
def test_what_is_no_effect_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="latency, delay, impact, queue, fees"):
        parse_effects(text)
