"""What limits, gates and halts said in a session, said again when it is played anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from copytrade.domain.attempts import AttemptStatus, Decision
from copytrade.engine.session import Closed, Made, Placed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copytrade.domain.attempts import ExecutionAttempt, Reason
    from copytrade.domain.book import BookView
    from copytrade.domain.market import Market
    from copytrade.engine.portfolio import Portfolio
    from copytrade.engine.session import Outcome

HALTED = "HALTED"
_REFUSED_BY = ("RISK_", "GATE_", HALTED)
_CUT_BY = "CUT_BY_RISK_"


class ReplayedRisk:
    """Rules as the session's did: they are not judged anew, for what they looked at is not all in the recording."""

    def __init__(self, outcomes: Iterable[Outcome], portfolio: Portfolio) -> None:
        outcomes = tuple(outcomes)
        self._made = {made.attempt.id: made.attempt for made in outcomes if isinstance(made, Made)}
        self._written = {placed.attempt_id for placed in outcomes if isinstance(placed, Placed)}
        self._halted = {
            closed.attempt_id: closed.reason
            for closed in outcomes
            if isinstance(closed, Closed) and closed.reason is not None and closed.reason.code == HALTED
        }
        self._portfolio = portfolio

    def rule(
        self, attempt: ExecutionAttempt, *, leader: str, market: Market | None, view: BookView | None
    ) -> ExecutionAttempt:
        """Return the attempt refused or cut as it was then, and reserve what it may cost."""
        then = self._made.get(attempt.id)
        if attempt.decision is Decision.SKIP or market is None:
            return attempt
        refusals = _refusals(then)
        if refusals:
            return replace(
                attempt,
                decision=Decision.SKIP,
                reasons=refusals,
                size_shares_target=0,
                limit_price=0,
                ttl_ms=0,
                status=AttemptStatus.SKIPPED,
            )
        cuts = tuple(reason for reason in then.reasons if reason.code.startswith(_CUT_BY)) if then else ()
        if then is not None and cuts:
            size = min(attempt.size_shares_target, then.size_shares_target)
            attempt = replace(attempt, size_shares_target=size, reasons=(*attempt.reasons, *cuts))
        self._portfolio.reserve(attempt, leader=leader, market=market)
        return attempt

    def stops(self, attempt: ExecutionAttempt) -> Reason | None:
        """Stop what was stopped before it was sent; what was sent already was cancelled, and is cancelled again.

        It is asked before an order is written down and after: it stops at the one at which it did then.
        """
        if attempt.id in self._halted and attempt.id in self._written:
            self._written.discard(attempt.id)
            return None
        return self._halted.get(attempt.id)


def _refusals(then: ExecutionAttempt | None) -> tuple[Reason, ...]:
    """Return why an attempt was refused: its other reasons say what the strategy did with its carry, and does anew."""
    if then is None or then.decision is not Decision.SKIP:
        return ()
    return tuple(reason for reason in then.reasons if reason.code.startswith(_REFUSED_BY))
