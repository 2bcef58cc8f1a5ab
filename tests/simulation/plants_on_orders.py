"""Bugs in books, orders and what is told of them, each as somebody has made it before."""

from __future__ import annotations

from typing import Any

import pytest

from copytrade.adapters.clob import upkeep
from copytrade.adapters.clob.bookstore import ClobBookStore
from copytrade.adapters.clob.checks import Checks
from copytrade.adapters.clob.shelf import Shelf
from copytrade.adapters.clob.tracked import Agreement
from copytrade.adapters.data_api import requests
from copytrade.adapters.paper import desk as paper_desk
from copytrade.adapters.paper.desk import MarketDesk
from copytrade.adapters.polygon import rpc, websocket
from copytrade.adapters.rtds import source as rtds_source
from copytrade.domain import exposure
from copytrade.domain.attempts import ExecutionAttempt
from copytrade.domain.fills import Side
from copytrade.domain.matching import Match
from copytrade.domain.risk import Ruling
from copytrade.domain.units import MICRO, Millis
from copytrade.engine import risk
from copytrade.engine.execute import Execute
from copytrade.engine.portfolio import Portfolio
from copytrade.ports.clock import Clock
from copytrade.strategies.copy import amounts


def a_restart_sends_open_orders_again(patch: pytest.MonkeyPatch) -> None:
    """Place what an earlier life left open."""

    async def recover(self: Execute, attempts: tuple[ExecutionAttempt, ...]) -> None:
        by_token = {token.token_id: market for market in await self._ledger.markets() for token in market.tokens}
        for attempt in attempts:
            order = self._executor.prepare(attempt, by_token[attempt.token_id])
            await self._ledger.submit_attempt(attempt.id, order_hash=order.order_hash, placed_at_ms=order.placed_at_ms)
            await self._executor.submit(order)

    patch.setattr(Execute, "recover", recover)


def a_restart_forgets_open_orders(patch: pytest.MonkeyPatch) -> None:
    """Leave what an earlier life left open as it is."""

    async def recover(self: Execute, attempts: tuple[ExecutionAttempt, ...]) -> None:
        return

    patch.setattr(Execute, "recover", recover)


def an_order_is_sent_before_it_is_written(patch: pytest.MonkeyPatch) -> None:
    """Send first, and write down what was sent when there is time."""

    async def submit(self: Execute, approved: Any) -> None:
        order = self._executor.prepare(approved.attempt, approved.market)
        await self._executor.submit(order)
        await self._clock.sleep_ms(400)
        await self._ledger.submit_attempt(
            approved.attempt.id,
            order_type=order.order_type,
            order_hash=order.order_hash,
            placed_at_ms=order.placed_at_ms,
        )

    patch.setattr(Execute, "submit", submit)


def sells_are_not_capped(patch: pytest.MonkeyPatch) -> None:
    """Sell as much as the leader does, whatever is held."""
    patch.setattr(Portfolio, "sellable", lambda self, token_id: 10**12)


def an_open_order_costs_nothing_yet(patch: pytest.MonkeyPatch) -> None:
    """Count against the limits what is held, and not what open orders may still take."""
    patch.setattr(exposure, "worst_case", lambda *_: 0)


def limits_are_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    """Let every entry pass as it is."""
    patch.setattr(risk, "judge", lambda entry, *_: Ruling(shares=entry.shares, reasons=()))


def sizes_are_floats(patch: pytest.MonkeyPatch) -> None:
    """Reckon with doubles, and cut what comes out."""
    patch.setattr(amounts, "scaled_down", lambda amount, ratio: int(amount * (ratio / MICRO)))


def an_open_socket_proves_a_book(patch: pytest.MonkeyPatch) -> None:
    """Take a book for fresh as long as its connection stands: the venue answers pings, after all."""
    patch.setattr(ClobBookStore, "_age_ms", lambda self, tracked, *, is_doubtful: 0)


def the_wall_clock_tells_the_age(patch: pytest.MonkeyPatch) -> None:
    """Subtract wall times for the age of a book."""
    make_before = ClobBookStore.__init__

    def make(self: ClobBookStore, *, clock: Clock, **rest: Any) -> None:
        make_before(self, clock=_WallClock(clock), **rest)

    patch.setattr(ClobBookStore, "__init__", make)


class _WallClock(Clock):
    """A clock that is asked for nothing but the time of day."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now_ms(self) -> Millis:
        return self._clock.now_ms()

    def monotonic_ms(self) -> Millis:
        return self._clock.now_ms()

    async def sleep_ms(self, duration_ms: Millis) -> None:
        await self._clock.sleep_ms(duration_ms)


def changes_make_a_book(patch: pytest.MonkeyPatch) -> None:
    """Apply changes to a token that has no book yet, and take what comes out for one; hold nothing against it."""
    move_before = Shelf.move

    def move(self: Shelf, tracked: Any, *rest: Any) -> None:
        if not tracked.book.is_seeded:
            _, _, venue_ts_ms, at_ms = rest
            tracked.book.replace({}, venue_ts_ms, at_ms)
        move_before(self, tracked, *rest)

    patch.setattr(Shelf, "move", move)
    patch.setattr(Checks, "check_all", lambda self: None)
    patch.setattr(Checks, "is_doubtful", lambda self, tracked: False)


def a_contradicted_book_is_kept(patch: pytest.MonkeyPatch) -> None:
    """Take no notice of what messages say of the touch, nor of full books: with a socket, changes keep a book right."""
    replace_before = Shelf.replace

    def replace(self: Shelf, tracked: Any, *rest: Any) -> None:
        if tracked.socket is None or not tracked.book.is_seeded:
            replace_before(self, tracked, *rest)

    patch.setattr(Shelf, "replace", replace)
    patch.setattr(Checks, "check_all", lambda self: None)
    patch.setattr(Checks, "is_doubtful", lambda self, tracked: False)
    patch.setattr(Shelf, "strike", lambda self, tracked, what, *, is_final: None)
    patch.setattr(upkeep, "_agreements", lambda sample, found: {Agreement.SAME})


def depth_is_endless(patch: pytest.MonkeyPatch) -> None:
    """Fill an order whole at the best price."""
    sweep_before = paper_desk.sweep

    def sweep(levels: Any, *, side: Side, limit: int, size: int, spend: Any) -> tuple[Match, ...]:
        matches = sweep_before(levels, side=side, limit=limit, size=size, spend=spend)
        return (Match(matches[0].price, size),) if matches else ()

    patch.setattr(paper_desk, "sweep", sweep)


def what_was_taken_is_there_again(patch: pytest.MonkeyPatch) -> None:
    """Forget what our own orders took from a book that did not move since."""
    patch.setattr(MarketDesk, "_consume", lambda self, order, book, matches: None)


def an_order_meets_an_old_book(patch: pytest.MonkeyPatch) -> None:
    """Fill an order on a book of before its decision."""
    tradable_before = MarketDesk._tradable_book

    def tradable(self: MarketDesk, order: Any) -> Any:
        old = self._books.book_at(self.token_id, order.attempt.decided_at_ms - 2_000)
        return old or tradable_before(self, order)

    patch.setattr(MarketDesk, "_tradable_book", tradable)


def addresses_are_told_whole(patch: pytest.MonkeyPatch) -> None:
    """Put the address of a node into what is told, its key and all."""
    for module in (rpc, requests, websocket, rtds_source):
        patch.setattr(module, "host_of", lambda url: url)
