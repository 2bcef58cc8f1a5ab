"""Every class of faults by name: what `--without` takes, and what a run over many seeds must have been hit by."""

from __future__ import annotations

import random
from collections.abc import Collection
from functools import partial

from copytrade.sandbox.world import ReorgFate
from tests.simulation import strikes_on_chain as chain
from tests.simulation import strikes_on_feeds as feeds
from tests.simulation import strikes_on_host as host
from tests.simulation.faults import Fault
from tests.simulation.lies import KINDS
from tests.simulation.network import FIRST_NODE, SECOND_NODE
from tests.simulation.stage import Stage
from tests.simulation.strikes_on_chain import liar_of

DISORDER = ("lost", "repeated", "swapped")


def _reads_chain(stage: Stage) -> bool:
    return stage.circumstances.reads_the_chain


def _has_second_node(stage: Stage) -> bool:
    return stage.circumstances.has_second_node and _reads_chain(stage)


def _first_may_lie(stage: Stage) -> bool:
    """Tell whether it is the first node that may lie: what both leave out at once, nobody can know of."""
    return _reads_chain(stage) and liar_of(stage) == FIRST_NODE


def _second_may_lie(stage: Stage) -> bool:
    return _reads_chain(stage) and liar_of(stage) == SECOND_NODE


def _has_stream(stage: Stage) -> bool:
    return stage.circumstances.trigger_mode in {"rtds", "all"}


def _has_data_api(stage: Stage) -> bool:
    return stage.circumstances.trigger_mode in {"data_api", "both", "all"}


def _has_spare_rows(stage: Stage) -> bool:
    return _has_data_api(stage) and _reads_chain(stage)


def _has_market_socket(stage: Stage) -> bool:
    return stage.circumstances.bookstore_mode != "rest"


FAULTS: dict[str, Fault] = {
    "market_drop": Fault(strike=partial(feeds.drop_socket, kind="market"), family="books", applies=_has_market_socket),
    "market_freeze": Fault(
        strike=partial(feeds.freeze_socket, kind="market"), family="books", applies=_has_market_socket
    ),
    "market_frames": Fault(
        strike=partial(feeds.disturb_frames, path=feeds.MARKET_PATH, kinds=DISORDER),
        family="books",
        applies=_has_market_socket,
        kinds=DISORDER,
    ),
    "market_unshown": Fault(strike=feeds.show_no_books, family="books", applies=_has_market_socket),
    "market_blind": Fault(strike=feeds.blind_to_books, family="books"),
    "market_dark": Fault(strike=feeds.tell_no_books, family="books"),
    "market_junk": Fault(strike=partial(feeds.send_junk, kind="market"), family="books", applies=_has_market_socket),
    "tick_change": Fault(strike=feeds.change_tick, family="books"),
    "chain_drop": Fault(strike=partial(feeds.drop_socket, kind="chain"), family="chain", applies=_reads_chain),
    "chain_freeze": Fault(strike=partial(feeds.freeze_socket, kind="chain"), family="chain", applies=_reads_chain),
    "chain_frames": Fault(
        strike=partial(feeds.disturb_frames, path=feeds.CHAIN_PATH, kinds=DISORDER),
        family="chain",
        applies=_reads_chain,
        kinds=DISORDER,
    ),
    "chain_junk": Fault(strike=partial(feeds.send_junk, kind="chain"), family="chain", applies=_reads_chain),
    "muted_logs": Fault(strike=chain.mute_logs, family="chain", applies=_reads_chain),
    "muted_heads": Fault(strike=chain.mute_heads, family="chain", applies=_reads_chain),
    "rpc_lag": Fault(strike=chain.lag_node, family="chain", applies=_reads_chain),
    "rpc_empty_lie": Fault(strike=chain.lie_about_logs, family="chain", applies=_first_may_lie),
    "rpc_narrow_range": Fault(strike=chain.narrow_ranges, family="chain", applies=_reads_chain),
    "rpc_error": Fault(strike=chain.refuse_calls, family="chain", applies=_reads_chain),
    "rpc_lie": Fault(
        strike=chain.lie_in_answers,
        family="chain",
        applies=_reads_chain,
        kinds=tuple(kind.replace(" ", "_") for kind in KINDS),
    ),
    "second_lag": Fault(strike=partial(chain.lag_node, is_second=True), family="chain", applies=_has_second_node),
    "second_empty_lie": Fault(
        strike=partial(chain.lie_about_logs, is_second=True), family="chain", applies=_second_may_lie
    ),
    "second_narrow_range": Fault(
        strike=partial(chain.narrow_ranges, is_second=True), family="chain", applies=_has_second_node
    ),
    "second_error": Fault(strike=partial(chain.refuse_calls, is_second=True), family="chain", applies=_has_second_node),
    "finality_stall": Fault(strike=chain.stall_finality, family="chain"),
    "reorg": Fault(strike=chain.reorganise, family="chain", kinds=tuple(ReorgFate)),
    "stream_drop": Fault(strike=partial(feeds.drop_socket, kind="rtds"), family="api", applies=_has_stream),
    "stream_freeze": Fault(strike=partial(feeds.freeze_socket, kind="rtds"), family="api", applies=_has_stream),
    "stream_frames": Fault(
        strike=partial(feeds.disturb_frames, path=feeds.STREAM_PATH, kinds=("lost", "swapped")),
        family="api",
        applies=_has_stream,
        kinds=("lost", "swapped"),
    ),
    "stream_junk": Fault(strike=partial(feeds.send_junk, kind="rtds"), family="api", applies=_has_stream),
    "stream_delay": Fault(strike=feeds.delay_stream, family="api", applies=_has_stream),
    "data_api_delay": Fault(strike=feeds.delay_data_api, family="api", applies=_has_data_api),
    "data_api_lost_rows": Fault(strike=feeds.lose_rows, family="api", applies=_has_spare_rows),
    "http_error": Fault(strike=feeds.fail_requests, family="api"),
    "html_body": Fault(strike=feeds.answer_with_pages, family="api"),
    "lost_request": Fault(strike=feeds.lose_requests, family="api"),
    "http_latency": Fault(strike=feeds.delay_answers, family="api"),
    "socket_latency": Fault(strike=feeds.delay_sockets, family="api"),
    "slow_disk": Fault(strike=host.slow_the_disk, family="host"),
    "failed_disk": Fault(strike=host.fail_the_disk, family="host"),
    "death": Fault(strike=host.kill_the_worker, family="host"),
    "death_at_write": Fault(strike=host.kill_at_a_write, family="host"),
    "stopped_process": Fault(strike=host.stop_the_process, family="host"),
    "clock_set": Fault(strike=host.set_the_clock, family="host", kinds=("ahead", "behind")),
    "resolution": Fault(strike=host.resolve_a_market, family="books"),
    "new_leader": Fault(strike=host.add_a_leader, family="host"),
}
COUNTED = tuple(counted for name, fault in FAULTS.items() for counted in fault.counted(name))
"""Under which names strikes are counted."""
BOOK_TROUBLE = frozenset(
    {
        "market_drop",
        "market_freeze",
        "market_frames",
        "market_junk",
        "market_unshown",
        "market_blind",
        "market_dark",
        "tick_change",
        "resolution",
        "http_error",
        "html_body",
        "lost_request",
        "http_latency",
        "socket_latency",
        "slow_disk",
        "death",
        "death_at_write",
        "stopped_process",
        "clock_set",
    }
)
"""With any of these a worker may rightly see a book of some seconds ago."""
CLOCK_TROUBLE = frozenset({"clock_set", "market_blind"})
"""Each sets the clock wrong."""
STILL_CHANCE = 1 / 6
"""How many seeds have nothing that disturbs their books: there the judge allows the least."""


def left_out(seed: int, without: Collection[str]) -> Collection[str]:
    """Return the classes that a seed does without, besides those it is told to."""
    is_still = random.Random(f"{seed}:still books").random() < STILL_CHANCE
    return {*without, *BOOK_TROUBLE} if is_still else without
