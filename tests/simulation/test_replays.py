"""Every life of the worker can be played again from what it recorded, and comes out the same byte for byte."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from copytrade.app.replaying import Replayed, replay_entries
from copytrade.domain.halts import BY_OPERATOR, HaltLevel, new_halt
from copytrade.domain.risk import LimitName
from copytrade.domain.scopes import EVERYTHING
from copytrade.engine.session import BookMoved, Closed, Ended, Entry, Filled, Made
from tests.recordings import MemoryChronicle, write_file
from tests.simulation.stage import Stage
from tests.simulation.story import play, quiet_day, quiet_logs

ROOT = Path(__file__).parents[2]
SEEDS = int(os.environ.get("REPLAY_SEEDS", "1"))
DURATION_MS = 45_000
FIRST_SEED = 3
"""In it the worker dies and lives again; not in every other."""
OTHER_SEEDS = {12, 35}
"""A clock that is set back, and a fill that a reorg takes before it is decided."""


def replayed(entries: list[Entry], **changes: str) -> Replayed:
    with quiet_logs():
        return replay_entries(lambda: iter(entries), changes)


@pytest.fixture(scope="module")
def day() -> list[Entry]:
    """What a worker recorded of a while in which nothing broke."""
    chronicle = MemoryChronicle()
    quiet_day(1, duration_ms=DURATION_MS, new_chronicle=lambda: chronicle)
    return chronicle.read()


def test_a_recording_is_worth_replaying(day: list[Entry]) -> None:
    counts = {kind: sum(isinstance(entry, kind) for entry in day) for kind in (Made, Filled, Closed, BookMoved)}

    assert counts[Made] >= 15
    assert counts[Filled] >= 10
    assert counts[Closed] >= 2
    assert counts[BookMoved] >= 500


def test_an_unchanged_replay_equals_the_session(day: list[Entry]) -> None:
    again = replayed(day)

    assert again.replayed_digest == again.recorded_digest
    assert not any(one.differs for one in again.copies)
    assert {one.effect for one in again.copies} == {0}


def test_a_replay_with_other_settings_is_another_session(day: list[Entry]) -> None:
    patient = replayed(day, ORDER_TTL_MS="20000")
    half = replayed(day, COPY_RATIO="0.5", MAX_USDC_PER_TRADE="50")
    slow = replayed(day, SUBMIT_LATENCY_MS="4000")

    assert patient.replayed_digest != patient.recorded_digest
    sizes = [(one.recorded.shares, one.replayed.shares) for one in half.copies if one.recorded and one.replayed]
    assert sum(after for _, after in sizes) < 0.7 * sum(before for before, _ in sizes)
    assert all(one.replayed.attempt.ratio == 500_000 for one in half.copies if one.replayed)
    waits = [
        fill.fill_at_ms - one.replayed.attempt.decided_at_ms
        for one in slow.copies
        if one.replayed
        for fill in one.replayed.fills
    ]
    assert min(waits) >= 4_000


def test_a_replay_knows_of_the_leaders_what_the_session_had_no_need_of(day: list[Entry]) -> None:
    by_bankroll = replayed(day, SIZING_MODE="bankroll")

    reasons = [why.code for one in by_bankroll.copies if one.replayed for why in one.replayed.attempt.reasons]
    assert reasons.count("SIZED_BY_BANKROLL") >= 10
    assert "BANKROLL_UNKNOWN" not in reasons


def test_a_replay_that_only_seems_changed_differs_in_nothing_one_would_call_a_difference(day: list[Entry]) -> None:
    same = replayed(day, SLIPPAGE_BPS_MAX="300", SUBMIT_LATENCY_MS="150")

    assert not any(one.differs for one in same.copies)


def test_what_halts_and_limits_did_is_done_again() -> None:
    codes: set[str] = set()
    for seed in (4, 11):
        chronicle = MemoryChronicle()
        quiet_day(seed, duration_ms=60_000, new_chronicle=lambda kept=chronicle: kept, meanwhile=_halt_and_limit)
        entries = chronicle.read()
        again = replayed(entries)
        reasons = [why for made in entries if isinstance(made, Made) for why in made.attempt.reasons]
        endings = [ended.reason for ended in entries if isinstance(ended, Closed) and ended.reason is not None]
        codes |= {why.code for why in reasons} | {f"ended {why.code}" for why in endings}

        assert again.replayed_digest == again.recorded_digest

    assert codes >= {"HALTED", "RISK_MAX_OPEN_USDC", "CUT_BY_RISK_MAX_USDC_PER_TRADE"}
    assert codes >= {"ended HALTED", "ended CANCELED_BY_US"}


async def _halt_and_limit(stage: Stage) -> None:
    """Halt and resume at any moment, on a disk that is slow at times, under limits that change."""
    rng, ledger, clock = random.Random(8), stage.storage.ledger, stage.clock
    names = (LimitName.MAX_USDC_PER_TRADE, LimitName.MAX_OPEN_USDC)
    while True:
        await asyncio.sleep(rng.uniform(0.5, 6))
        stage.disk.slow_ms = rng.choice([0, 400])
        value = rng.choice([None, rng.randrange(5_000_000, 100_000_000)])
        await ledger.set_limit(rng.choice(names), EVERYTHING, value, start=None, by="bob", at_ms=clock.now_ms())
        level = rng.choice(list(HaltLevel))
        await ledger.halt(new_halt(BY_OPERATOR, level=level, why="a drill", by="bob", now_ms=clock.now_ms()))
        await asyncio.sleep(rng.uniform(0.05, 3))
        await ledger.resume(None, by="bob", at_ms=clock.now_ms())


@pytest.mark.processes
def test_other_processes_with_other_hashes_replay_the_same_from_plain_and_from_packed_files(
    day: list[Entry], tmp_path: Path
) -> None:
    whole = [*day, Ended(at_ms=day[-1].at_ms, entries=len(day))]
    names = {"1": "day.jsonl", "4242": "day.jsonl.gz"}

    told = [_told(write_file(tmp_path / name, whole), seed) for seed, name in names.items()]

    assert told[0] == told[1]
    assert json.loads(told[0])["equal"] is True
    assert json.loads(told[0])["replayed_sha256"] == replayed(day).replayed_digest


def _told(path: Path, hash_seed: str) -> str:
    environment: dict[str, Any] = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-m", "copytrade", "replay", str(path), "--json"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
@pytest.mark.parametrize("seed", sorted({*range(FIRST_SEED, FIRST_SEED + SEEDS), *OTHER_SEEDS}))
def test_a_life_amid_faults_is_replayed_as_it_was(seed: int) -> None:
    chronicles: list[MemoryChronicle] = []

    def new_chronicle() -> MemoryChronicle:
        chronicles.append(MemoryChronicle())
        return chronicles[-1]

    play(seed, new_chronicle=new_chronicle)
    lives = [chronicle.read() for chronicle in chronicles if chronicle.lines]
    again = [replayed(entries) for entries in lives]

    assert [one.replayed_digest for one in again] == [one.recorded_digest for one in again]
    if seed == FIRST_SEED:
        assert len(lives) > 1
        assert sum(len(one.copies) for one in again) > 10
