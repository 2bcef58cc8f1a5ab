"""The completeness proof of one leader: the chain read afresh against the Data API and our tables, day by day."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from copytrade.domain.dedupe import SIZE_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from copytrade.domain.units import Millis
    from copytrade.ports.witnesses import ChainWitness, Trade, TradeWitness

DAY_MS: Final = 86_400_000
API_DELAY_MS: Final = 600_000
"""The Data API may lack a trade for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a witness lacks, may still lack, and has too much, against the chain."""

    count: int
    missing: tuple[Trade, ...]
    pending: tuple[Trade, ...]
    extra: tuple[Trade, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeReport:
    """One day's blocks, both ends included; `ours` None where we did not follow the leader."""

    from_ms: Millis
    from_block: int
    to_block: int
    on_chain: int
    is_agreed: bool
    api: Difference
    ours: Difference | None

    @property
    def differs(self) -> bool:
        """Whether something is missing or too much beyond the documented delay."""
        sides = [self.api] if self.ours is None else [self.api, self.ours]
        return any(side.missing or side.extra for side in sides)


def differences(chain: Iterable[Trade], other: Iterable[Trade]) -> tuple[list[Trade], list[Trade]]:
    """Return what only the chain has and what only the other has; identical trades count one by one."""
    grouped: dict[tuple[str, str, str], tuple[list[Trade], list[Trade]]] = defaultdict(lambda: ([], []))
    for side, trades in enumerate((chain, other)):
        for trade in trades:
            grouped[trade.tx_hash, trade.token_id, trade.side][side].append(trade)
    missing: list[Trade] = []
    extra: list[Trade] = []
    for ours, theirs in grouped.values():
        _pair(sorted(ours, key=_size), sorted(theirs, key=_size), missing, extra)
    return missing, extra


def _pair(ours: list[Trade], theirs: list[Trade], missing: list[Trade], extra: list[Trade]) -> None:
    """Pair two sorted lists by size, up to what an API's doubles may miss."""
    while ours and theirs:
        gap = ours[0].size - theirs[0].size
        if abs(gap) <= SIZE_TOLERANCE:
            ours.pop(0)
            theirs.pop(0)
        elif gap < 0:
            missing.append(ours.pop(0))
        else:
            extra.append(theirs.pop(0))
    missing += ours
    extra += theirs


def _size(trade: Trade) -> int:
    return trade.size


class Verify:
    """Asks every witness and compares."""

    def __init__(
        self, *, chain: ChainWitness, api: TradeWitness, ours: TradeWitness, tell: Callable[[int, int], None]
    ) -> None:
        self._chain: Final = chain
        self._api: Final = api
        self._ours: Final = ours
        self._tell: Final = tell

    async def run(self, account: str, *, since_ms: Millis, ours_since_ms: Millis | None) -> list[RangeReport]:
        """Return a report for each day since `since_ms`; our tables count from `ours_since_ms` (None: not at all).

        :raises WitnessUnavailableError: a witness cannot answer.
        """
        last, until_ms = await self._chain.final_block()
        edges = await self._edges(since_ms, until_ms, last)
        chain: list[Trade] = []
        agreed: list[bool] = []
        for (_, first), (_, after) in pairwise(edges):
            trades, is_agreed = await self._read(account, first, after - 1, total=(edges[0][1], last))
            chain += trades
            agreed.append(is_agreed)
        listed = [trade for trade in await self._api.trades(account, since_ms=since_ms) if trade.at_ms <= until_ms]
        stored = [] if ours_since_ms is None else await self._ours.trades(account, since_ms=ours_since_ms)
        stored = [trade for trade in stored if trade.at_ms <= until_ms]
        copied = [trade for trade in chain if ours_since_ms is not None and trade.at_ms >= ours_since_ms]
        api, ours = (
            (missing, [trade for trade in extra if trade.at_ms < until_ms])  # a later block may have the same second
            for missing, extra in (differences(chain, listed), differences(copied, stored))
        )
        return [
            RangeReport(
                from_ms=from_ms,
                from_block=first,
                to_block=after - 1,
                on_chain=len(_within(chain, from_ms, to_ms)),
                is_agreed=is_agreed,
                api=_difference(listed, api, from_ms, to_ms, pending_from_ms=until_ms - API_DELAY_MS),
                ours=None
                if ours_since_ms is None or to_ms <= ours_since_ms
                else _difference(stored, ours, from_ms, to_ms, pending_from_ms=until_ms + 1),
            )
            for ((from_ms, first), (to_ms, after)), is_agreed in zip(pairwise(edges), agreed, strict=True)
        ]

    async def _edges(self, since_ms: Millis, until_ms: Millis, last: int) -> list[tuple[Millis, int]]:
        """Return where each day begins: its time and its first block; at the end, what comes after the last."""
        starts = [since_ms, *range((since_ms // DAY_MS + 1) * DAY_MS, until_ms + 1, DAY_MS)]
        edges = [(start, await self._chain.first_block_at(start)) for start in starts]
        return [*[edge for edge in edges if edge[1] <= last], (until_ms + 1, last + 1)]

    async def _read(self, account: str, first: int, last: int, *, total: tuple[int, int]) -> tuple[list[Trade], bool]:
        found: list[Trade] = []
        is_agreed = True
        while first <= last:
            part = await self._chain.read([account], first=first, limit=last)
            found += part.trades
            is_agreed = is_agreed and part.is_agreed
            first = part.last + 1
            self._tell(first - total[0], total[1] - part.last)
        return found, is_agreed


def _within(trades: Iterable[Trade], from_ms: Millis, to_ms: Millis) -> tuple[Trade, ...]:
    return tuple(trade for trade in trades if from_ms <= trade.at_ms < to_ms)


def _difference(
    trades: Sequence[Trade],
    found: tuple[list[Trade], list[Trade]],
    from_ms: Millis,
    to_ms: Millis,
    *,
    pending_from_ms: Millis,
) -> Difference:
    missing, extra = (_within(side, from_ms, to_ms) for side in found)
    return Difference(
        count=len(_within(trades, from_ms, to_ms)),
        missing=tuple(trade for trade in missing if trade.at_ms < pending_from_ms),
        pending=tuple(trade for trade in missing if trade.at_ms >= pending_from_ms),
        extra=extra,
    )
