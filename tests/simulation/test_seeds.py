"""The first seeds, as a smoke test (`SIM_SEEDS=50` plays more); `make sim SEEDS=500` is for as many as you like."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.simulation import plants_on_chain as on_chain
from tests.simulation import plants_on_orders as on_orders
from tests.simulation.planted import find
from tests.simulation.seeds import VACUOUS_BELOW, Tally
from tests.simulation.story import play

SEEDS = range(int(os.environ.get("SIM_SEEDS", "10")))
SEEDS_TO_FIND_A_BUG = 6
QUICKLY_FOUND = (
    on_chain.the_cursor_moves_on_an_empty_lie,
    on_chain.a_transaction_holds_one_fill,
    on_chain.the_taker_topic_counts,
    on_orders.a_restart_forgets_open_orders,
    on_orders.depth_is_endless,
    on_orders.addresses_are_told_whole,
)
"""One of each kind; `make sim ARGS=--planted` looks for all of them."""


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_breaks_whatever_happens(seed):
    run = play(seed)

    assert not run.breaches, f"again with `.venv/bin/python -m tests.simulation --seed {seed} -v`"
    assert run.hits
    assert run.ending.fills


@pytest.mark.parametrize("plant", QUICKLY_FOUND)
def test_a_planted_bug_is_found(plant):
    found = find(plant, seeds_max=SEEDS_TO_FIND_A_BUG)

    assert found.breach


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
