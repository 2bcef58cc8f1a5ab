"""What limits, halts and gates need from outside: a memory other processes can write to, a switch, the venue's time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill
    from copytrade.domain.drawdown import DayStart
    from copytrade.domain.gates import GateState
    from copytrade.domain.halts import Halt
    from copytrade.domain.market import Market
    from copytrade.domain.risk import LimitChange, LimitName
    from copytrade.domain.scopes import Scope
    from copytrade.domain.settlement import PositionSettlement
    from copytrade.domain.units import Millis, Usdc


class VenueTimeUnavailableError(Exception):
    """The venue did not tell the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedExecution:
    """An execution and the leader whose fill it follows."""

    fill: ExecutionFill
    leader: str

    @property
    def token_id(self) -> str:
        """The token it moved a position of."""
        return self.fill.token_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedAttempt:
    """An attempt and the leader whose fill it follows."""

    attempt: ExecutionAttempt
    leader: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFigures:
    """What happened in a time: fills detected, attempts decided, executions and the money they moved."""

    fills: int
    trades: int
    skips: int
    executions: int
    bought_usdc: Usdc
    sold_usdc: Usdc
    fees_usdc: Usdc
    realized_usdc: Usdc


class RiskStore(Protocol):
    """The memory of limits, halts and gates. Each write is one transaction; other processes may write too."""

    async def set_limit(
        self, name: LimitName, scope: Scope, value: int | None, *, start: int | None, by: str, at_ms: Millis
    ) -> LimitChange:
        """Store who set a limit to what, when, and what it was: the last value set, else `start`."""

    async def limit_changes(self, *, after: int) -> tuple[LimitChange, ...]:
        """Return the changes with a higher revision than `after`, oldest first."""

    async def halt(self, halt: Halt) -> bool:
        """Store a halt; an open one of the same cause ends with it.

        False, changing nothing, if the open one has the same level and the same reason.
        """

    async def resume(self, cause: str | None, *, by: str, at_ms: Millis) -> tuple[Halt, ...]:
        """End the open halt of a cause, or every open one if `cause` is None; return what ended."""

    async def open_halts(self) -> tuple[Halt, ...]:
        """Return the halts that have not ended, oldest first."""

    async def note_risk(self, code: str, detail: Mapping[str, object], *, at_ms: Millis) -> None:
        """Append a `risk_event`."""

    async def save_gates(self, states: Sequence[GateState], *, at_ms: Millis) -> None:
        """Keep what the gates say now, and no other gates."""

    async def gates_saved_ms(self) -> Millis | None:
        """Return when a worker last kept what the gates say, which one that runs does all the time; None: never."""

    async def day_start(self, strategy_id: str, account_id: str) -> DayStart | None:
        """Return the latest day that began, None before the first."""

    async def save_day_start(self, day: DayStart, *, at_ms: Millis) -> None:
        """Store where a day began, or what is known of that by now."""

    async def save_day_gain(self, day: DayStart, *, gain_usdc: Usdc, unmarked: int, at_ms: Millis) -> None:
        """Keep the PnL of a stored day so far, and how many positions lack a mark."""

    async def day_gain(self, strategy_id: str, account_id: str, *, started_at_ms: Millis) -> Usdc | None:
        """Return what was last kept of a day's PnL, None for a day that is not known."""

    async def copied_moves(
        self, strategy_id: str, account_id: str, *, since_ms: Millis, after: Mapping[str, int] | None = None
    ) -> tuple[CopiedExecution | PositionSettlement, ...]:
        """Return everything that moved each position that is open or was moved since then, in order for each token.

        Of tokens named in `after` only what is numbered above. Executions that failed to settle are left out.
        """

    async def copied_attempts(
        self, strategy_id: str, account_id: str, *, since_ms: Millis
    ) -> tuple[CopiedAttempt, ...]:
        """Return the attempts that are open, and every TRADE made since then, oldest first."""

    async def markets_of(self, token_ids: Collection[str]) -> Mapping[str, Market]:
        """Return the stored market of each of the tokens that has one."""

    async def day_figures(self, strategy_id: str, account_id: str, *, from_ms: Millis, to_ms: Millis) -> DayFigures:
        """Return what happened from one time to another, the later one left out."""


class HaltSwitch(Protocol):
    """A switch that works without the database."""

    def thrown(self) -> str | None:
        """Return why it was thrown, None if it is not; quick enough to be asked at any time."""


class VenueTime(Protocol):
    """The venue's clock."""

    async def skew_ms(self) -> Millis:
        """Return by how much our clock is ahead of the venue's at the least, below zero if it is behind.

        0 while the answer leaves room for no difference.

        :raises VenueTimeUnavailableError: it did not answer usefully.
        """
