"""Facts survive their way through JSON, and what is no fact is refused with its place."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.recording.codec import Reader, UnreadableError, plain
from copytrade.app.replaying import fact_names
from copytrade.domain.attempts import AttemptStatus, reason
from copytrade.domain.leader_events import LeaderHolding
from copytrade.domain.positions import Position
from copytrade.engine.session import BookMoved, Closed, Entry, Filled, Gathered, Held, Made, Removed
from copytrade.ports.leader_fills import FillsRemoved, LogRef
from copytrade.strategies.copy import CopyFacts
from tests.ledger_facts import an_attempt, an_execution
from tests.makers import NOW_MS, YES, a_fill, a_leader, a_market, a_view, recorded

READER = Reader(fact_names())
SEEN = recorded()
FACTS = CopyFacts(
    fill=SEEN.fill,
    leader=a_leader(label="Ann", copy_ratio=5),
    market=a_market(payouts=(1, 0), end_date_ms=NOW_MS),
    view=a_view(),
    held=3,
    unmapped_waited_ms=1,
    book_waited_ms=2,
    now_ms=NOW_MS,
    leader_held=LeaderHolding(shares=7),
)
ENTRIES: list[Entry] = [
    Gathered(at_ms=1, recorded=SEEN, facts=FACTS),
    Gathered(
        at_ms=1,
        recorded=recorded(a_fill(place=None, fee=None)),
        facts=replace(FACTS, leader=None, market=None, view=None),
    ),
    Held(
        at_ms=1,
        positions=(Position(strategy_id="copy", account_id="paper", token_id=YES, shares=9),),
        open_attempts=(an_attempt(SEEN),),
    ),
    Made(at_ms=2, attempt=an_attempt(SEEN, reasons=(reason("A", x=1), reason("B")))),
    Filled(at_ms=3, fill=an_execution(an_attempt(SEEN))),
    Closed(at_ms=4, attempt_id=UUID(int=4), status=AttemptStatus.CANCELED, reason=reason("TTL"), done_at_ms=9),
    Closed(at_ms=4, attempt_id=UUID(int=4), status=AttemptStatus.FILLED, reason=None, done_at_ms=9),
    Removed(at_ms=5, removed=FillsRemoved(logs=(LogRef(block_hash="0x", tx_hash="0x1", log_index=3),), rewind_to=None)),
]


@dataclass(frozen=True)
class Sample:
    number: int
    names: frozenset[str]
    pair: tuple[int, str]
    maybe: int | None = None


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(plain(value)))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
def test_an_entry_comes_back_as_it_was(entry: Entry) -> None:
    assert READER.read(type(entry), through_json(entry)) == entry


@given(st.lists(st.integers(-(10**15), 10**15)), st.integers(0, 10**13))
def test_numbers_come_back_exactly(numbers: list[int], stamp: int) -> None:
    moved = BookMoved(at_ms=stamp, token=1, venue_ts_ms=stamp, changes=tuple(numbers))

    assert READER.read(BookMoved, through_json(moved)) == moved


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"number": "1", "names": [], "pair": [1, "a"]}, "number: str where int belongs"),
        ({"number": True, "names": [], "pair": [1, "a"]}, "number: bool where int belongs"),
        ({"number": 1, "names": "ab", "pair": [1, "a"]}, "names: no array"),
        ({"number": 1, "names": [], "pair": [1]}, "pair: 1 values where 2 belong"),
        ({"number": 1, "names": [], "pair": {}}, "pair: no array"),
        ({"number": 1, "names": []}, "not the fields of Sample"),
        ({"number": 1, "names": [], "pair": [1, "a"], "more": 1}, "not the fields of Sample"),
        ([], "not the fields of Sample"),
    ],
)
def test_what_is_of_another_shape_is_refused(value: Any, said: str) -> None:
    with pytest.raises(UnreadableError, match=said):
        READER.read(Sample, value)


def test_a_field_that_is_missing_takes_its_default() -> None:
    assert READER.read(Sample, {"number": 1, "names": ["b", "a"], "pair": [1, "x"]}) == Sample(
        number=1, names=frozenset({"a", "b"}), pair=(1, "x"), maybe=None
    )


def test_a_text_that_names_nothing_is_refused() -> None:
    with pytest.raises(UnreadableError, match="no AttemptStatus: 'DONE'"):
        READER.read(AttemptStatus, "DONE")
    with pytest.raises(UnreadableError, match="no UUID"):
        READER.read(UUID, 5)


def test_what_is_no_fact_is_not_written() -> None:
    with pytest.raises(TypeError, match="float is no fact"):
        plain({"price": 0.5})


def test_every_fact_of_a_decision_is_either_the_worlds_or_our_own() -> None:
    """A new fact is recorded as the world's; one that follows from what we did must be recomputed in a replay.

    If this fails: add the fact here, and to OWN_FACTS and ReplayedDecide if it depends on our own earlier orders.
    """
    from copytrade.engine.replaying import OWN_FACTS

    worlds = {"fill", "leader", "market", "view", "unmapped_waited_ms", "book_waited_ms", "now_ms", "leader_held"}
    assert {one.name for one in fields(CopyFacts)} == worlds | OWN_FACTS
