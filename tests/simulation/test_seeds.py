"""The first seeds, as a smoke test (`SIM_SEEDS=200` plays more); `make sim SEEDS=500` is for as many as you like."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.simulation.planted import DOES_NOT_APPLY, PLANTS, find
from tests.simulation.seeds import VACUOUS_BELOW, Tally
from tests.simulation.story import play

SEEDS = range(int(os.environ.get("SIM_SEEDS", "50")))
SEEDS_TO_FIND_A_BUG = 6
QUICKLY_FOUND = {
    "the_cursor_moves_on_an_empty_lie",
    "a_transaction_holds_one_fill",
    "the_taker_topic_counts",
    "a_restart_forgets_open_orders",
    "depth_is_endless",
    "addresses_are_told_whole",
}
"""One of each kind; `make sim ARGS=--planted` looks for all of them."""


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_breaks_whatever_happens(seed):
    run = play(seed)

    assert not run.breaches, f"again with `.venv/bin/python -m tests.simulation --seed {seed} -v`"
    assert run.hits
    assert run.ending.fills


@pytest.mark.parametrize("planted", [one for one in PLANTS if one.name in QUICKLY_FOUND], ids=lambda one: one.name)
def test_a_planted_bug_is_found(planted):
    assert find(planted, seeds_max=SEEDS_TO_FIND_A_BUG).breach


@pytest.mark.parametrize("planted", PLANTS, ids=lambda one: one.name)
def test_each_bug_still_finds_what_it_is_planted_in(planted):
    with pytest.MonkeyPatch.context() as patch:
        planted.plant(patch)


def test_every_bug_of_the_list_is_planted_or_does_not_apply():
    planted = {one.code for one in PLANTS if one.code}

    assert planted | DOES_NOT_APPLY.keys() == {f"B{number:02}" for number in range(1, 25)}
    assert not planted & DOES_NOT_APPLY.keys()
    assert {one.name for one in PLANTS} >= QUICKLY_FOUND


def test_a_run_that_met_nothing_proves_nothing():
    tally = Tally(seeds=VACUOUS_BELOW, fills=1, attempts=1, executions=1, deaths=Counter(), signs=Counter())

    assert "a recovery from reorg_moved" in tally.missing()
    assert "a death ingest:after" in tally.missing()
    assert "a sign of GAP_FILLED" in tally.missing()


def test_a_class_of_faults_can_be_left_out_and_changes_no_other():
    whole, without = play(1), play(1, without=["reorg"])

    assert any(name.startswith("reorg") for name in whole.hits)
    assert not any(name.startswith("reorg") for name in without.hits)
    assert whole.circumstances == without.circumstances
