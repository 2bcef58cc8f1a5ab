"""No limit is passed at any instant, whatever decisions, fills, cancels, exits and settlements come in which order."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import AttemptStatus, Decision, ExecutionAttempt, reason
from copytrade.domain.fees import taker_fee_down
from copytrade.domain.fills import RecordedFill, Side, Source
from copytrade.domain.market import FeeSchedule, Market, OutcomeToken
from copytrade.domain.risk import DAY_MS, LimitName, Limits, recent_results, used_of_leader
from copytrade.domain.scopes import EVERYTHING, Scope, Subject
from copytrade.domain.settlement import Resolution, ResolutionSource
from copytrade.domain.units import MICRO
from copytrade.engine.listeners import Listeners
from copytrade.engine.portfolio import Portfolio
from copytrade.engine.risk import Risk
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import FillsSeen
from tests.fakes import FakeBooks, FakeRegistry, ScriptedSource
from tests.flow.guarding import a_guard
from tests.ledger_facts import an_attempt, an_execution
from tests.makers import NOW_MS, a_fill, a_leader, a_market, a_place, a_sighting
from tests.reference.stakes import breaches, stakes_of

T = TypeVar("T")

OWNER = ("copy", "paper")
LEADERS = ["0x" + digit * 40 for digit in "abc"]
SCOPES = [EVERYTHING, Scope(*OWNER), *(Scope(leader=leader) for leader in LEADERS[:2])]
MONEY = [name for name in LimitName if name.is_usdc and name is not LimitName.DAILY_DRAWDOWN_USDC]
RATES = (0, 50_000, 100_000)


def markets() -> list[Market]:
    """Return six markets in three events of two categories, with different fees; each has one token we trade."""
    return [
        a_market(
            condition_id=f"0x{number:064x}",
            event_slug=f"event-{number // 2}",
            category=f"category-{number // 3}",
            fees=FeeSchedule(rate=RATES[number % 3], exponent=1),
            min_order_size=5 * MICRO if number % 2 else MICRO // 100,
            tokens=(OutcomeToken(token_id=str(1_000 + number), outcome="Yes", outcome_index=0),),
        )
        for number in range(6)
    ]


MARKETS = {market.tokens[0].token_id: market for market in markets()}
TOKENS = list(MARKETS)


class StillClock(Clock):
    """Time as the test sets it."""

    def __init__(self) -> None:
        self.now = NOW_MS

    def now_ms(self) -> int:
        return self.now

    def monotonic_ms(self) -> int:
        return self.now

    async def sleep_ms(self, duration_ms: int) -> None:
        self.now += duration_ms


def done(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


class Desk(RuleBasedStateMachine):
    """The rules and their counts over a ledger in memory; every step is one that a worker can take."""

    @initialize(
        money=st.dictionaries(st.sampled_from(MONEY), st.integers(min_value=0, max_value=120 * MICRO), min_size=1),
        counts=st.dictionaries(
            st.sampled_from([LimitName.MAX_OPEN_POSITIONS, LimitName.MAX_ATTEMPTS_PER_MINUTE]), st.integers(0, 6)
        ),
        scopes=st.lists(st.sampled_from(SCOPES), min_size=1, max_size=3, unique=True),
    )
    def begin(self, money: dict[LimitName, int], counts: dict[LimitName, int], scopes: list[Scope]) -> None:
        self.ledger = MemoryLedger()
        for address in LEADERS:
            done(self.ledger.add_leader(a_leader(address=address)))
        done(self.ledger.save_markets(list(MARKETS.values())))
        self.limits = Limits({(name, scope): value for scope in scopes for name, value in (money | counts).items()})
        self.clock = StillClock()
        self.serial = 0
        self.settled: set[str] = set()
        self.entries: list[tuple[int, str]] = []
        self.portfolio, self.risk = self.a_life()

    def a_life(self) -> tuple[Portfolio, Risk]:
        """Start as a worker does."""
        portfolio = Portfolio(strategy_id=OWNER[0], account_id=OWNER[1])
        books = FakeBooks()
        guard = a_guard(
            ledger=self.ledger,
            portfolio=portfolio,
            executor=None,
            registry=FakeRegistry(*MARKETS.values()),
            books=books,
            roll=None,
            notifier=Listeners(),
            clock=self.clock,
            polygon=ScriptedSource(),
            limits={},
        )
        done(portfolio.load(self.ledger))
        done(guard.risk.load())
        guard.risk.limits.now = self.limits
        return portfolio, guard.risk

    def decided(self, leader: str, token_id: str, side: Side, size: int, price: int) -> ExecutionAttempt:
        """Take a leader's fill through the rules and store what they say, as the worker does."""
        attempt = self.ruled(self.seen(leader, token_id, side), size=size, price=price)
        assert done(self.ledger.record_attempt(attempt))
        self.portfolio.follow(attempt)
        if attempt.decision is Decision.TRADE and side is Side.BUY:
            self.entries.append((self.clock.now, leader))
        return attempt

    def seen(self, leader: str, token_id: str, side: Side) -> RecordedFill:
        self.serial += 1
        place = a_place(log_index=self.serial, maker=leader, order_hash=f"0x{self.serial:064x}")
        fill = a_fill(leader=leader, token_id=token_id, side=side, place=place, tx_hash=f"0x{self.serial:064x}")
        seen = FillsSeen(source=Source.POLYGON, sightings=(a_sighting(fill),))
        return done(self.ledger.ingest(seen, now_ms=self.clock.now)).new[0]

    def ruled(self, seen: RecordedFill, *, size: int, price: int) -> ExecutionAttempt:
        now = {"decided_at_ms": self.clock.now, "created_at_ms": self.clock.now}
        wanted = an_attempt(seen, size_shares_target=size, limit_price=price, **now)
        market = MARKETS[seen.fill.token_id]
        return self.risk.rule(wanted, leader=seen.fill.leader, market=market, view=None)

    def open_buys(self) -> list[ExecutionAttempt]:
        return [attempt for attempt in self.portfolio.open_attempts() if attempt.side is Side.BUY]

    def resolvable(self) -> list[str]:
        """Return tokens that are held and have no open order: a resolved market has none."""
        busy = {attempt.token_id for attempt in self.portfolio.open_attempts()}
        return [token for token in self.held() if token not in busy]

    def held(self) -> list[str]:
        return [position.token_id for position in self.portfolio.positions() if position.shares]

    def sent(self, attempt: ExecutionAttempt) -> None:
        if attempt.status is AttemptStatus.PENDING:
            done(self.ledger.submit_attempt(attempt.id, order_hash=f"0x{attempt.id}", placed_at_ms=self.clock.now))

    def executed(self, attempt: ExecutionAttempt, shares: int, price: int, *, taker: bool = True) -> None:
        self.sent(attempt)
        self.serial += 1
        fees = MARKETS[attempt.token_id].fees
        fill = replace(
            an_execution(attempt, trade=f"t{self.serial}"),
            shares=shares,
            price=price,
            fee_usdc=taker_fee_down(fees, shares=shares, price=price) if taker else 0,
            fill_at_ms=self.clock.now,
        )
        booked = done(self.ledger.book_execution(fill))
        assert booked is not None
        self.portfolio.book(booked, fill)

    @rule(
        leader=st.sampled_from(LEADERS),
        token=st.sampled_from(TOKENS),
        lots=st.integers(1, 20_000),
        price=st.integers(10, 990),
    )
    def decide(self, leader: str, token: str, lots: int, price: int) -> None:
        assume(token not in self.settled)
        self.decided(leader, token, Side.BUY, lots * 10_000, price * 1_000)

    @rule(leader=st.sampled_from(LEADERS), token=st.sampled_from(TOKENS), lots=st.integers(1, 20_000))
    def decide_what_is_not_stored(self, leader: str, token: str, lots: int) -> None:
        attempt = self.ruled(self.seen(leader, token, Side.BUY), size=lots * 10_000, price=MICRO // 2)
        self.portfolio.release(attempt.id)

    @precondition(lambda self: self.open_buys())
    @rule(data=st.data(), is_again=st.booleans())
    def decide_what_was_decided(self, data: Any, is_again: bool) -> None:
        attempt = data.draw(st.sampled_from(self.open_buys()))
        seen = self.ledger.stored[attempt.leader_fill_id].recorded
        again = self.ruled(seen, size=attempt.size_shares_target, price=attempt.limit_price)
        assert not done(self.ledger.record_attempt(again))
        self.portfolio.release(again.id)

    @precondition(lambda self: self.open_buys())
    @rule(data=st.data(), part=st.integers(1, 1_000), better=st.integers(0, 100), taker=st.booleans())
    def fill(self, data: Any, part: int, better: int, taker: bool) -> None:
        attempt = data.draw(st.sampled_from(self.open_buys()))
        left = attempt.size_shares_target - attempt.filled_shares
        shares = max(1, left * part // 1_000)
        price = max(1_000, attempt.limit_price - better * 997)
        self.executed(attempt, shares, price, taker=taker)

    @precondition(lambda self: self.portfolio.open_attempts())
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        attempt = data.draw(st.sampled_from(self.portfolio.open_attempts()))
        why = reason("CANCELED_BY_US")
        status = AttemptStatus.CANCELED
        closed = done(self.ledger.close_attempt(attempt.id, status=status, reason=why, at_ms=self.clock.now))
        assert closed is not None
        self.portfolio.follow(closed)

    @precondition(lambda self: self.held())
    @rule(data=st.data(), leader=st.sampled_from(LEADERS), part=st.integers(1, 100), price=st.integers(1, 999))
    def exit(self, data: Any, leader: str, part: int, price: int) -> None:
        token = data.draw(st.sampled_from(self.held()))
        shares = max(1, self.portfolio.sellable(token) * part // 100)
        attempt = self.decided(leader, token, Side.SELL, shares, 1_000)
        assert attempt.decision is Decision.TRADE, "an exit is never limited"
        self.executed(attempt, shares, price * 1_000)

    @precondition(lambda self: self.resolvable())
    @rule(data=st.data(), payout=st.sampled_from([0, MICRO // 2, MICRO]))
    def settle(self, data: Any, payout: int) -> None:
        token = data.draw(st.sampled_from(self.resolvable()))
        market = MARKETS[token]
        told = Resolution(
            condition_id=market.condition_id,
            payouts=(payout,),
            source=ResolutionSource.CHAIN,
            at_ms=self.clock.now,
        )
        settled = done(self.ledger.settle(told))
        for closing in settled.closings:
            self.portfolio.settle(closing.settlement, closing.position)
        self.settled.add(token)

    @rule(seconds=st.integers(1, 90))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds * 1_000

    @rule()
    def begin_another_day(self) -> None:
        self.clock.now += DAY_MS
        done(self.risk.day.check())

    @rule()
    def restart(self) -> None:
        """Die and start again: what was reserved and not stored is gone, and everything else counts as before."""
        before = self.counts()
        self.portfolio, self.risk = self.a_life()
        after = self.counts()
        assert {name: (amount, after[name]) for name, amount in before.items() if amount != after[name]} == {}

    def counts(self) -> dict[str, Any]:
        exposure = self.portfolio.at_stake.exposure
        subjects = [(Subject.ALL, ""), *((Subject.LEADER, leader) for leader in LEADERS)]
        for market in MARKETS.values():
            subjects += [
                (Subject.MARKET, market.condition_id),
                (Subject.EVENT, market.event_slug),
                (Subject.CATEGORY, market.category),
            ]
        facts: dict[str, Any] = {"results": sorted(recent_results(exposure.results, EVERYTHING, now_ms=self.clock.now))}
        for scope in SCOPES:
            facts |= {f"{scope} {name}": exposure.at_stake(scope, subject, name) for subject, name in subjects}
            facts |= {f"{scope} lost {leader}": exposure.lost_today(scope, leader) for leader in LEADERS}
            facts[f"{scope} in flight"] = exposure.in_flight(scope)
            facts[f"{scope} positions"] = exposure.positions(scope)
            facts[f"{scope} spent"] = exposure.spent_today(scope)
            facts[f"{scope} entries"] = exposure.entries_in_minute(scope, now_ms=self.clock.now)
        return facts

    @invariant()
    def no_limit_is_passed(self) -> None:
        found = stakes_of(self.ledger, MARKETS.__getitem__, day_started_ms=self.risk.day.started_ms())
        in_force = (limit for limit in self.limits.all() if not self._is_overridden(limit.name, limit.scope))
        assert list(breaches(found, in_force)) == []

    @invariant()
    def no_budget_is_passed(self) -> None:
        for name, scope, value in self.limits.all():
            if name is LimitName.LEADER_BUDGET_USDC and not self._is_overridden(name, scope):
                for leader in LEADERS:
                    if scope.leader in {"", leader}:
                        assert used_of_leader(self.portfolio.at_stake.exposure, scope, leader) <= value

    @invariant()
    def no_minute_has_too_many_entries(self) -> None:
        for name, scope, value in self.limits.all():
            if name is LimitName.MAX_ATTEMPTS_PER_MINUTE:
                his = [at for at, leader in self.entries if scope.leader in {"", leader}]
                assert sum(at > self.clock.now - 60_000 for at in his) <= value

    @invariant()
    def what_is_counted_is_never_less_than_what_is_at_stake(self) -> None:
        found = stakes_of(self.ledger, MARKETS.__getitem__)
        exposure = self.portfolio.at_stake.exposure
        for scope in SCOPES:
            plain = sum(stake.cost + stake.in_flight for stake in found.of(scope))
            counted = exposure.at_stake(scope, Subject.ALL)
            # A leader's part of a cost is rounded with every sale of it; a position's own cost is not.
            rounding = self.serial if scope.leader else 0
            assert plain - rounding <= counted <= plain + rounding + 1_011 * len(self.open_buys())

    def _is_overridden(self, name: LimitName, scope: Scope) -> bool:
        """A leader's own value of what is limited by leader goes before the general one, which then proves nothing."""
        own = [leader for leader in LEADERS if self.limits.value(name, Scope(leader=leader)) is not None]
        return name in {LimitName.MAX_USDC_PER_LEADER, LimitName.LEADER_BUDGET_USDC} and bool(own) and not scope.leader


TestLimitsHold = Desk.TestCase
TestLimitsHold.settings = settings(
    max_examples=int(os.environ.get("RISK_EXAMPLES", "40")),
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
)
