"""What each rule of copying said of a fill, told from the reasons of its decision.

A decision names every rule that refuses or shapes it, so a rule that was asked and is not named let the fill pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.domain.attribution import RuleVerdict
from copytrade.domain.carry import CARRIED, DROPPED, RELEASED
from copytrade.domain.fills import Side
from copytrade.strategies.copy.guards import BOTH, GUARDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from copytrade.domain.attempts import Reason

PASSED: Final = "passed"
REFUSED: Final = "refused"
APPLIED: Final = "applied"
NOT_ASKED: Final = "not asked"
"""The rule counts for entries only, and this is an exit."""
SIZES: Final[Mapping[str, tuple[str, ...]]] = {
    "holding": ("NOTHING_HELD",),
    "minimum": ("SIZE_BELOW_MINIMUM", "BELOW_MARKETABLE_MINIMUM"),
    "bankroll": ("BANKROLL_UNKNOWN", "BANKROLL_SPENT"),
    "order": ("ORDER_COPIED", "ORDER_CAP_REACHED"),
}
"""The codes with which the size of an order may be refused."""
SHAPES: Final[Mapping[str, tuple[str, ...]]] = {
    "slippage": ("MARKETABLE", "RESTS_AT_LIMIT"),
    "sizing": ("SIZED_BY_BANKROLL",),
    "exit": ("EXIT_BY_FRACTION", "EXIT_BY_RATIO"),
    "cap": ("CUT_BY_MAX_USDC_PER_TRADE", "CUT_BY_ORDER_CAP", "CUT_BY_HELD"),
    "carry": (CARRIED, RELEASED, DROPPED),
}
"""The codes with which a rule says what it made of the order."""


def verdicts(reasons: Iterable[Reason], side: Side) -> tuple[RuleVerdict, ...]:
    """Return one verdict for each rule, and one more for each further code of a rule or of none."""
    named = list(reasons)
    found: list[RuleVerdict] = []
    placed: set[str] = set()
    guards = [(guard.name, guard.codes, guard.applies is BOTH or side is Side.BUY) for guard in GUARDS]
    others = [(name, codes, True) for rules in (SIZES, SHAPES) for name, codes in rules.items()]
    for name, codes, is_asked in (*guards, *others):
        placed.update(codes)
        said = [one for one in named if one.code in codes]
        verdict = APPLIED if name in SHAPES else REFUSED
        silent = RuleVerdict(rule=name, verdict=PASSED if is_asked else NOT_ASKED)
        found += [_said(name, verdict, one) for one in said] or [silent]
    return (*found, *(_said("other", APPLIED, one) for one in named if one.code not in placed))


def _said(rule: str, verdict: str, why: Reason) -> RuleVerdict:
    return RuleVerdict(rule=rule, verdict=verdict, numbers=(("code", why.code), *why.numbers))
