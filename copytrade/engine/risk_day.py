"""The day of an account: what it has lost since it began, the switch that stops a bad one, and its summary."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

from copytrade.domain.drawdown import DayStart, gain_today, unrealized
from copytrade.domain.halts import BY_DRAWDOWN, HaltLevel
from copytrade.domain.risk import DAY_MS, LimitName, day_start_ms
from copytrade.domain.scopes import EVERYTHING, Scope, Subject, scope_name
from copytrade.domain.units import format_micro

if TYPE_CHECKING:
    from collections.abc import Callable

    from copytrade.domain.units import Millis, Price, Usdc
    from copytrade.engine.halt import Halts
    from copytrade.engine.portfolio import Portfolio
    from copytrade.engine.risk_events import RiskEvents
    from copytrade.engine.risk_limits import LimitBook
    from copytrade.ports.clock import Clock
    from copytrade.ports.risk import RiskStore

SUMMARY: Final = "DAILY_SUMMARY"


class RiskDay:
    """Watches the loss of the day; `mark` gives what a share of a token brings now, None where nobody knows."""

    def __init__(
        self,
        *,
        store: RiskStore,
        portfolio: Portfolio,
        mark: Callable[[str], Price | None],
        limits: LimitBook,
        halts: Halts,
        events: RiskEvents,
        reset_hour: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._portfolio = portfolio
        self._mark = mark
        self._limits = limits
        self._halts = halts
        self._events = events
        self._reset_hour = reset_hour
        self._clock = clock
        self._marks: dict[str, Price] = {}
        self._day: DayStart | None = None
        self._is_saved = False

    def started_ms(self) -> Millis:
        """Return when the day began that it is now."""
        return day_start_ms(self._clock.now_ms(), reset_hour=self._reset_hour)

    async def load(self) -> None:
        """Take up the day where it was left; one that ended meanwhile is closed."""
        self._day = await self._store.day_start(self._portfolio.strategy_id, self._portfolio.account_id)
        self._is_saved = self._day is not None
        await self._roll()

    async def check(self) -> None:
        """Begin a new day when it is time, and halt when the loss of this one is at its limit."""
        self._see_marks()
        await self._roll()
        gain = self.gain()
        for scope in (EVERYTHING, Scope(self._portfolio.strategy_id, self._portfolio.account_id)):
            limit = self._limits.now.value(LimitName.DAILY_DRAWDOWN_USDC, scope)
            if limit is not None and -gain >= limit and not self._halts.is_open(BY_DRAWDOWN):
                await self._halt(limit, scope, lost=-gain)

    def gain(self) -> Usdc:
        """Return realised and marked PnL since the day began."""
        return 0 if self._day is None else self._gain_of(self._day)

    async def save(self) -> None:
        """Keep how the day goes, for other processes to read."""
        if self._day is not None:
            unmarked = sum(self._mark(position.token_id) is None for position in self._portfolio.held())
            at_ms = self._clock.now_ms()
            await self._store.save_day_gain(self._day, gain_usdc=self.gain(), unmarked=unmarked, at_ms=at_ms)

    def _gain_of(self, day: DayStart) -> Usdc:
        return gain_today(day, self._portfolio.net_pnl_usdc(), self._portfolio.held(), self._marks.get)

    def _see_marks(self) -> None:
        """Keep the last mark of what is held; the first since the day began is where a token started from."""
        held = {position.token_id: position for position in self._portfolio.held()}
        kept = {token_id: price for token_id, price in self._marks.items() if token_id in held}
        seen = {token_id: price for token_id in held if (price := self._mark(token_id)) is not None}
        self._marks = {**kept, **seen}
        if self._day is None:
            return
        late = {
            token_id: unrealized(held[token_id], self._marks[token_id])
            for token_id, amount in self._day.unrealized_usdc.items()
            if amount is None and token_id in self._marks
        }
        if late:
            self._day = replace(self._day, unrealized_usdc={**self._day.unrealized_usdc, **late})
            self._is_saved = False

    async def _roll(self) -> None:
        started_ms = self.started_ms()
        ended = self._day
        if ended is None or ended.started_at_ms < started_ms:
            if ended is not None:
                await self._summarise(ended)
            self._day = self._begin(started_ms)
            self._is_saved = False
            self._portfolio.at_stake.start_day(started_ms)
            if self._halts.is_open(BY_DRAWDOWN):
                await self._halts.resume(BY_DRAWDOWN)
        if self._day is not None and not self._is_saved:
            await self._store.save_day_start(self._day, at_ms=self._clock.now_ms())
            self._is_saved = True

    def _begin(self, started_ms: Millis) -> DayStart:
        standing: dict[str, Usdc | None] = {}
        for position in self._portfolio.held():
            price = self._marks.get(position.token_id)
            standing[position.token_id] = None if price is None else unrealized(position, price)
        return DayStart(
            strategy_id=self._portfolio.strategy_id,
            account_id=self._portfolio.account_id,
            started_at_ms=started_ms,
            realized_usdc=self._portfolio.net_pnl_usdc(),
            unrealized_usdc=standing,
        )

    async def _halt(self, limit: Usdc, scope: Scope, *, lost: Usdc) -> None:
        why = f"lost {format_micro(lost)} USDC today, limit {format_micro(limit)} ({scope_name(scope)})"
        await self._halts.halt(BY_DRAWDOWN, level=HaltLevel.ENTRIES, why=why)

    async def _summarise(self, day: DayStart) -> None:
        """Tell what a day brought; the marks are those of now, not of its last instant."""
        figures = await self._store.day_figures(
            day.strategy_id, day.account_id, from_ms=day.started_at_ms, to_ms=day.started_at_ms + DAY_MS
        )
        money = {name: value if not name.endswith("_usdc") else format_micro(value)
                 for name, value in asdict(figures).items()}  # fmt: skip
        self._events.take(
            SUMMARY,
            {
                "day_began_ms": day.started_at_ms,
                "strategy_id": day.strategy_id,
                "account_id": day.account_id,
                **money,
                "net_realized_usdc": format_micro(figures.realized_usdc - figures.fees_usdc),
                "gain_with_marks_usdc": format_micro(self._gain_of(day)),
                "open_positions": len(self._portfolio.held()),
                "at_stake_usdc": format_micro(self._portfolio.at_stake.exposure.at_stake(EVERYTHING, Subject.ALL)),
            },
        )
