"""Rules and facts for the copy strategy, and a desk that decides one fill after the other as the worker does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from copytrade.domain import carry as carrying
from copytrade.domain.attempts import AttemptStatus, Decision, ExecutionAttempt, Reason
from copytrade.domain.copy_rules import CopyRules
from copytrade.domain.fills import LeaderFill, Side
from copytrade.domain.ids import attempt_id
from copytrade.domain.sizing import SizingMode
from copytrade.domain.units import MICRO, parse_micro
from copytrade.engine.copied import Copied
from copytrade.strategies.copy import CopyFacts, Verdict, decide
from tests.ledger_facts import an_attempt
from tests.makers import NOW_MS, a_book, a_fill, a_leader, a_market, a_place, a_view, micro, recorded

SIGNS = {carrying.CARRIED: 1, carrying.RELEASED: -1, carrying.DROPPED: -1}
DEEP = a_view(a_book(bids="0.49:1000000", asks="0.51:1000000"))


def rules(**changes: Any) -> CopyRules:
    facts: dict[str, Any] = {
        "copy_ratio": MICRO,
        "max_usdc_per_trade": micro("100"),
        "maker_leader_ratio": MICRO,
        "sizing_mode": SizingMode.RATIO,
        "slippage_bps_max": 300,
        "order_ttl_ms": 5_000,
        "fill_max_age_ms": 30_000,
    }
    return CopyRules(**(facts | changes))


def facts(**changes: Any) -> CopyFacts:
    known: dict[str, Any] = {
        "fill": a_fill(),
        "leader": a_leader(),
        "market": a_market(),
        "view": a_view(),
        "held": 0,
        "unmapped_waited_ms": 0,
        "book_waited_ms": 0,
        "now_ms": NOW_MS,
    }
    return CopyFacts(**(known | changes))


def codes(verdict: Verdict | ExecutionAttempt) -> list[str]:
    return [one.code for one in verdict.reasons]


def numbers(verdict: Verdict | ExecutionAttempt, code: str) -> dict[str, str]:
    return dict(next(one for one in verdict.reasons if one.code == code).numbers)


def waiting_by_reasons(attempts: Iterable[Iterable[Reason]]) -> int:
    """Count again what waits of a leader's fills of a token, from the reasons of all attempts on them, in any order."""
    return sum(
        SIGNS[one.code] * parse_micro(dict(one.numbers)["size"])
        for reasons in attempts
        for one in reasons
        if one.code in SIGNS
    )


class Desk:
    """Decides fills of one leader, `held` sharing what his exits may sell; every order is filled at once."""

    def __init__(self, copy_rules: CopyRules, *, held: int = 0) -> None:
        self.rules = copy_rules
        self.held = held
        self.now_ms = NOW_MS
        self.verdicts: list[Verdict] = []
        self.copied = Copied(strategy_id="copy", account_id="paper", order_window_ms=copy_rules.order_window_ms)

    def sees(self, size: int, *, order: int | None = None, after_ms: int = 0, **changes: Any) -> Verdict:
        """Decide a fill of so many micro-shares, each of its own order unless one is named."""
        self.now_ms += after_ms
        number = len(self.verdicts)
        place = a_place(log_index=number, order_hash=f"0x{number if order is None else 10_000 + order:064x}")
        made = {"place": place, "tx_hash": f"0x{number:064x}", "fill_ts_ms": self.now_ms}
        fill = a_fill(**(made | changes | {"size": "1"}))
        return self.decides(_of_size(fill, size))

    def decides(self, fill: LeaderFill) -> Verdict:
        kept = recorded(fill)
        known = {
            "fill": fill,
            "held": self.held,
            "now_ms": self.now_ms,
            "view": DEEP,
            "carry": self.copied.carry_of(kept),
            "may_carry": self.copied.may_carry(kept),
            "order": self.copied.order_so_far(fill, now_ms=self.now_ms),
            "last_entry_ms": self.copied.last_entry_ms(kept),
        }
        verdict = decide(facts(**known), self.rules)
        attempt = an_attempt(
            kept,
            id=attempt_id("copy", "paper", kept.id),
            decision=verdict.decision,
            reasons=verdict.reasons,
            size_shares_target=verdict.size,
            limit_price=verdict.limit,
            status=AttemptStatus.PENDING if verdict.decision is Decision.TRADE else AttemptStatus.SKIPPED,
            decided_at_ms=self.now_ms,
        )
        self.copied.expect(kept, attempt)
        self.copied.follow(kept, attempt, verdict.carry)
        self.held += verdict.size if fill.side is Side.BUY else -verdict.size
        self.verdicts.append(verdict)
        return verdict

    @property
    def waiting(self) -> int:
        """What waits of the leader's fills of the token."""
        carry = self.copied.carry_of(recorded(a_fill()))
        return carry.shares if carry else 0


def _of_size(fill: LeaderFill, size: int) -> LeaderFill:
    return replace(fill, size=size, usdc=size * fill.price // MICRO)
