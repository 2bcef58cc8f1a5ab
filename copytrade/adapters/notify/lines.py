"""One plain line per happening, for pipes, files and people who like them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, assert_never

from copytrade.adapters.notify import wording
from copytrade.domain.happenings import (
    Decided,
    FillDetected,
    FillJoined,
    Happening,
    Noted,
    OrderEnded,
    OrderFilled,
    OrderSent,
    PositionSettled,
)
from copytrade.ports.notifier import Notifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from copytrade.ports.clock import Clock


class LineNotifier(Notifier):
    """Writes a line as soon as something happened. Every line starts with the UTC time and a word."""

    def __init__(self, write: Callable[[str], None], clock: Clock) -> None:
        self._write = write
        self._clock = clock

    def tell(self, happening: Happening) -> None:
        """Write the happening's line."""
        self._write(f"{wording.clock_time(self._clock.now_ms())} {line_of(happening)}")


def line_of(happening: Happening) -> str:
    """Return the line of one happening, without the time."""
    match happening:
        case FillDetected():
            return _detected(happening)
        case FillJoined():
            return f"SEEN    {_fill_words(happening)} as {happening.recorded.fill.role} | also by {happening.by}"
        case Decided():
            return _decided(happening)
        case OrderSent():
            return _sent(happening)
        case OrderFilled():
            return _filled(happening)
        case PositionSettled():
            return _settled(happening)
        case OrderEnded():
            return _ended(happening)
        case Noted():
            return _noted(happening)
        case _:
            assert_never(happening)


def _noted(noted: Noted) -> str:
    if noted.code.endswith(wording.PROGRESS):
        return f"READING {wording.progress(noted.code, noted.detail)}"
    return f"NOTE    {noted.code} {json.dumps(noted.detail, default=str)[:500]}"


def _fill_words(happening: FillDetected | FillJoined) -> str:
    fill = happening.recorded.fill
    return f"{fill.side} {wording.shares(fill.size)} @ {wording.price(fill.price)}"


def _detected(seen: FillDetected) -> str:
    fill = seen.recorded.fill
    late = (
        "history, not copied"
        if seen.is_history
        else f"{fill.detected_at_ms - fill.fill_ts_ms} ms after the block's stamp"
    )
    return (
        f"FILL    {wording.leader_name(seen.leader_label, fill.leader)} {_fill_words(seen)} as {fill.role}"
        f" | {wording.market_name(seen.market, fill.token_id)} | seen by {fill.source}, {late}"
    )


def _decided(decided: Decided) -> str:
    fill = decided.recorded.fill
    attempt = decided.attempt
    return (
        f"DECIDE  {wording.verdict(attempt)} | {wording.reasons_in_full(attempt.reasons)}"
        f" | leader {fill.side} @ {wording.price(fill.price)} as {fill.role} | book {wording.touch(decided.book)}"
    )


def _sent(sent: OrderSent) -> str:
    attempt = sent.attempt
    after_ms = (attempt.placed_at_ms or attempt.decided_at_ms) - attempt.decided_at_ms
    wanted = f"{attempt.side} {wording.shares(attempt.size_shares_target)} limit {wording.price(attempt.limit_price)}"
    return f"SENT    {wanted} | at the venue {after_ms} ms after the decision, for {attempt.ttl_ms} ms"


def _filled(filled: OrderFilled) -> str:
    fill = filled.fill
    position = filled.position
    slip = wording.slippage_words(filled.recorded.fill, fill.price) if filled.recorded else "-"
    net = position.realized_pnl_usdc - position.fees_usdc
    return (
        f"FILLED  {fill.side} {wording.shares(fill.shares)} @ {wording.price(fill.price)} as {fill.liquidity}"
        f" | fee {wording.usdc(fill.fee_usdc)} | slippage {slip}"
        f" | position {wording.shares(position.shares)} costing {wording.usdc(position.cost_usdc)}"
        f" | PnL {wording.usdc(net)}"
    )


def _settled(settled: PositionSettled) -> str:
    settlement, position = settled.settlement, settled.position
    net = position.realized_pnl_usdc - position.fees_usdc
    return (
        f"SETTLED {settlement.kind} of {wording.shares(settlement.shares)}"
        f" | {wording.market_name(settled.market, settlement.token_id)} | told by {settlement.source}"
        f" | proceeds {wording.usdc(settlement.proceeds_usdc)}, cost {wording.usdc(settlement.cost_usdc)}"
        f" | position {wording.shares(position.shares)} | PnL {wording.usdc(net)}"
    )


def _ended(ended: OrderEnded) -> str:
    attempt = ended.attempt
    why = f" ({ended.reason.code})" if ended.reason else ""
    filled = f"{wording.shares(attempt.filled_shares)} of {wording.shares(attempt.size_shares_target)}"
    return f"ENDED   {ended.status}{why} | {attempt.side} {filled} filled, limit {wording.price(attempt.limit_price)}"
