"""Whose fill an attempt follows is remembered while it is open, and for a bounded number of those that ended."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from copytrade.domain.attempts import AttemptStatus, ExecutionAttempt
from copytrade.domain.exposure import Exposure
from copytrade.domain.ids import COPY_STRATEGY_ID, PAPER_ACCOUNT_ID
from copytrade.engine import at_stake
from copytrade.engine.at_stake import AtStake
from tests.unit.paper.worlds import an_attempt

KEPT = 3


class Counted(set[UUID]):
    """A set that counts how often it is asked."""

    asked = 0

    def __contains__(self, one: object) -> bool:
        self.asked += 1
        return super().__contains__(one)


@pytest.fixture
def at() -> AtStake:
    return AtStake(strategy_id=COPY_STRATEGY_ID, account_id=PAPER_ACCOUNT_ID, exposure=Exposure())


def ended(name: object) -> ExecutionAttempt:
    return replace(an_attempt(name), status=AttemptStatus.CANCELED)


def test_the_oldest_that_ended_is_forgotten_and_what_is_open_never(
    at: AtStake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_stake, "LEADERS_KEPT_MAX", KEPT)
    first, second = an_attempt("open"), an_attempt("open too")
    at.reserve(first, leader="0xa", market=None)
    at.reserve(second, leader="0xb", market=None)
    others = [ended(number) for number in range(10)]

    for other in others:
        at.reserve(other, leader="0xc", market=None)

    assert set(at._leaders) == {first.id, second.id, *(other.id for other in others[-KEPT:])}
    assert (at._leaders[first.id], at._leaders[second.id]) == ("0xa", "0xb")


def test_many_that_are_open_do_not_make_each_that_ends_dear(at: AtStake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_stake, "LEADERS_KEPT_MAX", 200)
    for number in range(100):
        at.reserve(an_attempt(number), leader="0xa", market=None)
    at._open = asked = Counted(at._open)

    for number in range(1_000):
        at.reserve(ended(f"ended {number}"), leader="0xa", market=None)

    assert asked.asked < 5_000
