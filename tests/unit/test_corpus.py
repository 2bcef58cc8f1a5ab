"""Every item of the corpora is taken, ignored or refused with a reason, quickly, and nothing ever falls over it."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from tests.corpus.items import FOLDER, Item, items_of
from tests.fuzz.outcomes import IGNORED, REFUSED, TAKEN
from tests.fuzz.targets import TARGETS

SECONDS_MAX = 0.25
"""Many times what any item needs, for machines that are busy."""
MEMORY_FACTOR, MEMORY_FREE = 6, 4_000_000
WITHOUT_CORPUS = {"order_amounts"}
"""Numbers of any kind are right there."""
ONLY_FUZZED = {"setting_value"}
"""It takes what `settings` refuses when variables contradict each other."""

ITEMS = [(name, item) for name in TARGETS.keys() - ONLY_FUZZED for item in items_of(name)]


def test_every_reader_has_a_corpus():
    assert {path.stem for path in FOLDER.glob("*.jsonl")} == TARGETS.keys() - WITHOUT_CORPUS - ONLY_FUZZED
    assert len(ITEMS) > 500
    for outcome in (TAKEN, REFUSED, IGNORED):
        assert sum(item.expect == outcome for _, item in ITEMS) > 20


@pytest.mark.parametrize("name", sorted({name for name, _ in ITEMS}))
def test_bad_input_is_refused_and_good_input_is_taken(name: str):
    wrong = [
        f"{item.why}: {outcome}, {item.expect} was due"
        for item in items_of(name)
        if (outcome := TARGETS[name](item.data)) != item.expect and item.expect != "any"
    ]

    assert not wrong


@pytest.mark.parametrize("name", sorted({name for name, _ in ITEMS}))
def test_no_item_takes_long_or_much_memory(name: str):
    for item in items_of(name):
        assert _seconds(name, item) < SECONDS_MAX, item.why
    for item in sorted(items_of(name), key=lambda item: -len(item.data))[:3]:
        tracemalloc.start()
        TARGETS[name](item.data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MEMORY_FACTOR * len(item.data) + MEMORY_FREE, item.why


def _seconds(name: str, item: Item) -> float:
    begun = time.process_time()
    TARGETS[name](item.data)
    return time.process_time() - begun
