"""Bugs planted on purpose, one at a time: the simulation must find each within some seeds."""

from __future__ import annotations

import functools
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from tests.simulation import plants_on_chain as on_chain
from tests.simulation import plants_on_live as on_live
from tests.simulation import plants_on_orders as on_orders
from tests.simulation.story import play, quiet_logs
from tests.unit.live import test_seeds as live
from tests.unit.live.seeds import play as play_live

SEEDS_MAX = 200

Plant = Callable[[pytest.MonkeyPatch], None]
Look = Callable[[int], Sequence[str]]
"""Plays a seed and returns what broke."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A bug, its number in the list of those that others have shipped (none for our own), and who looks for it."""

    plant: Plant
    code: str = ""
    look: Look = lambda seed: play(seed).breaches

    @property
    def name(self) -> str:
        """What it does wrong."""
        return self.plant.__name__


def _whole(code: str, plant: Plant) -> Planted:
    return Planted(code=code, plant=plant)


def _live(code: str, plant: Plant) -> Planted:
    return Planted(code=code, plant=plant, look=_complaints)


def _complaints(seed: int) -> Sequence[str]:
    with quiet_logs():
        return play_live(seed).complaints


PLANTS: tuple[Planted, ...] = (
    _whole("B01", on_chain.the_start_is_now),
    _whole("B02", on_chain.a_fill_is_known_by_its_log_index_alone),
    _whole("B03", on_chain.a_transaction_holds_one_fill),
    _whole("B04", on_chain.the_taker_topic_counts),
    _whole("B05", on_chain.the_first_outcome_is_bought),
    _whole("B06", on_chain.the_cursor_moves_on_an_empty_lie),
    _whole("B07", on_chain.a_reorg_deletes),
    _whole("B08", on_chain.the_cursor_is_written_first),
    _live("B09", live.signs_again),
    _live("B10", live.takes_a_timeout_for_a_refusal),
    _live("B11", live.takes_delayed_for_nothing),
    _live("B12", on_live.takes_an_unknown_word_for_an_end),
    _live("B13", live.takes_matched_for_settled),
    _live("B14", on_live.takes_no_notice_of_a_failed_settlement),
    _live("B15", on_live.buys_again_what_did_not_settle),
    _live("B16", live.sends_later_what_it_could_not_send),
    _whole("B17", on_orders.the_wall_clock_tells_the_age),
    _whole("B18", on_orders.changes_make_a_book),
    _whole("B19", on_orders.sizes_are_floats),
    _whole("B20", on_orders.an_order_is_sent_before_it_is_written),
    _whole("B23", on_orders.addresses_are_told_whole),
    _whole("B24", on_chain.old_fills_are_copied),
    _whole("", on_chain.every_fill_is_a_buy),
    _whole("", on_chain.a_reorg_is_not_noticed),
    _whole("", on_chain.nothing_is_ever_confirmed),
    _whole("", on_chain.what_was_not_decided_is_forgotten),
    _whole("", on_orders.a_restart_sends_open_orders_again),
    _whole("", on_orders.a_restart_forgets_open_orders),
    _whole("", on_orders.sells_are_not_capped),
    _whole("", on_orders.limits_are_not_looked_at),
    _whole("", on_orders.an_open_order_costs_nothing_yet),
    _whole("", on_orders.an_open_socket_proves_a_book),
    _whole("", on_orders.a_contradicted_book_is_kept),
    _whole("", on_orders.depth_is_endless),
    _whole("", on_orders.what_was_taken_is_there_again),
    _whole("", on_orders.an_order_meets_an_old_book),
)
DOES_NOT_APPLY = {
    "B21": "a message acknowledged before its effect is stored: there is no broker yet",
    "B22": "two writers without fencing: a second worker is refused at its start (test_sole_worker)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """After how many seeds a planted bug was found, and by which breach; an empty one if it was not."""

    name: str
    code: str
    seeds: int
    seed: int
    breach: str
    seconds: float


def find(planted: Planted, *, first: int = 0, seeds_max: int = SEEDS_MAX) -> Found:
    """Play seeds with the bug planted until one of them breaks a rule."""
    begun_s, seed, breaches = time.monotonic(), first, [""]
    with pytest.MonkeyPatch.context() as patch:
        planted.plant(patch)
        for seed in range(first, first + seeds_max):
            breaches = [*planted.look(seed), ""]
            if breaches[0]:
                break
    return Found(
        name=planted.name,
        code=planted.code,
        seeds=seed - first + 1,
        seed=seed,
        breach=breaches[0],
        seconds=time.monotonic() - begun_s,
    )


def find_all(*, only: str = "", first: int = 0, seeds_max: int = SEEDS_MAX, jobs: int = 0) -> int:
    """Look for every planted bug and tell after how many seeds each was found; 1 if one was not."""
    wanted = [at for at, one in enumerate(PLANTS) if only in one.name or only == one.code]
    look = functools.partial(_find_at, first=first, seeds_max=seeds_max)
    found: list[Found] = []
    with multiprocessing.get_context("spawn").Pool(jobs or os.cpu_count() or 1) as pool:
        print(f"{'':<4} {'bug':<42} {'seeds':>5} {'took':>6}  found by")
        for one in pool.imap(look, wanted):
            found.append(one)
            told = f"seed {one.seed}: {one.breach}" if one.breach else "NOT FOUND"
            print(f"{one.code:<4} {one.name:<42} {one.seeds:>5} {one.seconds:>4.0f} s  {told}"[:190], flush=True)
    for code, why in DOES_NOT_APPLY.items():
        print(f"{code:<4} does not apply: {why}")
    counts = [one.seeds for one in found if one.breach]
    median = f", after {statistics.median(counts):g} seeds in the median, {max(counts)} at worst" if counts else ""
    print(f"{len(counts)} of {len(found)} planted bugs found{median}")
    return 0 if len(counts) == len(found) else 1


def _find_at(at: int, *, first: int, seeds_max: int) -> Found:
    return find(PLANTS[at], first=first, seeds_max=seeds_max)
