"""What may still be sold of a token, whatever became of the orders for it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.attempts import OPEN_STATUSES, AttemptStatus
from copytrade.domain.fills import Side
from copytrade.domain.positions import Position
from copytrade.engine.portfolio import Portfolio
from copytrade.ports.ledger import Booked
from tests.ledger_facts import an_attempt, an_execution
from tests.makers import NO, YES, a_fill, a_place, recorded

HELD = 1_000
moves = st.tuples(
    st.integers(0, 4), st.sampled_from(list(AttemptStatus)), st.integers(0, 100), st.sampled_from([YES, NO])
)


@given(st.lists(moves, max_size=30), st.sets(st.integers(0, 4)))
def test_what_is_sellable_is_what_is_held_less_what_open_sells_may_still_take(given_moves, buys):
    portfolio = Portfolio(strategy_id="copy", account_id="paper")
    attempts = [
        replace(
            an_attempt(recorded(a_fill(place=a_place(log_index=at)))),
            side=Side.BUY if at in buys else Side.SELL,
            size_shares_target=100,
        )
        for at in range(5)
    ]
    for token in (YES, NO):
        position = Position(strategy_id="copy", account_id="paper", token_id=token, shares=HELD)
        portfolio.book(Booked(attempt=attempts[0], position=position), an_execution(attempts[0], token_id=token))
    last = {0: attempts[0]}
    for at, status, filled, token in given_moves:
        last[at] = replace(attempts[at], status=status, filled_shares=filled, token_id=token)
        portfolio.follow(last[at])

        for asked in (YES, NO):
            open_sells = [
                one
                for one in last.values()
                if one.side is Side.SELL and one.token_id == asked and one.status in OPEN_STATUSES
            ]
            promised = sum(one.size_shares_target - one.filled_shares for one in open_sells)
            assert portfolio.sellable(asked) == HELD - promised
    assert {one.id for one in portfolio.open_attempts()} == {
        one.id for one in last.values() if one.status in OPEN_STATUSES
    }


def test_another_accounts_orders_promise_nothing():
    portfolio = Portfolio(strategy_id="copy", account_id="paper")
    portfolio.follow(an_attempt(recorded(), account_id="live", side=Side.SELL))
    assert (portfolio.sellable(YES), portfolio.open_attempts()) == (0, ())
