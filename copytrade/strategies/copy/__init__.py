"""Follow a leader's fill: the same side of the same token, sized and limited by our own rules.

`guards` says what may refuse a fill and which of it counts for exits; `amounts` how much is asked for; `decision`
puts both together.
"""

from copytrade.domain.copy_rules import CopyRules
from copytrade.strategies.copy.decision import decide, is_too_old, may_be_copied_later, needs_leader_holding
from copytrade.strategies.copy.facts import Bankroll, CopyFacts, Verdict
from copytrade.strategies.copy.guards import GUARDS, Guard

__all__ = [
    "GUARDS",
    "Bankroll",
    "CopyFacts",
    "CopyRules",
    "Guard",
    "Verdict",
    "decide",
    "is_too_old",
    "may_be_copied_later",
    "needs_leader_holding",
]
