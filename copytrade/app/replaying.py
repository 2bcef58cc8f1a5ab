"""Playing a recording again: the real stages on virtual time, over a ledger in memory."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import pkgutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from copytrade import domain
from copytrade.app.execution import build_paper, build_rules
from copytrade.domain.attempts import ExecutionMode
from copytrade.engine.account import Account
from copytrade.engine.decide import Approved
from copytrade.engine.execute import Execute
from copytrade.engine.listeners import Listeners
from copytrade.engine.portfolio import Portfolio
from copytrade.engine.replayed_ledger import Gates, ReplayedLedger, timeless
from copytrade.engine.replayed_risk import ReplayedRisk
from copytrade.engine.replaying import Replay, ReplayedDecide, in_order
from copytrade.engine.session import FORMAT, KINDS, Began, BookAged, Closed, Filled, Made, Placed
from copytrade.engine.what_if import compared, copies, own_outcomes
from copytrade.ports import leader_fills
from copytrade.settings import ConfigurationError
from copytrade.settings.replayed import kind_of, shown, with_changes
from copytrade.strategies import copy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from copytrade.domain.units import Millis, Price
    from copytrade.engine.session import Entry, Outcome
    from copytrade.engine.what_if import Compared
    from copytrade.ports.recording import PlayedLedger
    from copytrade.settings import Settings

ORDERS_WAITING_MAX: Final = 1_000
CANCELED_BY_US: Final = "CANCELED_BY_US"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A session and its replay; the digests are of all that came of each, byte for byte.

    Only a session on paper can come out the same: a live one is played again on paper.

    `settings` are those of the session by variable name, as a person writes them; `changed` those of the replay
    that are others.
    """

    began: Began
    settings: Mapping[str, str]
    changed: Mapping[str, str]
    until_ms: Millis
    copies: tuple[Compared, ...]
    recorded_digest: str
    replayed_digest: str

    @property
    def must_be_equal(self) -> bool:
        """Whether anything but the same, byte for byte, would be a mistake of ours."""
        return not self.changed and self.began.mode == ExecutionMode.PAPER


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """What is known of a recording before it is played."""

    began: Began
    outcomes: tuple[Outcome, ...]
    until_ms: Millis
    ages: Mapping[str, list[tuple[Millis, Millis]]]


def replay(path: Path, changes: Mapping[str, str], *, tell: Callable[[int], None]) -> Replayed:
    """Play a recorded file with some settings changed; `tell` gets how many bytes of it were read, twice over.

    :raises ConfigurationError: the file is no whole recording that this program can read, or a setting is wrong.
    """
    from copytrade.adapters.recording.files import RecordingError, entries_of

    names = fact_names()
    try:
        return replay_entries(lambda: entries_of(path, KINDS, names, tell=tell), changes)
    except RecordingError as error:
        raise ConfigurationError(str(error)) from error


def replay_entries(entries: Callable[[], Iterable[Entry]], changes: Mapping[str, str]) -> Replayed:
    """Play entries, which are asked for twice: what came of the session must be known before it is played again.

    :raises ConfigurationError: they are of another format, or a setting is wrong.
    """
    from copytrade.adapters.virtual_time import run_virtual

    session = _survey(entries())
    recorded = recorded_settings(session.began.settings)
    settings = with_changes(recorded, changes)
    is_same = not changes and session.began.mode == ExecutionMode.PAPER
    start = partial(_play, session, entries(), settings, is_unchanged=is_same)
    outcomes, touches = run_virtual(start, epoch_ms=session.began.at_ms)
    return Replayed(
        began=session.began,
        settings={name: shown(name, value) for name, value in recorded.items()},
        changed=dict(changes),
        until_ms=session.until_ms,
        copies=tuple(compared(copies(session.outcomes), copies(outcomes), touches)),
        recorded_digest=_digest(own_outcomes(session.outcomes)),
        replayed_digest=_digest(outcomes),
    )


def _survey(entries: Iterable[Entry]) -> _Session:
    began: Began | None = None
    outcomes: list[Outcome] = []
    ages: dict[str, list[tuple[Millis, Millis]]] = defaultdict(list)
    until_ms = 0
    for entry in entries:
        until_ms = max(until_ms, entry.at_ms)
        if isinstance(entry, Began):
            if entry.format != FORMAT:
                raise ConfigurationError(f"the recording is of format {entry.format}, and this program reads {FORMAT}")
            began = entry
        elif isinstance(entry, Made | Placed | Filled | Closed):
            outcomes.append(entry)
        elif isinstance(entry, BookAged):
            ages[entry.token_id].append((entry.at_ms, entry.age_ms))
    if began is None:
        raise ConfigurationError("the recording does not say how it began")
    return _Session(began=began, outcomes=tuple(outcomes), until_ms=until_ms, ages=ages)


async def _play(
    session: _Session, entries: Iterable[Entry], settings: Settings, *, is_unchanged: bool
) -> tuple[tuple[Outcome, ...], Mapping[str, tuple[Price, Price]]]:
    """Wire the stages, play everything, and return what came of it with the last books."""
    from copytrade.adapters.memory import MemoryLedger
    from copytrade.adapters.recording.books import RecordedBooks
    from copytrade.adapters.virtual_time import VirtualClock

    clock = VirtualClock()
    books = RecordedBooks(clock, fresh_ms=settings.quote_fresh_ms, stale_ms=settings.quote_stale_ms, ages=session.ages)
    gates = Gates(session.outcomes, is_unchanged=is_unchanged)
    played = ReplayedLedger(MemoryLedger(), gates)
    ledger = cast("PlayedLedger", played)
    executor = build_paper(settings, books, clock, account_id=session.began.account_id)
    portfolio = Portfolio(strategy_id=session.began.strategy_id, account_id=executor.account_id)
    orders: asyncio.Queue[Approved] = asyncio.Queue(maxsize=ORDERS_WAITING_MAX)
    shared: dict[str, Any] = {"ledger": ledger, "portfolio": portfolio, "notifier": Listeners(), "executor": executor}
    risk = ReplayedRisk(session.outcomes, portfolio)
    decide = ReplayedDecide(
        risk=risk,
        fresh_ms=settings.quote_fresh_ms,
        stale_ms=settings.quote_stale_ms,
        strategy_id=session.began.strategy_id,
        rules=build_rules(settings),
        orders=orders,
        clock=clock,
        **shared,
    )
    replaying = Replay(
        decide=decide,
        execute=Execute(orders=orders, clock=clock, stopped_by=risk.stops, **shared),
        account=Account(**shared),
        executor=executor,
        portfolio=portfolio,
        ledger=ledger,
        remember=played.remember,
        books=books,
        gates=gates,
        clock=clock,
    )
    await replaying.run(in_order(entries), cancels=_cancels(session.outcomes))
    return tuple(played.outcomes), books.touches()


def _cancels(outcomes: tuple[Outcome, ...]) -> list[Closed]:
    """Return the endings that we asked for ourselves: the replay asks for them too."""
    closed = [outcome for outcome in outcomes if isinstance(outcome, Closed)]
    return [one for one in closed if one.reason is not None and one.reason.code == CANCELED_BY_US]


def recorded_settings(written: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of a session; those that this program does not know any more are left out."""
    from copytrade.adapters.recording.codec import Reader, UnreadableError

    reader = Reader(fact_names())
    found: dict[str, Any] = {}
    for name, text in written.items():
        kind = kind_of(name)
        try:
            if kind is not None:
                found[name] = reader.read(kind, json.loads(text))
        except (UnreadableError, ValueError) as error:
            raise ConfigurationError(f"the recording's {name} cannot be read: {error}") from error
    return found


def fact_names() -> dict[str, Any]:
    """Return what the annotations of facts may name: everything public of the domain, and a few of its users."""
    modules = [
        importlib.import_module(f"{domain.__name__}.{one.name}") for one in pkgutil.iter_modules(domain.__path__)
    ]
    everything = [*modules, leader_fills, copy]
    named = {name: value for module in everything for name, value in vars(module).items() if not name.startswith("_")}
    return named | {"Mapping": Mapping, "UUID": UUID}


def _digest(outcomes: Iterable[Outcome]) -> str:
    """Return the hash of everything that came of a session, byte for byte, but the times it was written at."""
    from copytrade.adapters.recording.codec import plain

    lines = [json.dumps([type(one).__name__, plain(timeless(one))]) for one in outcomes]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
