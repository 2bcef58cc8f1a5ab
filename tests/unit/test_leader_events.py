"""What a leader held: folded from fills, events and snapshots, whatever came first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.fills import RecordedFill, Side, Source
from copytrade.domain.leader_events import (
    SNAPSHOT_LAG_MS,
    LeaderEvent,
    LeaderEventKind,
    LeaderHolding,
    alerts_of,
    holding,
    snapshots_of,
)
from tests.makers import LEADER, NO, NOW_MS, YES, a_fill, a_market, a_place, micro, recorded

CONDITION = a_market().condition_id
BASE_MS = NOW_MS - 600_000
Kind = LeaderEventKind


def an_event(kind: LeaderEventKind, shares: str = "10", *, at_ms: int = NOW_MS, **changes: Any) -> LeaderEvent:
    facts: dict[str, Any] = {
        "leader": LEADER,
        "kind": kind,
        "condition_id": CONDITION,
        "token_id": None,
        "shares": micro(shares),
        "usdc": micro(shares),
        "tx_hash": "0x" + "ee" * 32,
        "event_ts_ms": at_ms,
        "detected_at_ms": at_ms + 5_000,
        "dedupe_key": f"{kind}|{at_ms}|{shares}",
        "payload": "{}",
    }
    return LeaderEvent(**(facts | changes))


def a_trade(side: Side, size: str, *, at_ms: int = NOW_MS, log: int = 1, token_id: str = YES) -> RecordedFill:
    place = a_place(block_number=at_ms // 2_000, log_index=log, block_hash=f"0x{at_ms:064x}")
    return recorded(a_fill(side=side, size=size, fill_ts_ms=at_ms, place=place, token_id=token_id))


def listing(**held: str) -> tuple[LeaderEvent, ...]:
    """Return a whole listing of the wallet, long before the test's trades."""
    listed = [({"yes": YES, "no": NO}[name], micro(shares)) for name, shares in held.items()]
    return snapshots_of(LEADER, listed, at_ms=BASE_MS, is_whole=True)


def held(
    *moves: RecordedFill | LeaderEvent, token_id: str = YES, before: RecordedFill | None = None, **market: Any
) -> str:
    fills = [move for move in moves if isinstance(move, RecordedFill)]
    events = [move for move in moves if isinstance(move, LeaderEvent)]
    found = holding(token_id, a_market(**market), fills=fills, events=events, before=before)
    return found.unknown or str(found.shares / 1_000_000).removesuffix(".0")


def test_nothing_is_known_without_a_snapshot() -> None:
    assert held(a_trade(Side.BUY, "100")) == "no snapshot"


def test_what_a_listing_does_not_name_was_zero_and_trades_count_from_there() -> None:
    moves = (*listing(no="7"), a_trade(Side.BUY, "100"), a_trade(Side.SELL, "30", at_ms=NOW_MS + 2_000))

    assert held(*moves) == "70"
    assert held(*moves, token_id=NO) == "7"


def test_what_was_traded_before_the_snapshot_is_in_it() -> None:
    assert held(a_trade(Side.BUY, "100", at_ms=BASE_MS - 60_000), *listing(yes="40")) == "40"


@pytest.mark.parametrize("at_ms", [BASE_MS - SNAPSHOT_LAG_MS + 1, BASE_MS, BASE_MS + 5_000])
def test_a_trade_around_the_snapshot_leaves_its_token_unknown_and_no_other(at_ms: int) -> None:
    moves = (*listing(yes="40", no="7"), a_trade(Side.BUY, "100", at_ms=at_ms))

    assert held(*moves) == "traded around the snapshot"
    assert held(*moves, token_id=NO) == "7"


def test_a_later_quiet_snapshot_of_the_token_makes_it_known_again() -> None:
    trade = a_trade(Side.BUY, "100", at_ms=BASE_MS)
    later = snapshots_of(LEADER, [(YES, micro("140"))], at_ms=BASE_MS + 60_000, is_whole=False)

    assert held(*listing(yes="40"), trade, *later, a_trade(Side.SELL, "40")) == "100"


def test_a_snapshot_amid_trades_does_not_unsettle_what_is_known() -> None:
    amid = snapshots_of(LEADER, [(YES, micro("999"))], at_ms=NOW_MS + 1_000, is_whole=False)

    assert held(*listing(yes="40"), a_trade(Side.BUY, "100"), *amid) == "140"


@pytest.mark.parametrize(
    ("event", "yes", "no"),
    [
        (an_event(Kind.SPLIT), "50", "17"),
        (an_event(Kind.MERGE, "5"), "35", "2"),
        (an_event(Kind.REDEEM, "40"), "0", "0"),
        (an_event(Kind.REDEEM, "40", token_id=NO), "40", "0"),
        (an_event(Kind.DEPOSIT, token_id=YES), "50", "7"),
        (an_event(Kind.WITHDRAWAL, token_id=YES), "30", "7"),
        (an_event(Kind.DEPOSIT), "deposit of an unknown token", "deposit of an unknown token"),
        (an_event(Kind.CONVERSION), "conversion of unknown size", "conversion of unknown size"),
        (an_event(Kind.MIGRATION, condition_id=""), "migration of unknown size", "migration of unknown size"),
        (an_event(Kind.SPLIT, condition_id="0x" + "99" * 32), "40", "7"),
        (an_event(Kind.CONVERSION, condition_id="0x" + "99" * 32), "40", "7"),
    ],
    ids=lambda one: f"{one.kind}-{one.condition_id[:4]}-{one.token_id}" if isinstance(one, LeaderEvent) else None,
)
def test_each_kind_moves_what_the_venue_says_it_moves(event: LeaderEvent, yes: str, no: str) -> None:
    moves = (*listing(yes="40", no="7"), event)

    assert (held(*moves), held(*moves, token_id=NO)) == (yes, no)


def test_a_conversion_elsewhere_unsettles_every_market_of_negative_risk() -> None:
    elsewhere = an_event(Kind.CONVERSION, condition_id="0x" + "99" * 32)

    assert held(*listing(yes="40"), elsewhere, neg_risk=True) == "conversion of unknown size"


def test_selling_more_than_is_known_makes_it_unknown_but_dust_does_not() -> None:
    assert held(*listing(yes="40"), a_trade(Side.SELL, "40.09")) == "0"
    assert held(*listing(yes="40"), a_trade(Side.SELL, "40.2")) == "gave away more than was known"


def test_within_a_second_a_split_goes_before_the_sale_and_a_merge_after() -> None:
    sale = a_trade(Side.SELL, "10")
    moves = (*listing(), sale, an_event(Kind.SPLIT), an_event(Kind.MERGE, "1", dedupe_key="m"))

    assert held(*moves, before=sale) == "10"


def test_what_he_held_before_a_sale_leaves_out_the_sale_and_all_after_it() -> None:
    sale = a_trade(Side.SELL, "25", log=5)
    moves = (*listing(yes="40"), a_trade(Side.BUY, "60", log=4), sale, a_trade(Side.SELL, "50", log=6))

    assert held(*moves, before=sale) == "100"


def test_a_sale_that_got_its_place_meanwhile_is_not_counted_against_itself() -> None:
    stored = a_trade(Side.SELL, "25", log=5)
    as_first_seen = replace(stored, fill=replace(stored.fill, place=None, source=Source.DATA_API))

    assert held(*listing(yes="40"), stored, before=as_first_seen) == "40"


def test_a_person_is_told_of_each_event_but_not_of_snapshots() -> None:
    told = alerts_of([an_event(Kind.MERGE), *listing(yes="1"), an_event(Kind.REDEEM)])

    assert [code for code, _ in told] == ["LEADER_MERGED", "LEADER_REDEEMED"]
    assert told[0][1]["shares"] == "10.00"


_MOVES = st.lists(
    st.tuples(st.sampled_from(["buy", "sell", "split", "merge", "redeem"]), st.integers(1, 50), st.integers(0, 30)),
    max_size=12,
)


@given(moves=_MOVES, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(moves: list[tuple[str, int, int]], shuffle: Any) -> None:
    happened: list[RecordedFill | LeaderEvent] = [*listing(yes="20", no="20")]
    for at, (what, shares, second) in enumerate(moves):
        at_ms = NOW_MS + second * 1_000
        if what in {"buy", "sell"}:
            happened.append(a_trade(Side(what.upper()), str(shares), at_ms=at_ms, log=at))
        else:
            happened.append(an_event(Kind(what.upper()), str(shares), at_ms=at_ms, dedupe_key=str(at)))
    arrived = list(happened)
    shuffle.shuffle(arrived)

    assert held(*arrived) == held(*happened)
    assert held(*arrived, token_id=NO) == held(*happened, token_id=NO)


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_what_he_held_before_each_sale_is_what_is_left_after_the_ones_before(sizes: list[int]) -> None:
    sales = [a_trade(Side.SELL, str(size), at_ms=NOW_MS + at * 1_000, log=at) for at, size in enumerate(sizes)]
    total = sum(sizes)

    for at, sale in enumerate(sales):
        assert held(*listing(yes=str(total)), *sales, before=sale) == str(total - sum(sizes[:at]))


def test_an_unknown_holding_says_so() -> None:
    assert not LeaderHolding(unknown="why").is_known
