"""Putting right what a comparison found; a second time there is nothing left to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import AttemptStatus, ExecutionMode, reason
from copytrade.domain.fills import Source
from copytrade.domain.positions import OversoldError
from copytrade.domain.reconciliation import Kind
from copytrade.ports.leader_fills import CursorScope, FillsSeen, ProofMethod, ProvedRange
from copytrade.ports.markets import RegistryUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    from copytrade.domain.market import Market
    from copytrade.domain.reconciliation import Discrepancy, Reconciliation
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.witnesses import ChainPart, ChainWitness

REPAIRED: Final = "RECONCILE_REPAIRED"


@dataclass(slots=True)
class Repaired:
    """What was done, and what was left as it is and why, in words."""

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


class Repair:
    """Reads again what is missing, marks what is too much, and has the rest done anew.

    Fills that are read in are decided by the worker, which skips those that are too old. Rows that the chain does
    not have are marked as orphaned, never deleted; one that was seen on it only where two providers say so.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        chain: ChainWitness,
        fetch_market: Callable[[str], Awaitable[Market | None]],
        clock: Clock,
    ) -> None:
        """Prepare; `fetch_market` returns the market of a token, None if nobody knows it."""
        self._ledger: Final = ledger
        self._chain: Final = chain
        self._fetch_market: Final = fetch_market
        self._clock: Final = clock

    async def run(self, found: Reconciliation) -> Repaired:
        """Do what can be done about each error, and note it.

        :raises WitnessUnavailableError: the chain cannot be read.
        """
        repaired = Repaired()
        await self._prove(_of(found, Kind.MISSING_BLOCKS), repaired)
        await self._read_again(_of(found, Kind.MISSING_FILL), repaired)
        await self._take_away([*_of(found, Kind.EXTRA_FILL), *_of(found, Kind.DUPLICATE_FILL)], found, repaired)
        await self._map([one for one in found.discrepancies if one.kind is Kind.UNMAPPED_TOKEN], repaired)
        await self._have_decided(_of(found, Kind.UNDECIDED_FILL), repaired)
        await self._end(_of(found, Kind.OPEN_ATTEMPT), repaired)
        await self._refold(_of(found, Kind.POSITION_MISMATCH), repaired)
        for kind in (Kind.MISSING_TRADE, Kind.EXTRA_TRADE, Kind.BROKEN_INVARIANT):
            if others := _of(found, kind):
                repaired.left.append(f"{len(others)} {kind}: not ours to repair")
        if repaired.done:
            await self._ledger.note(REPAIRED, {"done": repaired.done}, at_ms=self._clock.now_ms())
        return repaired

    async def _read_again(self, missing: Sequence[Discrepancy], repaired: Repaired) -> None:
        for leader, block in sorted({(one.leader or "", one.block or 0) for one in missing}):
            part = await self._chain.read([leader], first=block, limit=block)
            await self._store(part, repaired)

    async def _store(self, part: ChainPart, repaired: Repaired, *, proved: tuple[ProvedRange, ...] = ()) -> None:
        seen = FillsSeen(source=Source.POLYGON, sightings=part.sightings, proved=proved)
        ingested = await self._ledger.ingest(seen, now_ms=self._clock.now_ms())
        repaired.done += [f"stored the fill of {recorded.fill.tx_hash}" for recorded in ingested.new]

    async def _prove(self, holes: Sequence[Discrepancy], repaired: Repaired) -> None:
        """Read blocks that nobody has proved for every leader again, and say so."""
        leaders = [one.address for one in await self._ledger.leaders() if one.enabled]
        for hole in holes:
            first, last = (int(block) for block in str(dict(hole.detail)["subject"]).split("-"))
            at = first
            while at <= last:
                part = await self._chain.read(leaders, first=at, limit=last)
                proved = ProvedRange(
                    scope=CursorScope(),
                    from_block=at,
                    to_block=part.last,
                    methods=frozenset({ProofMethod.SECOND_PROVIDER if part.is_agreed else ProofMethod.SECOND_READ}),
                    is_single_source=not part.is_agreed,
                )
                await self._store(part, repaired, proved=(proved,))
                at = part.last + 1
            repaired.done.append(f"read blocks {first} to {last} again")

    async def _take_away(self, extra: Sequence[Discrepancy], found: Reconciliation, repaired: Repaired) -> None:
        sure: list[UUID] = []
        for one in extra:
            if one.fill_id is not None and (one.block is None or found.is_agreed(one)):
                sure.append(one.fill_id)
            else:
                repaired.left.append(f"the fill of {one.tx_hash}: only one provider says that the chain lacks it")
        orphaned = await self._ledger.take_away(sure, now_ms=self._clock.now_ms())
        repaired.done += [f"marked the fill of {recorded.fill.tx_hash} as orphaned" for recorded in orphaned.fills]
        repaired.done += [f"cancelled the attempt {attempt.id} on it" for attempt in orphaned.cancelled]
        repaired.left += [f"the order of attempt {attempt.id} had been sent" for attempt in orphaned.already_sent]

    async def _map(self, unmapped: Sequence[Discrepancy], repaired: Repaired) -> None:
        for token_id in sorted({str(dict(one.detail)["token_id"]) for one in unmapped}):
            try:
                market = await self._fetch_market(token_id)
            except RegistryUnavailableError as error:
                repaired.left.append(f"token {token_id}: {error}")
                continue
            if market is None:
                repaired.left.append(f"token {token_id}: no registry knows it")
                continue
            await self._ledger.save_markets([market])
            repaired.done.append(f"stored the market {market.condition_id} of token {token_id}")

    async def _have_decided(self, undecided: Sequence[Discrepancy], repaired: Repaired) -> None:
        fill_ids = [one.fill_id for one in undecided if one.fill_id is not None]
        told = await self._ledger.await_decisions(fill_ids)
        if told:
            repaired.done.append(f"{told} forgotten fills wait to be decided again")
        if told < len(fill_ids):
            repaired.left.append(f"{len(fill_ids) - told} fills wait for a worker that runs")

    async def _end(self, overdue: Sequence[Discrepancy], repaired: Repaired) -> None:
        """End paper orders that no worker keeps; what became of a live one, only the venue knows."""
        overdue_ids = {dict(one.detail)["attempt"] for one in overdue}
        for attempt in await self._ledger.open_attempts():
            if attempt.id not in overdue_ids:
                continue
            if attempt.mode is not ExecutionMode.PAPER:
                repaired.left.append(f"attempt {attempt.id} is live: the worker asks the venue when it starts")
                continue
            status, at_ms = AttemptStatus.CANCELED, self._clock.now_ms()
            await self._ledger.close_attempt(attempt.id, status=status, reason=reason("INTERRUPTED"), at_ms=at_ms)
            repaired.done.append(f"ended attempt {attempt.id}")

    async def _refold(self, mismatched: Sequence[Discrepancy], repaired: Repaired) -> None:
        if not mismatched:
            return
        try:
            wrong = await self._ledger.refold(now_ms=self._clock.now_ms())
        except OversoldError as error:
            repaired.left.append(f"positions: {error}")
        else:
            repaired.done.append(f"{wrong} positions and balances folded anew")


def _of(found: Reconciliation, kind: Kind) -> list[Discrepancy]:
    return [one for one in found.errors if one.kind is kind]
