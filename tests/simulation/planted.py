"""Bugs planted on purpose, one at a time: the simulation must find each within some seeds."""

from __future__ import annotations

import functools
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.simulation import plants_on_chain as on_chain
from tests.simulation import plants_on_orders as on_orders
from tests.simulation.story import play

SEEDS_MAX = 200

Plant = Callable[[pytest.MonkeyPatch], None]
PLANTS: tuple[Plant, ...] = (
    on_chain.the_start_is_now,
    on_chain.a_fill_is_known_by_its_log_index_alone,
    on_chain.a_transaction_holds_one_fill,
    on_chain.the_taker_topic_counts,
    on_chain.the_first_outcome_is_bought,
    on_chain.every_fill_is_a_buy,
    on_chain.the_cursor_moves_on_an_empty_lie,
    on_chain.a_reorg_deletes,
    on_chain.a_reorg_is_not_noticed,
    on_chain.the_cursor_is_written_first,
    on_chain.nothing_is_ever_confirmed,
    on_chain.what_was_not_decided_is_forgotten,
    on_chain.old_fills_are_copied,
    on_orders.a_restart_sends_open_orders_again,
    on_orders.a_restart_forgets_open_orders,
    on_orders.an_order_is_sent_before_it_is_written,
    on_orders.sells_are_not_capped,
    on_orders.sizes_are_floats,
    on_orders.an_open_socket_proves_a_book,
    on_orders.the_wall_clock_tells_the_age,
    on_orders.changes_make_a_book,
    on_orders.a_contradicted_book_is_kept,
    on_orders.depth_is_endless,
    on_orders.what_was_taken_is_there_again,
    on_orders.an_order_meets_an_old_book,
    on_orders.addresses_are_told_whole,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """After how many seeds a planted bug was found, and by which breach; an empty one if it was not."""

    plant: str
    seeds: int
    seed: int
    breach: str
    seconds: float = 0.0


def find(plant: Plant, *, first: int = 0, seeds_max: int = SEEDS_MAX) -> Found:
    """Play seeds with the bug planted until one of them breaks a rule."""
    begun_s = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        for count, seed in enumerate(range(first, first + seeds_max), start=1):
            breaches = play(seed).breaches
            if breaches:
                took_s = time.monotonic() - begun_s
                return Found(plant=plant.__name__, seeds=count, seed=seed, breach=breaches[0], seconds=took_s)
    return Found(plant=plant.__name__, seeds=seeds_max, seed=-1, breach="")


def find_all(*, only: str = "", first: int = 0, seeds_max: int = SEEDS_MAX, jobs: int = 0) -> int:
    """Look for every planted bug and tell after how many seeds each was found; 1 if one was not."""
    wanted = [plant for plant in PLANTS if only in plant.__name__]
    look = functools.partial(find, first=first, seeds_max=seeds_max)
    found = []
    with multiprocessing.get_context("spawn").Pool(jobs or os.cpu_count() or 1) as pool:
        print(f"{'bug':<42} {'seeds':>5}  found by")
        for one in pool.imap(look, wanted):
            found.append(one)
            told = f"{one.seeds:>5}  seed {one.seed}: {one.breach}" if one.breach else f"{one.seeds:>5}  NOT FOUND"
            print(f"{one.plant:<42} {told}"[:180], flush=True)
    counts = [one.seeds for one in found if one.breach]
    median = f", after {statistics.median(counts):g} seeds in the median, {max(counts)} at worst" if counts else ""
    print(f"{len(counts)} of {len(found)} planted bugs found{median}")
    return 0 if len(counts) == len(found) else 1
