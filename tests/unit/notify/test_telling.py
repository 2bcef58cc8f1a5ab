"""What people read of a fill: the same facts on lines, in the table and in the summary."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from rich.console import Console

from copytrade.adapters.notify import lines
from copytrade.adapters.notify.lines import LineNotifier
from copytrade.adapters.notify.table import TableNotifier
from copytrade.adapters.notify.tally import Tally
from copytrade.adapters.notify.wording import slippage
from copytrade.domain.attempts import (
    AttemptStatus,
    Decision,
    ExecutionAttempt,
    ExecutionFill,
    ExecutionMode,
    Liquidity,
    Settlement,
    reason,
)
from copytrade.domain.fills import RecordedFill, Side, Source
from copytrade.domain.happenings import Decided, FillDetected, FillJoined, Happening, Noted, OrderEnded, OrderFilled
from copytrade.domain.positions import Position, apply_fill
from copytrade.domain.units import MICRO
from tests.makers import LEADER, NOW_MS, a_book, a_fill, a_market, micro, recorded
from tests.still_clock import StillClock


def an_attempt(seen: RecordedFill, **changes: Any) -> ExecutionAttempt:
    facts: dict[str, Any] = {
        "id": uuid4(),
        "strategy_id": "copy",
        "account_id": "paper",
        "leader_fill_id": seen.id,
        "mode": ExecutionMode.PAPER,
        "decision": Decision.TRADE,
        "reasons": (reason("MARKETABLE", limit="0.51"),),
        "ratio": MICRO,
        "token_id": seen.fill.token_id,
        "side": seen.fill.side,
        "size_shares_target": micro("100"),
        "limit_price": micro("0.51"),
        "ttl_ms": 5_000,
        "status": AttemptStatus.PENDING,
        "order_hash": None,
        "decided_at_ms": NOW_MS,
        "placed_at_ms": None,
        "first_fill_at_ms": None,
        "done_at_ms": None,
        "created_at_ms": NOW_MS,
    }
    return ExecutionAttempt(**(facts | changes))


def a_story() -> list[Happening]:
    """One fill from detection to its end, at a worse price than the leader's."""
    seen = recorded(a_fill())
    attempt = an_attempt(seen)
    fill = ExecutionFill(
        id=uuid4(),
        attempt_id=attempt.id,
        strategy_id="copy",
        account_id="paper",
        venue_trade_id="1",
        token_id=attempt.token_id,
        side=Side.BUY,
        shares=micro("100"),
        price=micro("0.51"),
        fee_usdc=micro("1.2495"),
        liquidity=Liquidity.TAKER,
        settlement=Settlement.CONFIRMED,
        fill_at_ms=NOW_MS + 150,
    )
    position = apply_fill(Position(strategy_id="copy", account_id="paper", token_id=attempt.token_id), fill)
    market = a_market()
    return [
        FillDetected(recorded=seen, leader_label="bob", market=market, stored_at_ms=NOW_MS, is_history=False),
        FillJoined(recorded=seen, by=Source.DATA_API),
        Decided(recorded=seen, attempt=attempt, market=market, book=a_book()),
        OrderFilled(attempt=attempt, fill=fill, position=position, recorded=seen),
        OrderEnded(attempt=attempt, status=AttemptStatus.FILLED, reason=None),
    ]


def lines_of(*happenings: Happening) -> list[str]:
    """Return what is written of them, without the time each line starts with."""
    said: list[str] = []
    notifier = LineNotifier(said.append, StillClock(NOW_MS))
    for happening in happenings:
        notifier.tell(happening)
    return [line.partition(" ")[2] for line in said]


HIS = "bob BUY 100.00 @ 0.50 as taker | Will it rain in Paris? [Yes]"


def test_each_happening_has_its_line_which_names_the_leaders_trade() -> None:
    assert lines_of(*a_story()) == [
        f"FILL    {HIS} | seen by polygon, 800 ms after the block's stamp",
        f"SEEN    {HIS} | also by data_api",
        f"DECIDE  TRADE BUY 100.00 limit 0.51 | after {HIS} | MARKETABLE limit=0.51 | book 500.00@0.49 / 0.51@500.00",
        (
            f"FILLED  BUY 100.00 @ 0.51 as taker | after {HIS} | fee 1.2495 | slippage +0.01 (+200 bps)"
            " | position 100.00 costing 51.00 | PnL -1.2495"
        ),
        f"ENDED   FILLED | BUY 0.00 of 100.00 filled, limit 0.51 | after {HIS}",
    ]


def test_a_skip_says_every_reason_with_its_numbers() -> None:
    seen = recorded()
    skipped = an_attempt(
        seen,
        decision=Decision.SKIP,
        status=AttemptStatus.SKIPPED,
        reasons=(reason("TOO_OLD", age_ms=40_000), reason("NO_BOOK")),
    )

    said = lines_of(Decided(recorded=seen, attempt=skipped, market=a_market(), book=None))

    his = HIS.replace("bob", f"{LEADER[:6]}..{LEADER[-4:]}")
    assert said == [f"DECIDE  SKIP | after {his} | TOO_OLD age_ms=40000; NO_BOOK | no book"]


def test_a_market_that_was_found_late_is_named_from_then_on() -> None:
    detected, _, decided, filled, _ = a_story()
    assert isinstance(detected, FillDetected)

    said = lines_of(replace(detected, market=None), decided, filled)

    assert ["Will it rain" in line for line in said] == [False, True, True]


def test_what_is_done_about_a_fill_of_long_ago_is_told_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "COPIED_MAX", 1)
    other = recorded(a_fill(tx_hash="0x" + "99" * 32))
    detected, *_, ended = a_story()
    assert isinstance(detected, FillDetected)

    assert lines_of(detected, replace(detected, recorded=other), ended)[-1] == (
        "ENDED   FILLED | BUY 0.00 of 100.00 filled, limit 0.51"
    )


def test_a_note_is_told_with_its_detail() -> None:
    assert lines_of(Noted(code="REORG", detail={"fills": 2}, at_ms=NOW_MS)) == ['NOTE    REORG {"fills": 2}']


@pytest.mark.parametrize(
    ("side", "ours", "worse", "bps"),
    [("BUY", "0.51", "0.01", 200), ("SELL", "0.51", "-0.01", -200), ("BUY", "0.5", "0", 0)],
)
def test_slippage_is_positive_when_it_is_worse_for_us(side: str, ours: str, worse: str, bps: int) -> None:
    assert slippage(a_fill(side=Side(side)), micro(ours)) == (micro(worse), bps)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_table_shows_a_fill_from_detection_to_pnl(width: int) -> None:
    table = TableNotifier(Tally(), title="copies", now_ms=lambda: NOW_MS)
    for happening in a_story():
        table.tell(happening)

    screen = Console(width=width, height=30, file=io.StringIO(), record=True)
    screen.print(table.draw(30, width=width))
    shown = screen.export_text()

    for piece in ("+800 ms", "BUY 100.00 @ 0.50", "bob, taker", "[Yes] Will it rain", "100.00 to 0.51"):
        assert piece in shown
    for piece in (
        "chain+api",
        "100.00 @ 0.51",
        "FILLED +200 bps",
        "fee 1.2495",
        "PnL",
        "-1.2495",
        "ask 500.00 @ 0.51",
    ):
        assert piece in shown
    assert max(map(len, shown.splitlines())) <= width


def test_the_summary_adds_up() -> None:
    tally = Tally()
    tally.mark = lambda _token: micro("0.49")
    for happening in a_story():
        tally.tell(happening)

    said = "\n".join(tally.summary_lines())

    assert "leader fills   1 (1 first by polygon; 1 seen again, 0 history)" in said
    assert "decisions      1 TRADE, 0 SKIP" in said
    assert "realised -1.2495 after fees of 1.2495, unrealised -2.00 at the bid" in said


def test_a_position_without_a_bid_is_unmarked_not_invented() -> None:
    tally = Tally()
    for happening in a_story():
        tally.tell(happening)

    assert tally.unrealized() == (0, 1)
    assert "(1 unmarked)" in "\n".join(tally.summary_lines())


@pytest.mark.parametrize(
    ("done", "left", "seconds", "said"),
    [
        (0, 2_000, 0, "history [....................] 0% | 0 of 2,000 blocks, 3 fills | about 0:00 left"),
        (1_500, 500, 75, "history [###############.....] 75% | 1,500 of 2,000 blocks, 3 fills | about 1:15 left"),
        (2_000, 0, 0, "history [####################] 100% | 2,000 of 2,000 blocks, 3 fills | about 0:00 left"),
    ],
)
def test_a_long_read_says_with_a_bar_how_far_it_is_and_how_long_it_may_take(done, left, seconds, said):
    detail = {"source": "polygon", "blocks_done": done, "blocks_left": left, "seconds_left": seconds, "fills": 3}
    noted = Noted(code="HISTORY_PROGRESS", detail=detail, at_ms=NOW_MS)

    assert lines_of(noted) == [f"READING {said}"]
    table = TableNotifier(Tally(), title="copies", now_ms=lambda: NOW_MS)
    table.tell(noted)
    screen = Console(width=400, height=30, file=io.StringIO(), record=True)
    screen.print(table.draw(30, width=400))
    assert said in screen.export_text()


@pytest.mark.parametrize("source", list(Source))
def test_the_table_has_a_word_for_every_source(source):
    table = TableNotifier(Tally(), title="copies", now_ms=lambda: NOW_MS)
    seen = recorded(a_fill(source=source))
    table.tell(
        FillDetected(recorded=seen, leader_label="bob", market=a_market(), stored_at_ms=NOW_MS, is_history=False)
    )

    screen = Console(width=200, height=30, file=io.StringIO(), record=True)
    screen.print(table.draw(30, width=200))

    assert "bob" in screen.export_text()
