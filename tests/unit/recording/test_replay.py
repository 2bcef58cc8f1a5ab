"""A replay starts from what the session started from, and what ended without a trade ends in it too."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from copytrade.adapters.recording.codec import plain
from copytrade.app.replaying import Replayed, recorded_settings, replay_entries
from copytrade.cli.program import build
from copytrade.domain.attempts import AttemptStatus, Decision, Settlement, reason
from copytrade.domain.carry import Carry
from copytrade.domain.fills import Side
from copytrade.domain.latency import Latency
from copytrade.domain.positions import Position
from copytrade.domain.settlement import PositionSettlement, SettlementKind
from copytrade.engine.session import (
    FORMAT,
    Began,
    BookShown,
    Closed,
    Ended,
    Entry,
    Filled,
    Gathered,
    Held,
    Made,
    Remembered,
    Settled,
)
from copytrade.settings import Settings
from copytrade.settings.replayed import replayed, shown, with_changes
from copytrade.strategies.copy import CopyFacts
from tests.ledger_facts import an_attempt, an_execution
from tests.makers import NOW_MS, YES, a_book, a_fill, a_leader, a_market, a_view, micro, recorded
from tests.recordings import write_file

HELD = Position(
    strategy_id="copy",
    account_id="paper",
    token_id=YES,
    shares=micro("40"),
    cost_usdc=micro("20"),
    fees_usdc=micro("1"),
)
SOLD = recorded(a_fill(side=Side.SELL, fill_ts_ms=NOW_MS))
LEVELS = (490_000, micro("500"), -510_000, micro("500"))


def facts(**changes: Any) -> CopyFacts:
    given: dict[str, Any] = {
        "fill": SOLD.fill,
        "leader": a_leader(),
        "market": a_market(),
        "view": a_view(a_book(at_ms=NOW_MS)),
        "held": 0,
        "unmapped_waited_ms": 0,
        "book_waited_ms": 0,
        "now_ms": NOW_MS + 100,
    }
    return CopyFacts(**(given | changes))


def settled(shares: str, kind: SettlementKind = SettlementKind.RESOLUTION, proceeds: str = "0") -> Settled:
    settlement = PositionSettlement(
        strategy_id="copy",
        account_id="paper",
        token_id=YES,
        condition_id=a_market().condition_id,
        kind=kind,
        shares=micro(shares),
        proceeds_usdc=micro(proceeds),
        cost_usdc=0,
        source="chain",
        at_ms=NOW_MS + 50,
        parts=(),
    )
    return Settled(at_ms=NOW_MS + 50, settlements=(settlement,))


def a_session(*between: Entry, held: Held | None = None, given: CopyFacts | None = None) -> list[Entry]:
    """Hold 40 shares, let things happen, and see the leader sell."""
    who = {"program": "1", "mode": "paper", "strategy_id": "copy", "account_id": "paper"}
    return [
        Began(at_ms=NOW_MS, format=FORMAT, settings={"EXIT_MODE": '"ratio"'}, **who),
        held or Held(at_ms=NOW_MS, positions=(HELD,), open_attempts=()),
        Remembered(at_ms=NOW_MS, carries=(), last_entries={}, decided=()),
        BookShown(at_ms=NOW_MS, token=0, token_id=YES, venue_ts_ms=1, levels=LEVELS),
        *between,
        Gathered(at_ms=NOW_MS + 100, recorded=SOLD, facts=given or facts()),
        Ended(at_ms=NOW_MS + 9_000, entries=9),
    ]


def sold(session: list[Entry]) -> tuple[list[str], int]:
    """Return the codes of the one decision of the replay, and the micro-shares that it sold."""
    (one,) = _replayed(session).copies
    assert one.replayed is not None
    return [why.code for why in one.replayed.attempt.reasons], one.replayed.shares


def _replayed(session: list[Entry]) -> Replayed:
    # The session did nothing of it, so the replay is not asked to wait for what it never knew.
    return replay_entries(lambda: iter(session), {"SUBMIT_LATENCY_MS": "150"})


def test_what_was_held_at_the_start_may_be_sold() -> None:
    codes, shares = sold(a_session())

    assert codes == ["MARKETABLE", "CUT_BY_HELD"]
    assert shares == micro("40")


def test_what_a_gate_refused_is_refused_again_and_the_carry_is_told_once() -> None:
    bought = recorded(a_fill(fill_ts_ms=NOW_MS))
    waiting = Carry(
        leader_id=a_leader().id,
        token_id=YES,
        side=Side.SELL,
        shares=micro("1"),
        usdc=micro("0.5"),
        fills=1,
        since_ms=NOW_MS - 9_000,
    )
    refused = reason("GATE_SOURCES", value="quiet", limit="loud")
    dropped = reason("CARRY_DROPPED", why="he traded the other way")
    then = an_attempt(bought, decision=Decision.SKIP, status=AttemptStatus.SKIPPED, reasons=(refused, dropped))
    start = a_session()
    session = [
        *start[:2],
        Remembered(at_ms=NOW_MS, carries=(waiting,), last_entries={}, decided=()),
        start[3],
        Gathered(at_ms=NOW_MS + 100, recorded=bought, facts=facts(fill=bought.fill)),
        Made(at_ms=NOW_MS + 110, attempt=then, carry=None),
        start[-1],
    ]

    codes, shares = sold(session)

    assert (codes, shares) == (["GATE_SOURCES", "CARRY_DROPPED"], 0)


@pytest.mark.parametrize("shares", ["40", "25"])
def test_what_a_resolution_redeemed_is_not_held_any_more_however_much_the_session_held(shares: str) -> None:
    assert sold(a_session(settled(shares)))[0] == ["NOTHING_HELD"]


def test_sets_that_were_merged_are_gone_and_no_more_than_these() -> None:
    codes, shares = sold(a_session(settled("15", SettlementKind.MERGE, proceeds="7")))

    assert (codes, shares) == (["MARKETABLE", "CUT_BY_HELD"], micro("25"))


def test_an_order_left_open_by_an_earlier_life_keeps_its_shares_until_it_ended() -> None:
    attempt = an_attempt(SOLD)
    left = replace(
        attempt, side=Side.SELL, size_shares_target=micro("30"), status=AttemptStatus.SUBMITTED, created_at_ms=1
    )
    held = Held(at_ms=NOW_MS, positions=(HELD,), open_attempts=(left,))
    ended = Closed(
        at_ms=NOW_MS + 20,
        attempt_id=left.id,
        status=AttemptStatus.CANCELED,
        reason=reason("INTERRUPTED"),
        done_at_ms=NOW_MS + 20,
    )

    assert sold(a_session(held=held))[1] == micro("10")
    assert sold(a_session(ended, held=held))[1] == micro("40")


def test_what_such_an_order_still_got_is_held_once() -> None:
    bought = an_attempt(recorded(a_fill(tx_hash="0x" + "7b" * 32)), status=AttemptStatus.SUBMITTED)
    held = Held(at_ms=NOW_MS, positions=(HELD,), open_attempts=(bought,))
    fill = an_execution(bought, shares="7")
    first = Filled(at_ms=NOW_MS + 20, fill=replace(fill, settlement=Settlement.MATCHED))
    failed = Filled(at_ms=NOW_MS + 21, fill=replace(fill, venue_trade_id="another", settlement=Settlement.FAILED))

    assert sold(a_session(first, replace(first, fill=fill), failed, held=held))[1] == micro("47")


def test_a_live_session_is_played_again_on_paper() -> None:
    def live(entry: Entry) -> Entry:
        match entry:
            case Began():
                return replace(entry, mode="live", account_id="live-0x1")
            case Held(positions=positions):
                return replace(entry, positions=tuple(replace(one, account_id="live-0x1") for one in positions))
            case _:
                return entry

    bought = replace(an_attempt(SOLD), account_id="live-0x1")
    fill = replace(an_execution(bought, shares="7"), settlement=Settlement.MATCHED)
    mined = replace(fill, settlement=Settlement.CONFIRMED)
    void = replace(fill, venue_trade_id="another", settlement=Settlement.FAILED)
    did = [Made(at_ms=NOW_MS + 110, attempt=bought, carry=None)]
    did += [Filled(at_ms=NOW_MS + 120, fill=one) for one in (fill, void, mined)]
    session = [live(entry) for entry in a_session()]

    again = replay_entries(lambda: iter([*session[:-1], *did, session[-1]]), {})

    recorded, replayed = ([getattr(one, side) for one in again.copies] for side in ("recorded", "replayed"))
    assert [one.shares for one in recorded if one] == [micro("7")]
    assert [(one.attempt.account_id, one.shares) for one in replayed if one] == [("live-0x1", micro("40"))]
    assert not again.must_be_equal


def test_a_leaders_own_rules_are_those_of_the_session() -> None:
    own = a_leader(rules=(("exit_mode", "ratio"), ("slippage_bps_max", 1)), copy_ratio=micro("0.1"))

    codes, shares = sold(a_session(given=facts(leader=own)))

    assert (codes, shares) == (["RESTS_AT_LIMIT"], 0)


def test_every_setting_of_a_session_comes_back_as_it_was() -> None:
    given = Settings.model_validate(
        {
            "submit_latency_ms": Latency.fit(["80", "120.5"], source="measured.txt"),
            "decision_latency_ms": "lognormal:5:0.5",
            "paper_effects": "impact,fees",
            "paper_interruptions": "restart@TUE-12:00",
            "order_type": "FAK",
            "sizing_mode": "bankroll",
            "keywords_deny": "rain,snow",
            "spread_max": "0.05",
            "copy_ratio": "0.25",
        }
    )
    written = {name: json.dumps(plain(value)) for name, value in replayed(given).items()}

    again = with_changes(recorded_settings(written), {})

    assert replayed(again) == replayed(given)
    assert shown("COPY_RATIO", given.copy_ratio) == "0.25"
    assert shown("SPREAD_MAX", given.spread_max) == "0.05"
    assert shown("BANKROLL_USDC", given.bankroll_usdc) == "1000.00"
    assert shown("PAPER_EFFECTS", given.paper_effects) == "fees,impact"


@pytest.mark.parametrize(("program", "is_ours"), [(version("copytrade"), True), ("0.0.1", False)])
def test_a_replay_that_should_have_been_equal_says_what_differs_and_who_recorded_it(
    program: str, *, is_ours: bool, tmp_path: Path
) -> None:
    held_nothing = Held(at_ms=NOW_MS, positions=(), open_attempts=())
    session = a_session(held=held_nothing)
    (one,) = _replayed(session).copies
    assert one.replayed is not None
    made = Made(
        at_ms=NOW_MS + 101, attempt=replace(one.replayed.attempt, reasons=(reason("NOTHING_HELD"),)), carry=None
    )
    began = replace(cast("Began", session[0]), program=program)
    entries = [began, *session[1:-1], made]
    path = write_file(tmp_path / "session.jsonl", [*entries, Ended(at_ms=NOW_MS + 9_000, entries=len(entries))])

    told = CliRunner().invoke(build(), ["replay", str(path)])

    assert told.exit_code == 1
    assert "nothing was changed, and yet the replay differs from the recording" in told.output
    assert "no attempt came out otherwise" in told.output
    assert ("recorded by copytrade 0.0.1, and this is" in told.output) is not is_ours
