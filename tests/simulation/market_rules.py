"""Decisions and executions against what the venue really showed and printed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

from copytrade.domain.attempts import Decision, ExecutionAttempt, ExecutionFill, Liquidity
from copytrade.domain.fills import Side
from tests.simulation.host import HostClock
from tests.simulation.mortal import Stamps
from tests.simulation.storage import Kept
from tests.simulation.venue_record import Level, VenueRecord

Breaches = Iterator[str]
LagMs = Callable[[str, int], int]
"""How old, at a true time, what the worker saw of a token's book may be."""

WRITTEN_WITHIN_MS = 130_000
"""A stopped process may write so long after it looked at its clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketJudge:
    """Compares with a tolerance: what the worker saw at a time may be `lag_ms` old."""

    record: VenueRecord
    clock: HostClock
    stamps: Stamps
    lag_ms: LagMs

    def breaches(self, kept: Kept) -> Breaches:
        """Yield every trade and execution that the venue's books do not bear out."""
        for attempt in kept.attempts.values():
            if attempt.decision is Decision.TRADE and not self._was_shown(attempt):
                yield f"attempt {attempt.id} was decided on a touch that nobody showed: {attempt.reasons[0]}"
        yield from self._takers(kept)
        for fill in kept.executions:
            if fill.liquidity is Liquidity.MAKER and not self._was_met(fill):
                yield f"execution {fill.venue_trade_id} rested at {fill.price}, and nobody came for {fill.shares}"

    def _true(self, stamp_ms: int, written_ms: int) -> list[int]:
        """Return every true time that a stamp of the worker's clock may have been."""
        offsets = self.clock.offsets(written_ms - WRITTEN_WITHIN_MS, written_ms)
        return [stamp_ms - offset for offset in sorted(offsets)]

    def _was_shown(self, attempt: ExecutionAttempt) -> bool:
        touch = dict(attempt.reasons[0].numbers)["touch"]
        return any(
            touch == (ask if attempt.side is Side.BUY else bid)
            for at_ms in self._true(attempt.decided_at_ms, self.stamps.decided[attempt.id])
            for bid, ask in self.record.touches(attempt.token_id, at_ms - self.lag_ms(attempt.token_id, at_ms), at_ms)
        )

    def _takers(self, kept: Kept) -> Breaches:
        """Nobody takes more of a level than stood there: no order at once, nor all of a life while it does not move."""
        at_once: Counter[tuple[UUID, int, int]] = Counter()
        by_level: dict[tuple[int, int], list[tuple[ExecutionFill, list[int]]]] = defaultdict(list)
        levels: dict[tuple[int, int], Level] = {}
        for fill in kept.executions:
            if fill.liquidity is not Liquidity.TAKER:
                continue
            at_once[fill.attempt_id, fill.price, fill.fill_at_ms] += fill.shares
            level = self.record.level(fill.token_id, fill.price, side=fill.side)
            times = self._true(fill.fill_at_ms, self.stamps.booked[fill.id])
            key = (id(level), self.stamps.by_life[fill.id])
            levels[key] = level
            by_level[key].append((fill, times))
            taken = at_once[fill.attempt_id, fill.price, fill.fill_at_ms]
            if all(taken > level.most(at_ms - self.lag_ms(fill.token_id, at_ms), at_ms) for at_ms in times):
                yield f"execution {fill.venue_trade_id} took {taken} at {fill.price}, and less stood there"
        for key, taken_there in by_level.items():
            yield from self._taken_twice(levels[key], taken_there)

    def _taken_twice(self, level: Level, taken_there: list[tuple[ExecutionFill, list[int]]]) -> Breaches:
        for first_ms, end_ms, size in level.constant_spans():
            taken = sum(
                fill.shares
                for fill, times in taken_there
                if all(first_ms + self.lag_ms(fill.token_id, at_ms) <= at_ms < end_ms for at_ms in times)
            )
            if taken > size:
                yield f"{taken} were taken of a level of {size} while it stood"

    def _was_met(self, fill: ExecutionFill) -> bool:
        """Tell whether so much crossed a resting order's limit, or was printed against it."""
        for at_ms in self._true(fill.fill_at_ms, self.stamps.booked[fill.id]):
            first_ms = at_ms - self.lag_ms(fill.token_id, at_ms)
            crossed = self.record.most_within(fill.token_id, fill.price, first_ms, at_ms, side=fill.side)
            printed = self.record.printed(fill.token_id, fill.price, first_ms, at_ms, against=fill.side)
            if crossed + printed >= fill.shares:
                return True
        return False
