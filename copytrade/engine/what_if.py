"""A session beside its replay: what was decided, filled and paid, attempt by attempt and in all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from copytrade.domain.attempts import AttemptStatus, Decision, ExecutionMode, Settlement
from copytrade.domain.attribution import worth
from copytrade.domain.fills import Side
from copytrade.domain.positions import cash_flow
from copytrade.domain.shadow import Run, ShadowedAttempt
from copytrade.domain.units import price_half_up
from copytrade.engine.session import Closed, Filled, Made, Placed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill
    from copytrade.domain.units import Price, Shares, Usdc
    from copytrade.engine.session import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What one fill of a leader came to; `status` is that of the last thing known of it."""

    attempt: ExecutionAttempt
    fills: tuple[ExecutionFill, ...]
    status: AttemptStatus
    is_sent: bool

    @property
    def shares(self) -> Shares:
        """What was filled."""
        return sum(fill.shares for fill in self.fills)

    @property
    def fee(self) -> Usdc:
        """What was paid in fees."""
        return sum(fill.fee_usdc for fill in self.fills)

    @property
    def price(self) -> Price | None:
        """The average price, None of nothing."""
        paid = sum(abs(cash_flow(fill) + fill.fee_usdc) for fill in self.fills)
        return price_half_up(paid, self.shares) if self.fills else None

    @property
    def gist(self) -> object:
        """What somebody would call a difference: what was decided and why, asked for, and got."""
        attempt = self.attempt
        asked = (attempt.decision, attempt.size_shares_target, attempt.limit_price, attempt.ttl_ms, self.status)
        return (asked, [reason.code for reason in attempt.reasons], [_gist(fill) for fill in self.fills])

    def gain(self, mid: Price | None) -> Usdc | None:
        """Return the cash that moved and what its shares are worth at a mid; None if that is needed and not known."""
        cash = sum(cash_flow(fill) for fill in self.fills)
        if not self.fills:
            return 0
        if mid is None:
            return None
        # Shares bought are worth what they would bring, shares sold what they would cost.
        is_buy = self.attempt.side is Side.BUY
        value = worth(Side.SELL if is_buy else Side.BUY, self.shares, mid)
        return cash + value if is_buy else cash - value


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One attempt in the session and in the replay; None where it was not made. `mid` is the last one recorded."""

    attempt_id: UUID
    recorded: Copied | None
    replayed: Copied | None
    mid: Price | None

    @property
    def differs(self) -> bool:
        """Whether it is not the same in the session and in the replay."""
        return (self.recorded and self.recorded.gist) != (self.replayed and self.replayed.gist)

    @property
    def effect(self) -> Usdc | None:
        """What the replay gained more than the session by this attempt; None if one of them is not known."""
        if not self.differs:
            return 0
        before = 0 if self.recorded is None else self.recorded.gain(self.mid)
        after = 0 if self.replayed is None else self.replayed.gain(self.mid)
        return None if before is None or after is None else after - before


def shadows_of(session: Iterable[Compared]) -> tuple[ShadowedAttempt, ...]:
    """Return the real orders of a session beside what paper made of them in its replay, the newest first.

    What only one of both traded is left out: it is about another decision, not about how an order went.
    """
    found = []
    for one in session:
        if one.recorded is None or one.replayed is None or one.recorded.attempt.mode is not ExecutionMode.LIVE:
            continue
        attempt = one.recorded.attempt
        if attempt.decision is Decision.TRADE and one.replayed.attempt.decision is Decision.TRADE:
            shadowed = ShadowedAttempt(
                attempt_id=one.attempt_id,
                token_id=attempt.token_id,
                is_sent=one.recorded.is_sent,
                side=attempt.side,
                decided_at_ms=attempt.decided_at_ms,
                target_shares=attempt.size_shares_target,
                live=_run_of(one.recorded),
                paper=_run_of(one.replayed),
            )
            found.append(shadowed)
    return tuple(sorted(found, key=lambda one: one.decided_at_ms, reverse=True))


def _run_of(copied: Copied) -> Run:
    run = Run(status=copied.status)
    for fill in copied.fills:
        run = run.with_fill(fill)
    return run


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """All attempts of one side; `gained` leaves out the `unmarked` ones, whose token has no last mid."""

    trades: int
    skips: int
    filled_attempts: int
    executions: int
    bought: Usdc
    sold: Usdc
    fees: Usdc
    gained: Usdc
    unmarked: int


def copies(outcomes: Iterable[Outcome]) -> dict[UUID, Copied]:
    """Return what came of each attempt, in the order they were made; a trade that failed is none."""
    made: dict[UUID, ExecutionAttempt] = {}
    booked: dict[UUID, dict[str, ExecutionFill]] = {}
    ended: dict[UUID, AttemptStatus] = {}
    sent: set[UUID] = set()
    for outcome in outcomes:
        match outcome:
            case Made(attempt=attempt):
                made[attempt.id] = attempt
                booked[attempt.id] = {}
            case Placed(attempt_id=attempt_id, is_sent=True):
                sent.add(attempt_id)
            case Filled(fill=fill) if fill.attempt_id in booked:
                booked[fill.attempt_id][fill.venue_trade_id] = fill
            case Closed(attempt_id=attempt_id, status=status):
                ended[attempt_id] = status
            case _:
                pass
    fills = {
        attempt_id: [fill for fill in trades.values() if fill.settlement is not Settlement.FAILED]
        for attempt_id, trades in booked.items()
    }
    return {
        attempt_id: Copied(
            attempt=attempt,
            fills=tuple(fills[attempt_id]),
            status=ended.get(attempt_id) or _status(attempt, fills[attempt_id], is_sent=attempt_id in sent),
            is_sent=attempt_id in sent,
        )
        for attempt_id, attempt in made.items()
    }


def own_outcomes(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return what came of attempts that were made in the session itself, not of those it found open."""
    own: set[UUID] = set()
    found = []
    for outcome in outcomes:
        if isinstance(outcome, Made):
            own.add(outcome.attempt.id)
        if attempt_of(outcome) in own:
            found.append(outcome)
    return found


def attempt_of(outcome: Outcome) -> UUID:
    """Return the attempt an outcome is of."""
    match outcome:
        case Made(attempt=attempt):
            return attempt.id
        case Filled(fill=fill):
            return fill.attempt_id
        case Placed(attempt_id=attempt_id) | Closed(attempt_id=attempt_id):
            return attempt_id


def compared(
    recorded: Mapping[UUID, Copied], replayed: Mapping[UUID, Copied], touches: Mapping[str, tuple[Price, Price]]
) -> list[Compared]:
    """Return every attempt of either side, in the order they were made."""
    mids = {token_id: (bid + ask + 1) // 2 for token_id, (bid, ask) in touches.items()}
    found = []
    for attempt_id in dict.fromkeys([*recorded, *replayed]):
        before, after = recorded.get(attempt_id), replayed.get(attempt_id)
        either = before or after
        mid = None if either is None else mids.get(either.attempt.token_id)
        found.append(Compared(attempt_id=attempt_id, recorded=before, replayed=after, mid=mid))
    return found


def totals(copied: Iterable[tuple[Copied | None, Price | None]]) -> Totals:
    """Add up one side: each attempt with the last mid of its token."""
    there = [(one, mid) for one, mid in copied if one is not None]
    fills = [fill for one, _ in there for fill in one.fills]
    gains = [one.gain(mid) for one, mid in there]
    paid = {side: sum(abs(cash_flow(fill) + fill.fee_usdc) for fill in fills if fill.side is side) for side in Side}
    return Totals(
        trades=sum(one.attempt.decision is Decision.TRADE for one, _ in there),
        skips=sum(one.attempt.decision is Decision.SKIP for one, _ in there),
        filled_attempts=sum(bool(one.fills) for one, _ in there),
        executions=len(fills),
        bought=paid[Side.BUY],
        sold=paid[Side.SELL],
        fees=sum(fill.fee_usdc for fill in fills),
        gained=sum(gain for gain in gains if gain is not None),
        unmarked=sum(gain is None for gain in gains),
    )


def _gist(fill: ExecutionFill) -> object:
    return (fill.shares, fill.price, fill.fee_usdc, fill.liquidity, fill.fill_at_ms)


def _status(attempt: ExecutionAttempt, fills: list[ExecutionFill], *, is_sent: bool) -> AttemptStatus:
    if not fills:
        return AttemptStatus.SUBMITTED if is_sent else attempt.status
    is_full = sum(fill.shares for fill in fills) >= attempt.size_shares_target
    return AttemptStatus.FILLED if is_full else AttemptStatus.PARTIAL
