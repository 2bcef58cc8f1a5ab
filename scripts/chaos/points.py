"""The named instants at which the worker is killed: before a change, with it made but not committed, or just after.

A point is `what.when`. The program knows nothing of them: the arranged worker wraps what it calls.
"""

from __future__ import annotations

import copy
import functools
import os
import signal
from collections.abc import Callable
from typing import Any, NoReturn

from alembic.runtime.migration import HeadMaintainer

from copytrade.adapters.paper.executor import PaperExecutor
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.engine.worker import Worker

BEFORE, UNCOMMITTED, AFTER = "before", "uncommitted", "after"
EACH = (BEFORE, UNCOMMITTED, AFTER)
_WRITES: dict[str, tuple[str, tuple[str, ...]]] = {
    "ingest": ("ingest", EACH),
    "decide": ("record_attempt", EACH),
    "submit": ("submit_attempt", EACH),
    "book": ("book_execution", EACH),
    "close": ("close_attempt", EACH),
    "recover": ("close_attempts", EACH),
    "orphan": ("orphan", EACH),
    "confirm": ("confirm", (UNCOMMITTED,)),
    "events": ("keep_leader_events", (UNCOMMITTED, AFTER)),
    "markets": ("save_markets", (UNCOMMITTED,)),
    "sync": ("save_registry_sync", (AFTER,)),
}
POINTS: tuple[str, ...] = (
    *(f"{what}.{when}" for what, (_, moments) in _WRITES.items() for when in moments),
    "send.after",
    "migrate.between",
    "drain.after",
)


def arrange_death(point: str, *, count: int = 1) -> None:
    """Have this process killed at the `count`th time it comes to a point.

    :raises ValueError: there is no such point.
    """
    if point not in POINTS:
        raise ValueError(f"{point} is none of {', '.join(POINTS)}")
    countdown = _Countdown(count)
    what, when = point.split(".")
    if what == "send":
        _wrap(PaperExecutor, "submit", after=countdown.pass_by)
    elif what == "drain":
        Worker.run = _dying_at_the_end(Worker.run, countdown)
    elif what == "migrate":
        _wrap_plain(HeadMaintainer, "update_to_step", _Countdown(2).pass_by)
    elif when == UNCOMMITTED:
        _wrap_uncommitted(SqlLedger, _WRITES[what][0], countdown)
    else:
        _wrap(SqlLedger, _WRITES[what][0], **{when: countdown.pass_by})


class _Countdown:
    """Kills the process when it has been passed as often as given."""

    def __init__(self, count: int) -> None:
        self._left = count

    def pass_by(self) -> None:
        self._left -= 1
        if self._left <= 0:
            die()


def die() -> NoReturn:
    """End this process as a power cut of the program would: nothing is flushed, closed or told."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


class _DyingDatabase:
    """A database on which a change is made and never committed."""

    def __init__(self, database: Any, countdown: _Countdown) -> None:
        self._database = database
        self._countdown = countdown

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def write(self, work: Callable[[Any], Any]) -> Any:
        return await self._database.write(self._dying(work))

    async def write_alone(self, work: Callable[[Any], Any]) -> Any:
        return await self._database.write_alone(self._dying(work))

    def _dying(self, work: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def changed(connection: Any) -> Any:
            done = work(connection)
            self._countdown.pass_by()
            return done

        return changed


def _wrap(
    owner: type[Any], name: str, *, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None
) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    async def wrapped(*args: Any, **named: Any) -> Any:
        if before is not None:
            before()
        done = await original(*args, **named)
        if after is not None:
            after()
        return done

    setattr(owner, name, wrapped)


def _wrap_plain(owner: type[Any], name: str, before: Callable[[], None]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **named: Any) -> Any:
        before()
        return original(*args, **named)

    setattr(owner, name, wrapped)


def _wrap_uncommitted(owner: type[Any], name: str, countdown: _Countdown) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    async def wrapped(self: Any, *args: Any, **named: Any) -> Any:
        dying = copy.copy(self)
        dying._database = _DyingDatabase(self._database, countdown)
        return await original(dying, *args, **named)

    setattr(owner, name, wrapped)


def _dying_at_the_end(run: Callable[..., Any], countdown: _Countdown) -> Callable[..., Any]:
    @functools.wraps(run)
    async def wrapped(*args: Any, **named: Any) -> Any:
        try:
            return await run(*args, **named)
        finally:
            countdown.pass_by()

    return wrapped
