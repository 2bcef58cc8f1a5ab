"""The truth: block after block from the cursor to the head, linked by hash, read by hash, settled at finality."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from copytrade.adapters.feeds.quarantine import Emit
from copytrade.adapters.polygon.history import History
from copytrade.adapters.polygon.node import Header, Node
from copytrade.adapters.polygon.progress import Progress
from copytrade.adapters.polygon.proof import Prover
from copytrade.adapters.polygon.reading import BlockRead, LogReader, ref_of_sighting
from copytrade.adapters.polygon.recent import BLOCKS_KEPT, Pushed, RecentBlocks
from copytrade.adapters.polygon.rpc import BadAnswer
from copytrade.domain.fills import Sighting, Source
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import (
    ChainConfirmed,
    Cursor,
    CursorScope,
    FillsRemoved,
    FillsSeen,
    LogRef,
    SourceNote,
    StoredLog,
    StoredLogs,
)

RANGE_BEHIND: Final = 64
"""So many final blocks behind, whole ranges are read instead of block after block."""
LACKING_ROUNDS_MAX: Final = 5
"""A pushed log that its block keeps lacking is given up after so many rounds."""
HEADERS_AT_ONCE: Final = 16

_log = structlog.get_logger()


class Tip:
    """The cursor of the whole filter and the blocks around it."""

    def __init__(
        self,
        node: Node,
        reader: LogReader,
        *,
        history: History,
        emit: Emit,
        clock: Clock,
        recent: RecentBlocks,
        pushed: Pushed,
        stored: StoredLogs,
    ) -> None:
        self._node: Final = node
        self._reader: Final = reader
        self._prover: Final = Prover(node, reader, emit=emit, clock=clock, recent=recent)
        self._stored: Final = stored
        self._history: Final = history
        self._emit: Final = emit
        self._clock: Final = clock
        self._recent: Final = recent
        self._pushed: Final = pushed
        self.at = 0
        self._reported = 0
        self._head = 0
        self.confirmed = -1
        self._doubtful_rounds = 0
        self._unchecked: list[StoredLog] = []
        self._progress: Progress | None = None

    async def start(self, stored: Cursor | None) -> None:
        """Take position: at the last final block, or where the cursor stands, less what may have been replaced.

        :raises RpcError: no usable answer.
        """
        final = await self._existing("finalized")
        if stored is None:
            self.at = self._reported = final.number
            self._prover.start(final.number)
        else:
            safe = max(stored.proved_block or 0, stored.last_processed_block - BLOCKS_KEPT)
            self.at = min(safe, stored.last_processed_block, final.number)
            self._reported = stored.last_processed_block
            self._prover.start(self.at if stored.proved_block is None else min(stored.proved_block, self.at))
        await self._expect_stored()

    async def _expect_stored(self) -> None:
        """Look out for the logs of open fills: the chain may have dropped some while nobody looked."""
        makers = set(self._history.watched_from(self.at))
        for log in await self._stored.unconfirmed_logs():
            if log.block_number > self.at and log.leader in makers:
                self._pushed.add(log.block_number, log.ref, is_stored=True)
            else:
                self._unchecked.append(log)

    async def advance(self) -> None:
        """Read up to the head, then settle what has become final.

        :raises RpcError: no usable answer; what was emitted stands, the rest is read in the next round.
        """
        head, final = await self._existing("latest"), await self._existing("finalized")
        self._head = head.number
        known = self._recent.hash_at(head.number)
        if known is not None and known != head.block_hash:
            await self._rewind(head)
        while self.at < head.number:
            makers = self._history.watched_from(self.at)
            if not makers:
                return
            if final.number - self.at > RANGE_BEHIND:
                if await self._is_replaced(self.at, final):
                    await self._rewind(head)
                    continue
                await self._read_range(final.number, makers)
            elif not await self._read_block(head, makers):
                break
        await self._settle(final, head)

    async def _existing(self, tag: str) -> Header:
        header = await self._node.header(tag)
        if header is None:
            raise BadAnswer("(all nodes)", f"no {tag} block")
        return header

    async def _read_range(self, limit: int, makers: tuple[str, ...]) -> None:
        """Read final blocks in one go; nothing links them but finality."""
        first = self.at + 1
        if self._progress is None:
            code = "GAP_PROGRESS"
            self._progress = Progress(self._emit, self._clock, code=code, first=first, last=limit, leaders=len(makers))
        read = await self._reader.range(first, limit, self._reader.wanted(makers))
        await self._progress.tell(read.last, fills=len(read.sightings))
        if limit - read.last <= RANGE_BEHIND:
            self._progress = None
        self._recent.clear()
        self.at = read.last
        self._prover.take_range(first, read)
        await self._emit(self._with_cursor(read.sightings))
        await self._take_back_replaced(read.last, {ref_of_sighting(one) for one in read.sightings})
        detail = {"first": first, "last": read.last, "fills": len(read.sightings), "agreed": read.agreed}
        _log.info("polygon.gap_filled", **detail)
        await self._emit(SourceNote(source=Source.POLYGON, code="GAP_FILLED", detail=detail))

    async def _read_block(self, head: Header, makers: tuple[str, ...]) -> bool:
        """Read the next block; False if the node does not have it yet."""
        number = self.at + 1
        header = head if head.number == number else await self._node.header(number)
        if header is None:
            return False
        parent = self._recent.hash_at(number - 1)
        if parent is not None and parent != header.parent_hash:
            await self._rewind(head)
            return True
        block = await self._read_logs(header, makers)
        self._recent.add(block)
        self.at = number
        await self._emit(self._with_cursor(block.sightings))
        await self._take_back_pushed(number, block.refs)
        return True

    async def _read_logs(self, header: Header, makers: tuple[str, ...]) -> BlockRead:
        expected = self._pushed.of_block(header.number, header.block_hash)
        wanted = self._reader.wanted(makers)
        try:
            block = await self._reader.block(header, wanted, expected=expected)
        except BadAnswer:
            self._doubtful_rounds += 1
            if not expected or self._doubtful_rounds < LACKING_ROUNDS_MAX:
                raise
            await self._note("DISAGREEMENT", block=header.number, reason="pushed logs are not in their block")
            block = await self._reader.block(header, wanted)
        if self._pushed.of_block(header.number, header.block_hash) - block.refs - expected:
            raise BadAnswer("(all nodes)", f"block {header.number}: a log was pushed meanwhile")
        self._doubtful_rounds = 0
        return block

    async def _take_back_pushed(self, number: int, canonical: frozenset[LogRef] | set[LogRef]) -> None:
        """Take back pushed logs that turned out not to be on the chain."""
        stale = self._pushed.take(number).keys() - canonical
        if stale:
            await self._emit(FillsRemoved(logs=_ordered(stale)))

    async def _take_back_replaced(self, number: int, canonical: set[LogRef]) -> None:
        """Take back known logs that a range lacks, if their blocks are gone too; else the range is in doubt."""
        lacking = {ref: block for ref, block in self._pushed.take(number).items() if ref not in canonical}
        gone = await self._replaced(lacking)
        if gone:
            await self._emit(FillsRemoved(logs=_ordered(gone)))
        if len(gone) < len(lacking):
            await self._note("DISAGREEMENT", block=number, reason="a range lacks logs of its blocks that we know")

    async def _replaced(self, blocks: Mapping[LogRef, int]) -> set[LogRef]:
        """Return the logs whose blocks are not on the chain any more."""
        hashes: dict[int, str] = {}
        wanted = sorted(set(blocks.values()))
        for at in range(0, len(wanted), HEADERS_AT_ONCE):
            numbers = wanted[at : at + HEADERS_AT_ONCE]
            for header in await asyncio.gather(*map(self._node.header, numbers)):
                if header is None:
                    raise BadAnswer("(all nodes)", f"one of the blocks {numbers} is missing below the head")
                hashes[header.number] = header.block_hash
        return {ref for ref, block in blocks.items() if hashes[block] != ref.block_hash}

    async def _rewind(self, head: Header) -> None:
        """Go back to the last block that is still on the chain, taking back what came after it.

        :raises BadAnswer: nothing we hold was replaced; the answers that said so are of two chains.
        """
        ancestor = await self._common_ancestor(head)
        if ancestor == self.at:
            raise BadAnswer("(all nodes)", f"block {ancestor + 1}: replaced while it was read")
        orphaned = self._recent.drop_above(ancestor)
        logs = {ref_of_sighting(sighting) for block in orphaned for sighting in block.sightings}
        _log.warning("polygon.reorg", depth=self.at - ancestor, ancestor=ancestor, fills=len(logs))
        await self._emit(FillsRemoved(logs=_ordered(logs), rewind_to=ancestor))
        await self._note("REORG", depth=self.at - ancestor, ancestor=ancestor, fills=len(logs))
        self.at = ancestor
        self._reported = min(self._reported, ancestor)
        self._prover.rewind(ancestor)

    async def _common_ancestor(self, head: Header) -> int:
        numbers = self._recent.numbers_down()
        for number in numbers:
            if number > head.number:
                continue
            header = head if number == head.number else await self._node.header(number)
            if header is None:
                raise BadAnswer("(all nodes)", f"block {number} is missing below the head")
            if header.block_hash == self._recent.hash_at(number):
                return number
        await self._note("REORG_TOO_DEEP", blocks=len(numbers))
        return max(0, numbers[-1] - 1) if numbers else self.at

    async def _settle(self, final: Header, head: Header) -> None:
        """Confirm and prove what is final, once its hash is known to be the chain's."""
        top = min(final.number, self.at)
        if await self._is_replaced(top, final):
            await self._rewind(head)
            return
        if top > self.confirmed:
            await self._check_stored(top)
            await self._restore_doubted(top)
            self.confirmed = top
            await self._emit(ChainConfirmed(block_number=top, at_ms=self._clock.now_ms()))
        await self._prover.prove(top, self._history.watched_from(self.at))
        for cursor in self._history.checkpoints(final=top, proved=self._prover.block):
            await self._emit(FillsSeen(source=Source.POLYGON, sightings=(), cursor=cursor))

    async def _check_stored(self, top: int) -> None:
        """Take back stored logs whose blocks the chain does not have, before they would count as final."""
        due = {log.ref: log.block_number for log in self._unchecked if log.block_number <= top}
        if not due:
            return
        gone = await self._replaced(due)
        self._unchecked = [log for log in self._unchecked if log.ref not in due]
        if gone:
            await self._emit(FillsRemoved(logs=_ordered(gone)))

    async def _restore_doubted(self, top: int) -> None:
        """Report again what a subscription took back though its block is final."""
        for number in self._recent.numbers_down():
            block = self._recent.at(number)
            if block is not None and number <= top and self._pushed.settle(block.header.block_hash):
                await self._emit(FillsSeen(source=Source.POLYGON, sightings=block.sightings))

    async def _is_replaced(self, number: int, final: Header) -> bool:
        """Tell whether the block we hold for that number is no longer on the chain."""
        held = self._recent.hash_at(number)
        if held is None:
            return False
        header = final if final.number == number else await self._node.header(number)
        if header is None:
            raise BadAnswer("(all nodes)", f"block {number} is missing below the head")
        return header.block_hash != held

    def _with_cursor(self, sightings: tuple[Sighting, ...]) -> FillsSeen:
        """Return fills with the cursor that moves with them, and what was proved meanwhile."""
        self._reported = max(self._reported, self.at)
        cursor = Cursor(scope=CursorScope(), last_processed_block=self._reported, proved_block=self._prover.block)
        return FillsSeen(
            source=Source.POLYGON,
            sightings=sightings,
            cursor=cursor,
            proved=self._prover.take(),
            head_block=max(self._head, self._reported),
        )

    async def _note(self, code: str, **detail: object) -> None:
        await self._emit(SourceNote(source=Source.POLYGON, code=code, detail=detail))


def _ordered(refs: set[LogRef]) -> tuple[LogRef, ...]:
    return tuple(sorted(refs, key=lambda ref: (ref.block_hash, ref.log_index)))
