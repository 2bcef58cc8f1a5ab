"""What an execution or an ending does to an attempt and its position: the rule every ledger follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import OPEN_STATUSES, AttemptStatus, ExecutionMode, Settlement, may_become
from copytrade.domain.fills import Side
from copytrade.domain.positions import apply_fill, cash_flow
from copytrade.domain.units import LOT, notional_down, notional_up, shares_for_down

if TYPE_CHECKING:
    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill, Reason
    from copytrade.domain.positions import Position
    from copytrade.domain.units import Millis, Shares, Usdc

DUST: Final[Shares] = LOT
"""The venue's fills may be off by so much from what was ordered (docs/adr)."""


class ImpossibleExecutionError(Exception):
    """An execution that no order of ours can have had: never sent, of another token or side, or beyond its target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """An attempt and a position after an execution.

    `notional_usdc` is the cash that moved, without the fee, as the venue rounds it; `realized_pnl_usdc` is
    what this execution added to the position's.
    """

    attempt: ExecutionAttempt
    position: Position
    notional_usdc: Usdc
    realized_pnl_usdc: Usdc


def book(attempt: ExecutionAttempt, position: Position, fill: ExecutionFill) -> Booking:
    """Return what follows from one execution that was not booked before.

    An attempt that has ended keeps its status: what the venue executed counts however late it is told.
    A failed settlement changes nothing.

    :raises ImpossibleExecutionError: nothing may be booked.
    :raises OversoldError: the fill sells more than is held.
    """
    _check(attempt, fill)
    after = apply_fill(position, fill)
    return Booking(
        attempt=attempt if fill.settlement is Settlement.FAILED else _advanced(attempt, fill),
        position=after,
        notional_usdc=abs(cash_flow(fill) + fill.fee_usdc),
        realized_pnl_usdc=after.realized_pnl_usdc - position.realized_pnl_usdc,
    )


def end(
    attempt: ExecutionAttempt, *, status: AttemptStatus, why: Reason | None, at_ms: Millis
) -> ExecutionAttempt | None:
    """Return an open attempt as it ends, its reasons followed by `why`; None if it ended already.

    :raises ValueError: `status` is no ending.
    """
    if status in OPEN_STATUSES or status is AttemptStatus.SKIPPED:
        raise ValueError(f"{status} does not end an attempt")
    if not may_become(attempt.status, status):
        return None
    reasons = attempt.reasons if why is None else (*attempt.reasons, why)
    return replace(attempt, status=status, reasons=reasons, done_at_ms=at_ms)


def _check(attempt: ExecutionAttempt, fill: ExecutionFill) -> None:
    trade = f"execution {fill.venue_trade_id} of attempt {attempt.id}"
    if attempt.status in {AttemptStatus.PENDING, AttemptStatus.SKIPPED}:
        raise ImpossibleExecutionError(f"{trade}: it is {attempt.status}, nothing was sent")
    ours = (attempt.strategy_id, attempt.account_id, attempt.token_id, attempt.side)
    if ours != (fill.strategy_id, fill.account_id, fill.token_id, fill.side):
        raise ImpossibleExecutionError(f"{trade}: not its strategy, account, token or side")
    filled = attempt.filled_shares + fill.shares
    if fill.shares <= 0 or (filled > _most(attempt, fill) and fill.settlement is not Settlement.FAILED):
        target = attempt.size_shares_target
        raise ImpossibleExecutionError(f"{trade}: {fill.shares} micro-shares make {filled} of {target}")


def _most(attempt: ExecutionAttempt, fill: ExecutionFill) -> Shares:
    """Return how many shares the venue may give an attempt.

    A live FAK or FOK order to buy is for an amount of money, which buys more shares below its limit.
    """
    target = attempt.size_shares_target
    if attempt.mode is ExecutionMode.PAPER:
        return target
    order_type = attempt.order_type
    if attempt.side is Side.SELL or order_type is None or order_type.may_rest or not fill.price:
        return target + DUST
    spendable = notional_up(target, attempt.limit_price) - notional_down(attempt.filled_shares, attempt.limit_price)
    return attempt.filled_shares + max(target - attempt.filled_shares, shares_for_down(spendable, fill.price)) + DUST


def _advanced(attempt: ExecutionAttempt, fill: ExecutionFill) -> ExecutionAttempt:
    filled = attempt.filled_shares + fill.shares
    is_full = filled >= attempt.size_shares_target
    status = AttemptStatus.FILLED if is_full else AttemptStatus.PARTIAL
    first_ms = fill.fill_at_ms if attempt.first_fill_at_ms is None else min(attempt.first_fill_at_ms, fill.fill_at_ms)
    after = replace(attempt, filled_shares=filled, first_fill_at_ms=first_ms)
    if not may_become(attempt.status, status):
        return after
    return replace(after, status=status, done_at_ms=fill.fill_at_ms if is_full else None)
