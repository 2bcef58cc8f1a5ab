"""What a decision is made from, and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from copytrade.domain.fills import Side
from copytrade.domain.leader_events import NO_SNAPSHOT
from copytrade.domain.leader_orders import NOTHING_YET

if TYPE_CHECKING:
    from copytrade.domain.attempts import Decision, ExecutionAttempt, Reason
    from copytrade.domain.book import BookView
    from copytrade.domain.carry import Carry
    from copytrade.domain.fills import LeaderFill
    from copytrade.domain.leader_events import LeaderHolding
    from copytrade.domain.leader_orders import OrderSoFar
    from copytrade.domain.leaders import Leader
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis, Price, Ratio, Shares, Usdc


@dataclass(frozen=True, slots=True, kw_only=True)
class Bankroll:
    """What we have to trade with, and what the leader's positions were worth `his_age_ms` ago (None: unknown)."""

    ours: Usdc
    his: Usdc | None
    his_age_ms: Millis = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFacts:
    """What is known at the moment of the decision.

    `leader` is None when he is no longer followed; `market` and `view` are None when the bounded waits
    (`unmapped_waited_ms`, `book_waited_ms`) brought none; `held` is what a SELL may still sell, `leader_held` what
    the leader held before it. `carry` is what waits of his fills of the token, `may_carry` whether more may;
    `order` is what earlier events of his order were copied with; `last_entry_ms` is when we last bought after him.
    `bankroll` is None where no size depends on it; what is known beyond need is for a replay by other rules.
    """

    fill: LeaderFill
    leader: Leader | None
    market: Market | None
    view: BookView | None
    held: Shares
    unmapped_waited_ms: Millis
    book_waited_ms: Millis
    now_ms: Millis
    leader_held: LeaderHolding = NO_SNAPSHOT
    carry: Carry | None = None
    may_carry: bool = True
    order: OrderSoFar = NOTHING_YET
    last_entry_ms: Millis | None = None
    bankroll: Bankroll | None = None

    @property
    def is_exit(self) -> bool:
        """Whether the copy would sell what we hold: entry limits and entry guards do not count for it."""
        return self.fill.side is Side.SELL


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """TRADE with a size, a limit and a time to live, or SKIP with all zero; the reasons name each rule that spoke.

    `carry` is what waits after it, None if that is as before; `carry_if_refused` and `reasons_if_refused` are what
    stays true of it when a rule outside the strategy refuses the trade.
    """

    decision: Decision
    reasons: tuple[Reason, ...]
    ratio: Ratio
    size: Shares
    limit: Price
    ttl_ms: Millis = 0
    carry: Carry | None = None
    carry_if_refused: Carry | None = None
    reasons_if_refused: tuple[Reason, ...] = ()

    def settle(self, attempt: ExecutionAttempt) -> tuple[ExecutionAttempt, Carry | None]:
        """Return the attempt as it is to be stored, and what waits after it.

        Rules outside the strategy may have made a SKIP of the TRADE: then what waited goes on waiting.
        """
        if attempt.decision is self.decision:
            return attempt, self.carry
        return replace(attempt, reasons=(*attempt.reasons, *self.reasons_if_refused)), self.carry_if_refused
