"""Book stores on networks that misbehave, against the local venue over real sockets and an undisturbed witness.

`python -m tests.book_chaos` plays the same longer and prints how long everything took to heal.
"""

from __future__ import annotations

import os

from tests.book_chaos import FAULTS, HEAD, SILENT, play

SECONDS = float(os.environ.get("BOOK_CHAOS_SECONDS", "1.5"))
HEALED_S_MAX = 30


async def test_no_book_is_shown_as_fresh_that_is_wrong_and_every_fault_heals() -> None:
    # Ten megabytes stop everybody who shares the loop; that they are read is tested alone.
    networks = await play([fault for fault in FAULTS if fault != "10 MB frames"], SECONDS)

    print(HEAD, *(network.line() for network in networks), sep="\n")
    for network in networks:
        assert network.looks["fresh"] > 0, network.line()
        assert network.healed_s is not None, network.line()
        assert network.healed_s < HEALED_S_MAX, network.line()
        if network.name not in SILENT:
            assert network.wrong_looks == 0, network.line()
