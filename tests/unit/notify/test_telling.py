"""What people read of a fill: the same facts on lines, in the table and in the summary."""

from __future__ import annotations

import io
from typing import Any
from uuid import uuid4

import pytest
from rich.console import Console

from copytrade.adapters.notify.lines import line_of
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
from tests.makers import NOW_MS, a_book, a_fill, a_market, micro, recorded


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


def test_each_happening_has_its_line() -> None:
    assert [line_of(happening) for happening in a_story()] == [
        (
            "FILL    bob BUY 100.00 @ 0.50 as taker | Will it rain in Paris? [Yes]"
            " | seen by polygon, 800 ms after the block's stamp"
        ),
        "SEEN    BUY 100.00 @ 0.50 as taker | also by data_api",
        (
            "DECIDE  TRADE BUY 100.00 limit 0.51 | MARKETABLE limit=0.51 | leader BUY @ 0.50 as taker"
            " | book 500.00@0.49 / 0.51@500.00"
        ),
        (
            "FILLED  BUY 100.00 @ 0.51 as taker | fee 1.2495 | slippage +0.01 (+200 bps)"
            " | position 100.00 costing 51.00 | PnL -1.2495"
        ),
        "ENDED   FILLED | BUY 0.00 of 100.00 filled, limit 0.51",
    ]


def test_a_skip_says_every_reason_with_its_numbers() -> None:
    seen = recorded()
    skipped = an_attempt(
        seen,
        decision=Decision.SKIP,
        status=AttemptStatus.SKIPPED,
        reasons=(reason("TOO_OLD", age_ms=40_000), reason("NO_BOOK")),
    )

    said = line_of(Decided(recorded=seen, attempt=skipped, market=None, book=None))

    assert said == "DECIDE  SKIP | TOO_OLD age_ms=40000; NO_BOOK | leader BUY @ 0.50 as taker | book no book"


def test_a_note_is_told_with_its_detail() -> None:
    assert line_of(Noted(code="REORG", detail={"fills": 2}, at_ms=NOW_MS)) == 'NOTE    REORG {"fills": 2}'


@pytest.mark.parametrize(
    ("side", "ours", "worse", "bps"),
    [("BUY", "0.51", "0.01", 200), ("SELL", "0.51", "-0.01", -200), ("BUY", "0.5", "0", 0)],
)
def test_slippage_is_positive_when_it_is_worse_for_us(side: str, ours: str, worse: str, bps: int) -> None:
    assert slippage(a_fill(side=Side(side)), micro(ours)) == (micro(worse), bps)


def test_the_table_shows_a_fill_from_detection_to_pnl() -> None:
    table = TableNotifier(Tally(), title="copies", now_ms=lambda: NOW_MS)
    for happening in a_story():
        table.tell(happening)

    screen = Console(width=160, height=30, file=io.StringIO(), record=True)
    screen.print(table.draw(30))
    shown = screen.export_text()

    for piece in ("bob", "chain+api +800 ms", "BUY 100.00 @ 0.50", "TRADE 100.00 limit 0.51", "100.00 @ 0.51 FILLED"):
        assert piece in shown
    assert "fee 1.2495 slip +200 bps" in shown
    assert "PnL -1.2495" in shown


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

    assert line_of(noted) == f"READING {said}"
    table = TableNotifier(Tally(), title="copies", now_ms=lambda: NOW_MS)
    table.tell(noted)
    screen = Console(width=400, height=30, file=io.StringIO(), record=True)
    screen.print(table.draw(30))
    assert said in screen.export_text()


@pytest.mark.parametrize("source", list(Source))
def test_the_table_has_a_word_for_every_source(source):
    table = TableNotifier(Tally(), title="copies", now_ms=lambda: NOW_MS)
    seen = recorded(a_fill(source=source))
    table.tell(
        FillDetected(recorded=seen, leader_label="bob", market=a_market(), stored_at_ms=NOW_MS, is_history=False)
    )

    screen = Console(width=200, height=30, file=io.StringIO(), record=True)
    screen.print(table.draw(30))

    assert "bob" in screen.export_text()
