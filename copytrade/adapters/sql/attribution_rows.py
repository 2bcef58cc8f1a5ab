"""Rows of `attempt_attribution` and `fill_markout` to domain values and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from copytrade.adapters.sql.story_tables import LOSS_PARTS
from copytrade.domain.attribution import Attribution, BookTop, Loss, Outcome, RuleVerdict, Way
from copytrade.domain.book import Level
from copytrade.domain.markouts import HORIZONS, FillMarks
from copytrade.domain.units import format_micro, parse_micro

if TYPE_CHECKING:
    from copytrade.adapters.sql.rows import Values
    from copytrade.domain.units import Millis


def attribution_values(noted: Attribution, *, now_ms: Millis) -> Values:
    """Return every column of `attempt_attribution`."""
    way, outcome = noted.way, noted.outcome
    return {
        "attempt_id": noted.attempt_id,
        "leader_price": way.leader,
        "mid_at_decision": way.mid_at_decision,
        "touch_at_decision": way.touch_at_decision,
        "touch_at_placement": way.touch_at_placement,
        "filled_shares": outcome and outcome.shares,
        "filled_usdc": outcome and outcome.usdc,
        "avg_fill_price": outcome and outcome.price,
        "fee_usdc": outcome and outcome.fee,
        **_loss_values("usdc", None if outcome is None else outcome.lost_usdc),
        **_loss_values("price", None if outcome is None else outcome.lost_price),
        "book_at_decision": _book_json(noted.book_at_decision),
        "book_at_placement": _book_json(noted.book_at_placement),
        "verdicts": json.dumps([_verdict_json(one) for one in noted.verdicts]),
        "missing": json.dumps(dict(noted.missing)),
        "is_final": noted.is_final,
        "updated_at": now_ms,
    }


def attribution_of(row: Any) -> Attribution:
    """Read a row of `attempt_attribution`."""
    return Attribution(
        attempt_id=row.attempt_id,
        way=Way(
            leader=row.leader_price,
            mid_at_decision=row.mid_at_decision,
            touch_at_decision=row.touch_at_decision,
            touch_at_placement=row.touch_at_placement,
        ),
        book_at_decision=_book_of(row.book_at_decision),
        book_at_placement=_book_of(row.book_at_placement),
        outcome=_outcome_of(row),
        verdicts=tuple(_verdict_of(one) for one in json.loads(row.verdicts)),
        missing=tuple(json.loads(row.missing).items()),
        is_final=row.is_final,
    )


def marks_values(marks: FillMarks) -> Values:
    """Return every column of `fill_markout`."""
    mids, due = dict(marks.mids), marks.next_due
    return {
        "attempt_id": marks.attempt_id,
        "fill_at": marks.fill_at_ms,
        "token_id": marks.token_id,
        **{f"mid_{horizon}": mids.get(horizon) for horizon in HORIZONS},
        "payout": marks.payout,
        "missing": json.dumps(dict(marks.missing)),
        "next_due": due and due[1],
    }


def marks_of(row: Any) -> FillMarks:
    """Read a row of `fill_markout`."""
    mids = {horizon: getattr(row, f"mid_{horizon}") for horizon in HORIZONS}
    return FillMarks(
        attempt_id=row.attempt_id,
        token_id=row.token_id,
        fill_at_ms=row.fill_at,
        mids=tuple((horizon, mid) for horizon, mid in mids.items() if mid is not None),
        missing=tuple(json.loads(row.missing).items()),
        payout=row.payout,
    )


def _loss_values(unit: str, loss: Loss | None) -> Values:
    """Return the columns of one unit; the fee has its own."""
    if loss is None:
        return {f"{part}_{unit}": None for part in LOSS_PARTS}
    parts = {part: getattr(loss, part) for part in LOSS_PARTS if part != "cost"}
    return {f"{part}_{unit}": amount for part, amount in {**parts, "cost": loss.total}.items()}


def _outcome_of(row: Any) -> Outcome | None:
    if row.filled_shares is None:
        return None
    return Outcome(
        shares=row.filled_shares,
        usdc=row.filled_usdc,
        fee=row.fee_usdc,
        lost_usdc=_loss_of(row, "usdc"),
        lost_price=_loss_of(row, "price"),
    )


def _loss_of(row: Any, unit: str) -> Loss:
    parts = {part: getattr(row, f"{part}_{unit}") for part in LOSS_PARTS if part != "cost"}
    fee = getattr(row, f"cost_{unit}") - sum(amount for amount in parts.values() if amount is not None)
    return Loss(**parts, fee=fee)


def _book_json(book: BookTop | None) -> str | None:
    if book is None:
        return None
    sides = {"bids": book.bids, "asks": book.asks}
    levels = {side: [[format_micro(number) for number in level] for level in sides[side]] for side in sides}
    return json.dumps({"at_ms": book.at_ms, **levels})


def _book_of(document: str | None) -> BookTop | None:
    if document is None:
        return None
    stored = json.loads(document)
    bids, asks = (
        tuple(Level(parse_micro(price), parse_micro(size)) for price, size in stored[side]) for side in ("bids", "asks")
    )
    return BookTop(at_ms=stored["at_ms"], bids=bids, asks=asks)


def _verdict_json(said: RuleVerdict) -> dict[str, str]:
    return {"rule": said.rule, "verdict": said.verdict, **dict(said.numbers)}


def _verdict_of(stored: dict[str, str]) -> RuleVerdict:
    numbers = tuple((name, value) for name, value in stored.items() if name not in {"rule", "verdict"})
    return RuleVerdict(rule=stored["rule"], verdict=stored["verdict"], numbers=numbers)
