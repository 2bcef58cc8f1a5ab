"""Ten-line stand-ins for the ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import replace

from copytrade.domain.book import BookSnapshot, BookView, QuoteTier
from copytrade.domain.happenings import Happening
from copytrade.domain.leader_events import LeaderEvent
from copytrade.domain.market import Market
from copytrade.domain.settlement import Resolution
from copytrade.domain.tape import TapeEntry
from copytrade.ports.books import BookStore
from copytrade.ports.leader_events import LeaderActivity
from copytrade.ports.leader_fills import LeaderFillSource, SourceEvent
from copytrade.ports.leader_transfers import LeaderTransfers, SharesMoved
from copytrade.ports.markets import MarketRegistry
from copytrade.ports.notifier import Notifier
from copytrade.ports.resolutions import ResolutionFeed
from copytrade.ports.risk import HaltSwitch, VenueTime, VenueTimeUnavailableError
from copytrade.ports.wallet_values import WalletValues
from copytrade.ports.witnesses import TransactionWitness, WitnessUnavailableError


class FakeRegistry(MarketRegistry):
    """Knows `markets` by token; `late` ones only after a fetch that takes `fetch_s`."""

    def __init__(self, *markets: Market, late: tuple[Market, ...] = (), fetch_s: float = 0.0) -> None:
        self.known = {token.token_id: market for market in markets for token in market.tokens}
        self.late = {token.token_id: market for market in late for token in market.tokens}
        self.fetch_s = fetch_s
        self.fetched: list[str] = []
        self.completed: list[str] = []
        self.liquid: list[str] = []
        self.successors: dict[str, tuple[str, Market]] = {}
        self.age: int | None = 0

    def age_ms(self) -> int | None:
        return self.age

    def market_of(self, token_id: str) -> Market | None:
        return self.known.get(token_id)

    def successor_of(self, token_id: str) -> tuple[str, Market] | None:
        return self.successors.get(token_id)

    def learn_payouts(self, condition_id: str, payouts: tuple[int, ...]) -> None:
        for market in [one for one in self.known.values() if one.condition_id == condition_id]:
            self.change(replace(market, closed=True, payouts=market.payouts or payouts))

    def change(self, market: Market) -> None:
        self.known |= {token.token_id: market for token in market.tokens}

    def top_tokens(self, markets: int) -> tuple[str, ...]:
        return tuple(self.liquid[: 2 * markets])

    async def fetch(self, token_id: str) -> Market | None:
        self.fetched.append(token_id)
        await asyncio.sleep(self.fetch_s)
        if token_id in self.late:
            self.known[token_id] = self.late[token_id]
        return self.known.get(token_id)

    def complete_soon(self, token_id: str) -> None:
        self.completed.append(token_id)

    async def run(self) -> None:
        await asyncio.Event().wait()


class FakeBooks(BookStore):
    """Books as the test sets them, with every state kept."""

    def __init__(self) -> None:
        self.states: dict[str, list[BookSnapshot]] = {}
        self.age_ms = 0
        self.tier = QuoteTier.FRESH
        self.tracked: list[str] = []
        self.refreshed: list[str] = []
        self._moved = asyncio.Condition()

    async def show(self, book: BookSnapshot) -> None:
        self.states.setdefault(book.token_id, []).append(book)
        async with self._moved:
            self._moved.notify_all()

    def track(self, token_id: str) -> None:
        self.tracked.append(token_id)

    def view(self, token_id: str) -> BookView | None:
        states = self.states.get(token_id)
        return BookView(book=states[-1], age_ms=self.age_ms, tier=self.tier) if states else None

    async def first_view(self, token_id: str, *, timeout_ms: int) -> BookView | None:
        self.track(token_id)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self.changed(token_id, 0)
        except TimeoutError:
            return None
        return self.view(token_id)

    async def refresh(self, token_id: str) -> BookView | None:
        self.refreshed.append(token_id)
        self.tier = QuoteTier.FRESH
        return self.view(token_id)

    def book_at(self, token_id: str, at_ms: int) -> BookSnapshot | None:
        past = [book for book in self.states.get(token_id, []) if book.at_ms <= at_ms]
        return past[-1] if past else None

    def states_after(self, token_id: str, revision: int) -> tuple[BookSnapshot, ...]:
        return tuple(book for book in self.states.get(token_id, []) if book.revision > revision)

    def tape_after(self, condition_id: str, at_ms: int) -> tuple[TapeEntry, ...]:
        return ()

    async def printed(self, condition_id: str, at_ms: int) -> None:
        await asyncio.Event().wait()

    async def changed(self, token_id: str, revision: int) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: bool(self.states_after(token_id, revision)))

    async def run(self) -> None:
        await asyncio.Event().wait()


class FakeSwitch(HaltSwitch):
    """A switch that a test throws with a text, and takes back by setting none."""

    def __init__(self) -> None:
        self.text: str | None = None

    def throw(self, text: str) -> None:
        self.text = text

    def thrown(self) -> str | None:
        return self.text


class FakeVenueTime(VenueTime):
    """A venue's clock that ours is `skew` ahead of; None: it does not answer."""

    def __init__(self) -> None:
        self.skew: int | None = 0

    async def skew_ms(self) -> int:
        if self.skew is None:
            raise VenueTimeUnavailableError("no answer")
        return self.skew


class ScriptedSource(LeaderFillSource):
    """Yields what the test pushes."""

    def __init__(self, *events: SourceEvent) -> None:
        self.queue: asyncio.Queue[SourceEvent] = asyncio.Queue()
        for event in events:
            self.queue.put_nowait(event)

    async def events(self) -> AsyncIterator[SourceEvent]:
        while True:
            yield await self.queue.get()


class FakeActivity(LeaderActivity):
    """Tells what the test says happened and is held; `asked` are the leaders, `failure` is raised in its stead."""

    def __init__(self) -> None:
        self.happened: list[LeaderEvent] = []
        self.held: dict[str, int] = {}
        self.failure: Exception | None = None
        self.asked: list[tuple[str, int]] = []
        self.listed = 0

    async def events(self, leader: str, *, since_ms: int) -> tuple[LeaderEvent, ...]:
        self.asked.append((leader, since_ms))
        if self.failure is not None:
            raise self.failure
        return tuple(event for event in self.happened if event.leader == leader and event.event_ts_ms >= since_ms)

    async def holdings(self, leader: str) -> Mapping[str, int]:
        self.listed += 1
        return dict(self.held)


class FakeWalletValues(WalletValues):
    """Worth what the test says, after `takes_s`; `failure` is raised in its stead; `asked` are the wallets."""

    def __init__(self) -> None:
        self.worth: dict[str, int] = {}
        self.takes_s = 0.0
        self.failure: Exception | None = None
        self.asked: list[str] = []

    async def value(self, address: str) -> int | None:
        self.asked.append(address)
        await asyncio.sleep(self.takes_s)
        if self.failure is not None:
            raise self.failure
        return self.worth.get(address)


class FakeResolutions(ResolutionFeed):
    """Tells what the test says was resolved, once; `failure` is raised in its stead."""

    def __init__(self) -> None:
        self.told: list[Resolution] = []
        self.failure: Exception | None = None
        self.asked: list[set[str]] = []

    async def resolved(self, condition_ids: Collection[str]) -> tuple[Resolution, ...]:
        self.asked.append(set(condition_ids))
        if self.failure is not None:
            raise self.failure
        told = tuple(one for one in self.told if one.condition_id in condition_ids)
        self.told = [one for one in self.told if one not in told]
        return told


class RecordingNotifier(Notifier):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Happening] = []

    def tell(self, happening: Happening) -> None:
        self.told.append(happening)

    def of(self, kind: type[Happening]) -> list[Happening]:
        return [happening for happening in self.told if isinstance(happening, kind)]


class FakeTransactions(TransactionWitness):
    """Knows the blocks of the transactions that a test gives it; asked for any other the chain has none."""

    def __init__(self) -> None:
        self.blocks: dict[str, int] = {}
        self.answers = True

    async def block_of(self, tx_hash: str) -> int | None:
        if not self.answers:
            raise WitnessUnavailableError("polygon: down")
        return self.blocks.get(tx_hash)


class FakeTransfers(LeaderTransfers):
    """Yields what the test puts."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[SharesMoved] = asyncio.Queue()

    async def moves(self) -> AsyncIterator[SharesMoved]:
        while True:
            yield await self.queue.get()
