"""The proof that final blocks were read completely: by their bloom, by another provider, or by their receipts.

With one provider a block that may hold a leader's log is proved by its receipts, whose root is in the header.
A node without receipts can confirm by a second, wider read what it told; that there was nothing it cannot.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from copytrade.adapters.feeds.quarantine import Emit
from copytrade.adapters.polygon.node import FalseReceipts, Header, Node
from copytrade.adapters.polygon.reading import BlockRead, LogReader, RangeRead
from copytrade.adapters.polygon.recent import RecentBlocks
from copytrade.adapters.polygon.rpc import BadAnswer, RpcRefused
from copytrade.domain.fills import Source
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import CursorScope, FillsSeen, ProofMethod, ProvedRange, SourceNote

PROOFS_PER_ROUND: Final = 8
RANGE_PROOF_EVERY_MS: Final = 30_000
RECEIPTS_EVERY_MS: Final = 500
RECEIPTS_BURST: Final = 32
"""The receipts of a block are up to a megabyte: three times the pace of the chain, and no more in the long run."""
SECOND_READS_MAX: Final = 10
"""A block that nothing confirms, or that a second read contradicts, is told of after so many; it stays unproved.

One of whose logs each of so many answers of the only node refuses to be read is proved without it.
"""


class Prover:
    """How far the blocks below the cursor are proved, and the ranges that nobody was told of yet.

    An empty answer proves nothing by itself: a node that lags, has pruned its logs or lies gives one too.
    """

    def __init__(self, node: Node, reader: LogReader, *, emit: Emit, clock: Clock, recent: RecentBlocks) -> None:
        self._node: Final = node
        self._reader: Final = reader
        self._emit: Final = emit
        self._clock: Final = clock
        self._recent: Final = recent
        self._untold: list[ProvedRange] = []
        self._second_reads = 0
        self._range_proof_ms: Millis | None = None
        self._receipts_due_ms: Millis = 0
        self.block: int | None = None

    def start(self, block: int) -> None:
        """Take what is proved already."""
        self.block = block

    def rewind(self, block: int) -> None:
        """Give up what is above a block."""
        self.block = None if self.block is None else min(self.block, block)
        self._untold = [replace(one, to_block=min(one.to_block, block)) for one in self._untold]
        self._untold = [one for one in self._untold if one.from_block <= one.to_block]

    def take(self) -> tuple[ProvedRange, ...]:
        """Return the ranges proved since the last call."""
        untold, self._untold = self._untold, []
        return tuple(untold)

    def take_range(self, first: int, read: RangeRead) -> None:
        """Note a range read that two providers agree on, if it leaves no hole."""
        if read.agreed and self.block is not None and self.block >= first - 1:
            self._extend(read.last, ProofMethod.SECOND_PROVIDER)

    async def prove(self, top: int, makers: tuple[str, ...]) -> None:
        """Prove blocks that were read, up to the final block `top`, a few at a time.

        :raises RpcError: no usable answer.
        """
        for _ in range(PROOFS_PER_ROUND):
            if self.block is None or self.block >= top:
                return
            block = self._recent.at(self.block + 1)
            if block is None and self._node.has_second:
                await self._prove_range(self.block + 1, top, makers)
                return
            method = await self._method_for(block or await self._read(self.block + 1, makers))
            if method is None:
                return
            self._extend(self.block + 1, method)
            self._second_reads = 0

    def _extend(self, last: int, method: ProofMethod) -> None:
        first, self.block = (self.block or 0) + 1, last
        is_single = not self._node.has_second
        before = self._untold[-1] if self._untold else None
        if before is not None and (before.to_block, before.is_single_source) == (first - 1, is_single):
            self._untold[-1] = replace(before, to_block=last, methods=before.methods | {method})
        elif first <= last:
            self._untold.append(
                ProvedRange(
                    scope=CursorScope(),
                    from_block=first,
                    to_block=last,
                    methods=frozenset({method}),
                    is_single_source=is_single,
                )
            )

    async def _read(self, number: int, makers: tuple[str, ...]) -> BlockRead:
        """Read a block again that is held no more."""
        header = await self._node.header(number)
        if header is None:
            raise BadAnswer("(all nodes)", f"block {number} is missing below the head")
        block = await self._reader.block(header, self._reader.wanted(makers))
        if block.sightings:
            await self._emit(FillsSeen(source=Source.POLYGON, sightings=block.sightings))
        return block

    async def _prove_range(self, first: int, top: int, makers: tuple[str, ...]) -> None:
        """Prove blocks that are held no more; not too often, it may be long in vain."""
        now_ms = self._clock.monotonic_ms()
        if self._range_proof_ms is not None and now_ms - self._range_proof_ms < RANGE_PROOF_EVERY_MS:
            return
        self._range_proof_ms = now_ms
        read = await self._reader.range(first, top, self._reader.wanted(makers))
        if read.sightings:
            await self._emit(FillsSeen(source=Source.POLYGON, sightings=read.sightings))
        if read.agreed:
            self.take_range(first, read)
            self._range_proof_ms = None

    async def _method_for(self, block: BlockRead) -> ProofMethod | None:
        """Return what confirms the read of a block, None if nothing does; adopts what a second read adds."""
        if not block.refs and not block.wanted.may_match(block.header):
            return await self._bloom_proof(block)
        if not self._node.has_second:
            return await self._lone_proof(block)
        again = await self._reader.again(block)
        if again is None:
            return None
        return await self._compared(block, again, ProofMethod.SECOND_PROVIDER)

    async def _lone_proof(self, block: BlockRead) -> ProofMethod | None:
        """Have the only provider show everything there is in a block; not too often, it may be much."""
        now_ms = self._clock.monotonic_ms()
        if now_ms < self._receipts_due_ms:
            return None
        earliest_ms = now_ms - (RECEIPTS_BURST - 1) * RECEIPTS_EVERY_MS
        self._receipts_due_ms = max(self._receipts_due_ms, earliest_ms) + RECEIPTS_EVERY_MS
        try:
            return await self._compared(block, await self._reader.by_receipts(block), ProofMethod.RECEIPTS)
        except FalseReceipts as error:
            await self._doubt(block.header, str(error))
            return None
        except (RpcRefused, BadAnswer):
            again = await self._reader.again(block)
        if again is None or not (again.refs or again.refused):
            await self._doubt(block.header, "nothing but silence says that it holds none of the leaders' logs")
            return None
        if again.refused and self._second_reads < SECOND_READS_MAX:
            await self._doubt(block.header, "no answer has one of its logs in a shape that can be read")
            return None
        return await self._compared(block, again, ProofMethod.SECOND_READ)

    async def _compared(self, block: BlockRead, again: BlockRead, method: ProofMethod) -> ProofMethod | None:
        """Return the method if a second read confirms the first and fits the bloom."""
        if again.refs - block.refs:
            self._node.distrust(block.answer)
            await self._adopt(block, again)
        if block.refs - again.refs:
            self._node.distrust(again.answer)
        if again.refs >= block.refs and block.wanted.may_match(block.header):
            return method
        await self._doubt(block.header, "reads or bloom contradict the logs")
        return None

    async def _bloom_proof(self, block: BlockRead) -> ProofMethod | None:
        """Believe an empty answer that the bloom supports, once another provider, if any, knows the same header."""
        if not self._node.has_second:
            return ProofMethod.BLOOM
        other, is_independent = await self._node.second_header(block.header.number, after=block.answer)
        return ProofMethod.BLOOM if is_independent and other == block.header else None

    async def _adopt(self, block: BlockRead, again: BlockRead) -> None:
        """Report what only the second read has, and hold it with the first."""
        known = {sighting.source_key for sighting in block.sightings}
        late = tuple(sighting for sighting in again.sightings if sighting.source_key not in known)
        if block.header.number in self._recent:
            refs = block.refs | again.refs
            self._recent.replace(replace(block, sightings=block.sightings + late, refs=refs))
        late_by = block.answer.hosts
        await self._note("LATE_LOGS", block=block.header.number, logs=len(again.refs - block.refs), lacked_by=late_by)
        await self._emit(FillsSeen(source=Source.POLYGON, sightings=late))

    async def _doubt(self, header: Header, reason: str) -> None:
        """Tell of a block that stays unproved, once it was tried often enough."""
        self._second_reads += 1
        if self._second_reads == SECOND_READS_MAX:
            await self._note("DISAGREEMENT", block=header.number, reason=reason)

    async def _note(self, code: str, **detail: object) -> None:
        await self._emit(SourceNote(source=Source.POLYGON, code=code, detail=detail))
