"""A leader whose fills are on the chain, in the Data API and in our tables, to be compared and repaired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from copytrade.adapters.memory import MemoryLedger
from copytrade.adapters.memory.audit import MemoryEvidence
from copytrade.adapters.polygon.witness import trade_of
from copytrade.domain.attempts import AttemptStatus, Decision
from copytrade.domain.fills import RecordedFill, Sighting
from copytrade.domain.invariants import AuditRules, Breach
from copytrade.domain.market import Market
from copytrade.domain.reconciliation import Kind, Reconciliation, Severity
from copytrade.engine.audit import audit
from copytrade.engine.reconcile import Reconcile
from copytrade.engine.repair import Repair, Repaired
from copytrade.engine.verify import API_DELAY_MS, DAY_MS
from copytrade.ports.leader_fills import ChainConfirmed, Cursor, CursorScope, FillsSeen, ProofMethod, ProvedRange
from copytrade.ports.markets import RegistryUnavailableError
from copytrade.ports.reconciliation import LedgerAudit
from copytrade.ports.witnesses import ChainPart, ChainWitness, PastLostError, Trade, TradeWitness
from tests.ledger_facts import an_attempt, see
from tests.makers import NOW_MS, YES, a_fill, a_leader, a_market, a_place, a_sighting
from tests.virtual_time import VirtualClock, run_virtual

BLOCK_MS = 2_000
FINAL_MS = NOW_MS - 10_000
OLD_MS = FINAL_MS - 2 * API_DELAY_MS
SINCE_MS = OLD_MS - 2 * DAY_MS


def block_at(at_ms: int) -> int:
    return at_ms // BLOCK_MS


def a_log(tx: str, *, at_ms: int = OLD_MS, **changes: Any) -> Sighting:
    place = a_place(block_number=block_at(at_ms), block_hash=f"0xb{tx}", log_index=1, order_hash=f"0xd{tx}")
    return a_sighting(a_fill(tx_hash=f"0x{tx}", fill_ts_ms=at_ms, place=place, **changes))


class Chain(ChainWitness):
    def __init__(self) -> None:
        self.logs: list[Sighting] = []
        self.is_agreed = True
        self.asked: list[tuple[int, int]] = []
        self.kept_from_ms = 0

    async def final_block(self) -> tuple[int, int]:
        return block_at(FINAL_MS), FINAL_MS

    async def first_block_at(self, at_ms: int) -> int:
        if at_ms < self.kept_from_ms:
            raise PastLostError("polygon: pruned", from_ms=self.kept_from_ms)
        return min(-(-at_ms // BLOCK_MS), block_at(NOW_MS) + 1)

    async def read(self, accounts: Sequence[str], *, first: int, limit: int) -> ChainPart:
        last = min(limit, first + 9_999)
        self.asked.append((first, last))
        found = tuple(
            one
            for one in self.logs
            if one.fill.leader in accounts and one.fill.place and first <= one.fill.place.block_number <= last
        )
        return ChainPart(last=last, trades=tuple(map(trade_of, found)), is_agreed=self.is_agreed, sightings=found)


class Api(TradeWitness):
    def __init__(self) -> None:
        self.listed: list[Sighting] = []

    async def trades(self, account: str, *, since_ms: int) -> list[Trade]:
        found = (trade_of(one) for one in self.listed if one.fill.leader == account)
        return [replace(one, block_number=None) for one in found if one.at_ms >= since_ms]


class Ours(TradeWitness):
    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    async def trades(self, account: str, *, since_ms: int) -> list[Trade]:
        fills = await self._ledger.all_fills_of(account, since_ms=since_ms)
        return [replace(trade_of(a_sighting(one.fill)), fill_id=one.id) for one in fills]


class Audit(LedgerAudit):
    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    async def breaches(self) -> list[Breach]:
        rules = AuditRules(now_ms=VirtualClock().now_ms(), book_age_ms_max=5_000, grace_ms=60_000)
        return [breach for verdict in audit(MemoryEvidence(self._ledger), rules) for breach in verdict.breaches]


class World:
    """A leader followed for two days, whose fills are on the chain, in the API and in our tables."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.chain = Chain()
        self.api = Api()
        self.markets: dict[str, Market] = {YES: a_market()}
        self.registry_fails = False

    async def begin(self, *logs: Sighting) -> None:
        await self.ledger.add_leader(a_leader(followed_since_ms=SINCE_MS, created_at_ms=SINCE_MS))
        await self.ledger.save_markets([a_market()])
        self.chain.logs += logs
        self.api.listed += logs
        last = block_at(FINAL_MS)
        cursor = Cursor(scope=CursorScope(), last_processed_block=last, proved_block=last)
        await see(self.ledger, *logs, cursor=cursor)
        await self.ledger.confirm(ChainConfirmed(block_number=last, at_ms=NOW_MS))
        for fill in await self.ledger.undecided(limit=99):
            await self.skip(fill)

    async def skip(self, fill: RecordedFill) -> None:
        await self.ledger.record_attempt(an_attempt(fill, decision=Decision.SKIP, status=AttemptStatus.SKIPPED))

    async def prove(self, first: int, last: int) -> None:
        proved = ProvedRange(
            scope=CursorScope(),
            from_block=first,
            to_block=last,
            methods=frozenset({ProofMethod.BLOOM}),
            is_single_source=False,
        )
        seen = FillsSeen(source=a_fill().source, sightings=(), proved=(proved,))
        await self.ledger.ingest(seen, now_ms=NOW_MS - DAY_MS)

    async def compare(self, **window: int) -> Reconciliation:
        reconcile = Reconcile(
            ledger=self.ledger,
            chain=self.chain,
            api=self.api,
            ours=Ours(self.ledger),
            audit=Audit(self.ledger),
            clock=VirtualClock(),
            tell=lambda _done, _left: None,
        )
        return await reconcile.run([one for one in await self.ledger.leaders() if one.enabled], **window)

    async def repair(self) -> Repaired:
        repair = Repair(ledger=self.ledger, chain=self.chain, fetch_market=self._fetch_market, clock=VirtualClock())
        return await repair.run(await self.compare())

    async def _fetch_market(self, token_id: str) -> Market | None:
        if self.registry_fails:
            raise RegistryUnavailableError("gamma: busy")
        return self.markets.get(token_id)


def played(story: Any) -> Any:
    return run_virtual(lambda: story(World()), epoch_ms=NOW_MS)


def named(found: Reconciliation) -> list[tuple[Kind, str | None, str, Severity]]:
    return [(one.kind, one.tx_hash, one.where_missing, one.severity) for one in found.discrepancies]


def only(kind: Kind, tx: str | None, where: str, severity: Severity = Severity.ERROR) -> list[tuple[Any, ...]]:
    return [(kind, tx, where, severity)]
