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
    from collections.abc import Iterable, Iterator, Mapping

    from copytrade.domain.attempts import Reason

PASSED: Final = "passed"
REFUSED: Final = "refused"
APPLIED: Final = "applied"
NOT_ASKED: Final = "not asked"
"""The rule counts for entries only, and this is an exit; or it comes last, and the fill was refused before."""
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
OUTSIDE: Final[Mapping[str, str]] = {"halt": "HALTED", "limits": "RISK_", "health": "GATE_"}
"""What the codes start with of the rules that come after those of copying; of these only a halt stops an exit."""
CUTS: Final = "CUT_BY_"


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
    last = [one for one in named if one.code not in placed]
    return (*found, *_outside(last, side, is_refused=any(one.verdict == REFUSED for one in found)))


def _outside(reasons: Iterable[Reason], side: Side, *, is_refused: bool) -> Iterator[RuleVerdict]:
    """Yield what the rules outside of copying said, and any reason that is of no rule."""
    said: dict[str, list[RuleVerdict]] = {rule: [] for rule in (*OUTSIDE, "other")}
    for one in reasons:
        code = one.code.removeprefix(CUTS)
        rule = next((rule for rule, start in OUTSIDE.items() if code.startswith(start)), "other")
        refuses = rule != "other" and code == one.code
        said[rule].append(_said(rule, REFUSED if refuses else APPLIED, one))
    for rule, verdicts_of_it in said.items():
        yield from verdicts_of_it
        if not verdicts_of_it and rule in OUTSIDE:
            is_asked = not is_refused and (side is Side.BUY or rule == "halt")
            yield RuleVerdict(rule=rule, verdict=PASSED if is_asked else NOT_ASKED)


def _said(rule: str, verdict: str, why: Reason) -> RuleVerdict:
    return RuleVerdict(rule=rule, verdict=verdict, numbers=(("code", why.code), *why.numbers))
