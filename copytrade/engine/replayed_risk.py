"""What limits, gates and halts said in a session, said again when it is played anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from copytrade.domain.attempts import AttemptStatus, Decision
from copytrade.engine.session import Made

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copytrade.domain.attempts import ExecutionAttempt, Reason
    from copytrade.domain.book import BookView
    from copytrade.domain.market import Market
    from copytrade.engine.portfolio import Portfolio
    from copytrade.engine.session import Outcome

_REFUSED_BY = ("RISK_", "GATE_", "HALTED")
_CUT_BY = "CUT_BY_RISK_"


class ReplayedRisk:
    """Rules as the session's did: they are not judged anew, for what they looked at is not all in the recording."""

    def __init__(self, outcomes: Iterable[Outcome], portfolio: Portfolio) -> None:
        self._made = {made.attempt.id: made.attempt for made in outcomes if isinstance(made, Made)}
        self._portfolio = portfolio

    def rule(
        self, attempt: ExecutionAttempt, *, leader: str, market: Market | None, view: BookView | None
    ) -> ExecutionAttempt:
        """Return the attempt refused or cut as it was then, and reserve what it may cost."""
        then = self._made.get(attempt.id)
        if attempt.decision is Decision.SKIP or market is None:
            return attempt
        if then is not None and then.decision is Decision.SKIP and _is_refused(then.reasons):
            return replace(
                attempt,
                decision=Decision.SKIP,
                reasons=then.reasons,
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
        """Stop nothing: an order that a halt stopped then was ended by us, and is ended again."""
        return None


def _is_refused(reasons: tuple[Reason, ...]) -> bool:
    return any(reason.code.startswith(_REFUSED_BY) for reason in reasons)
