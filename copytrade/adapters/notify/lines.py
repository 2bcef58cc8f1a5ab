"""One plain line per happening, for pipes, files and people who like them."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

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
    from uuid import UUID

    from copytrade.domain.fills import LeaderFill, RecordedFill
    from copytrade.domain.market import Market
    from copytrade.ports.clock import Clock


COPIED_MAX: Final = 10_000
"""Fills that are remembered; what we do about older ones is told without them."""


@dataclass(frozen=True, slots=True)
class _Copied:
    """A leader's fill as lines name it."""

    fill: LeaderFill
    label: str
    market: Market | None

    @property
    def name(self) -> str:
        """Whose it is, what he did, and where."""
        fill = self.fill
        his = f"{fill.side} {wording.shares(fill.size)} @ {wording.price(fill.price)} as {fill.role}"
        where = wording.market_name(self.market, fill.token_id)
        return f"{wording.leader_name(self.label, fill.leader)} {his} | {where}"


class LineNotifier(Notifier):
    """Writes a line as soon as something happened. Every line starts with the UTC time and a word.

    What we do about a fill names that fill: the leader, his trade and its market.
    """

    def __init__(self, write: Callable[[str], None], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._copied: OrderedDict[UUID, _Copied] = OrderedDict()

    def tell(self, happening: Happening) -> None:
        """Write the happening's line."""
        copied = self._copied_by(happening)
        name = "" if copied is None else copied.name
        self._write(f"{wording.clock_time(self._clock.now_ms())} {_line(happening, name)}")

    def _copied_by(self, happening: Happening) -> _Copied | None:
        """Return the fill that something happened to, or was done about."""
        match happening:
            case FillDetected(recorded=recorded, leader_label=label, market=market):
                return self._remember(recorded, label, market)
            case Decided(recorded=recorded, market=market):
                known = self._copied.get(recorded.id)
                return self._remember(recorded, known.label if known else "", market)
            case FillJoined(recorded=recorded):
                return self._copied.get(recorded.id) or _Copied(recorded.fill, "", None)
            case OrderSent(attempt=attempt) | OrderFilled(attempt=attempt) | OrderEnded(attempt=attempt):
                return self._copied.get(attempt.leader_fill_id)
            case PositionSettled() | Noted():
                return None
            case _:
                assert_never(happening)

    def _remember(self, recorded: RecordedFill, label: str, market: Market | None) -> _Copied:
        self._copied[recorded.id] = copied = _Copied(recorded.fill, label, market)
        while len(self._copied) > COPIED_MAX:
            self._copied.popitem(last=False)
        return copied


def _line(happening: Happening, name: str) -> str:
    """Return the line without the time; `name` is that of the leader's fill."""
    after = f" | after {name}" if name else ""
    match happening:
        case FillDetected():
            return _detected(happening, name)
        case FillJoined():
            return f"SEEN    {name} | also by {happening.by}"
        case Decided():
            return _decided(happening, after)
        case OrderSent():
            return _sent(happening, after)
        case OrderFilled():
            return _filled(happening, after)
        case PositionSettled():
            return _settled(happening)
        case OrderEnded():
            return _ended(happening, after)
        case Noted():
            return _noted(happening)
        case _:
            assert_never(happening)


def _noted(noted: Noted) -> str:
    if noted.code.endswith(wording.PROGRESS):
        return f"READING {wording.progress(noted.code, noted.detail)}"
    return f"NOTE    {noted.code} {json.dumps(noted.detail, default=str)[:500]}"


def _detected(seen: FillDetected, name: str) -> str:
    fill = seen.recorded.fill
    late = (
        "history, not copied"
        if seen.is_history
        else f"{fill.detected_at_ms - fill.fill_ts_ms} ms after the block's stamp"
    )
    return f"FILL    {name} | seen by {fill.source}, {late}"


def _decided(decided: Decided, after: str) -> str:
    attempt = decided.attempt
    why = wording.reasons_in_full(attempt.reasons)
    return f"DECIDE  {wording.verdict(attempt)}{after} | {why} | {wording.seen_book(decided.book)}"


def _sent(sent: OrderSent, after: str) -> str:
    attempt = sent.attempt
    after_ms = (attempt.placed_at_ms or attempt.decided_at_ms) - attempt.decided_at_ms
    wanted = f"{attempt.side} {wording.shares(attempt.size_shares_target)} limit {wording.price(attempt.limit_price)}"
    return f"SENT    {wanted}{after} | at the venue {after_ms} ms after the decision, for {attempt.ttl_ms} ms"


def _filled(filled: OrderFilled, after: str) -> str:
    fill = filled.fill
    position = filled.position
    slip = wording.slippage_words(filled.recorded.fill, fill.price) if filled.recorded else "-"
    net = position.realized_pnl_usdc - position.fees_usdc
    return (
        f"FILLED  {fill.side} {wording.shares(fill.shares)} @ {wording.price(fill.price)} as {fill.liquidity}"
        f"{after} | fee {wording.usdc(fill.fee_usdc)} | slippage {slip}"
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


def _ended(ended: OrderEnded, after: str) -> str:
    attempt = ended.attempt
    why = f" ({ended.reason.code})" if ended.reason else ""
    filled = f"{wording.shares(attempt.filled_shares)} of {wording.shares(attempt.size_shares_target)}"
    limit = wording.price(attempt.limit_price)
    return f"ENDED   {ended.status}{why} | {attempt.side} {filled} filled, limit {limit}{after}"
