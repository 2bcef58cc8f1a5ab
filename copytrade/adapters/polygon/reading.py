"""Reading logs so that an empty answer is believed only as far as it deserves."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from copytrade.adapters.feeds.quarantine import PAYLOAD_CHARS_MAX, Quarantine
from copytrade.adapters.polygon import decode
from copytrade.adapters.polygon.node import Answer, FalseReceipts, Header, LogFilter, Node, RawLog
from copytrade.adapters.polygon.ranges import AdaptiveRange, narrower
from copytrade.adapters.polygon.rpc import BadAnswer, RpcRefused, RpcTimeout, RpcUnavailable
from copytrade.domain.fills import Sighting
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import LogRef

STAMPS_KEPT: Final = 4_096
LONE_READS_MAX: Final = 5
_SAID: Final = ("topics", "data", "address")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRead:
    """What one block held for the filter: the fills, every log's place, and the places of those refused.

    A refused log may be well-formed in another answer: it counts as one that this read lacks (`refs`).
    """

    header: Header
    wanted: LogFilter
    answer: Answer
    sightings: tuple[Sighting, ...]
    refs: frozenset[LogRef]
    refused: frozenset[LogRef] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeRead:
    """What the blocks up to `last` held; `agreed` if two providers that have those blocks gave the same answer."""

    last: int
    sightings: tuple[Sighting, ...]
    agreed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRange:
    """The logs of the blocks up to `last`, as they were told, and whether two providers agreed."""

    last: int
    logs: list[RawLog]
    agreed: bool


class LogReader:
    """Reads blocks and ranges, decodes, and refuses what does not fit its block."""

    def __init__(
        self,
        node: Node,
        *,
        exchanges: tuple[str, ...],
        exchanges_v1: tuple[str, ...],
        quarantine: Quarantine,
        clock: Clock,
    ) -> None:
        self._node: Final = node
        self._exchanges: Final = exchanges
        self._exchanges_v1: Final = exchanges_v1
        self._decoders: Final = decode.registry(exchanges, exchanges_v1)
        self._quarantine: Final = quarantine
        self._clock: Final = clock
        self._stamps: Final[OrderedDict[str, Millis]] = OrderedDict()
        self._width: Final = AdaptiveRange()
        self._lone_reads = 0

    def wanted(self, makers: Iterable[str], *, history: bool = False) -> LogFilter:
        """Return the filter for the orders of `makers`; `history` adds the exchanges of before."""
        if history and self._exchanges_v1:
            topics = (decode.TOPIC_V2, decode.TOPIC_V1)
            return LogFilter((*self._exchanges, *self._exchanges_v1), topics, tuple(makers))
        return LogFilter(self._exchanges, (decode.TOPIC_V2,), tuple(makers))

    async def block(self, header: Header, wanted: LogFilter, *, expected: frozenset[LogRef] = frozenset()) -> BlockRead:
        """Return what the block holds.

        An empty answer is asked for twice unless the bloom proves it; logs of `expected` (pushed to us
        before) must be in it.

        :raises RpcError: no usable answer; BadAnswer if it lacks expected logs.
        """
        answer = await self._node.logs_of_block(header, wanted)
        if expected - refs_of(answer.logs) or (not answer.logs and wanted.may_match(header)):
            more = await self._node.logs_of_block(header, wanted, second_to=answer)
            if refs_of(more.logs) - refs_of(answer.logs):
                self._node.distrust(answer)
            answer = Answer(logs=_merged(answer.logs, more.logs), served_by=answer.served_by)
        if expected - refs_of(answer.logs):
            raise BadAnswer("(all nodes)", f"block {header.number}: lacks logs that were pushed to us")
        block = await self._block_of(header, wanted, answer)
        return block if not block.refused else await self._less_garbled(block)

    async def _less_garbled(self, block: BlockRead) -> BlockRead:
        """Ask once more for a block of which an answer is garbled, and take what either answer has."""
        more = await self._node.logs_of_block(block.header, block.wanted, second_to=block.answer)
        logs = _merged(block.answer.logs, more.logs)
        return await self._block_of(block.header, block.wanted, Answer(logs=logs, served_by=block.answer.served_by))

    async def again(self, block: BlockRead) -> BlockRead | None:
        """Read a block a second time; None if only the node of the first read could answer though there are more.

        With one node, the second read is a wider one, so that silence can be told from absence.

        :raises RpcError: no usable answer.
        """
        if not self._node.has_second:
            return await self._wider(block)
        answer = await self._node.logs_of_block(block.header, block.wanted, second_to=block.answer)
        if not self._node.are_independent(block.answer, answer):
            return None
        return await self._block_of(block.header, block.wanted, answer)

    async def by_receipts(self, block: BlockRead) -> BlockRead:
        """Read a block from receipts that its header vouches for: nothing can be missing.

        :raises RpcError: no usable answer; FalseReceipts, or RpcRefused and BadAnswer where the node shows none.
        """
        answer = await self._node.proved_logs(block.header, block.wanted)
        return await self._block_of(block.header, block.wanted, answer)

    async def _wider(self, block: BlockRead) -> BlockRead | None:
        """Read everyone's orders in a block, or all its receipts; None if it gives nothing where there must be some."""
        everyone = msgspec.structs.replace(block.wanted, makers=())
        answer = await self._node.logs_of_block(block.header, everyone)
        if not answer.logs:
            try:
                answer = await self._node.logs_by_receipts(block.header.block_hash)
            except (RpcRefused, BadAnswer):
                return None
        if not answer.logs:
            return None
        own = Answer(logs=list(filter(block.wanted.wants, answer.logs)), served_by=answer.served_by)
        return await self._block_of(block.header, block.wanted, own)

    async def _block_of(self, header: Header, wanted: LogFilter, answer: Answer) -> BlockRead:
        sightings, refused = await self._sight(answer.logs, wanted, stamps={header.block_hash: header.ts_ms})
        refused -= {ref_of_sighting(sighting) for sighting in sightings}
        refs = refs_of(answer.logs) - refused
        return BlockRead(header=header, wanted=wanted, answer=answer, sightings=sightings, refs=refs, refused=refused)

    async def range(self, first: int, limit: int, wanted: LogFilter) -> RangeRead:
        """Return what final blocks hold from `first` on, up to `limit` or as far as one answer reaches.

        Reads twice and takes what either answer has.

        :raises RpcError: no usable answer, even for one block, or no second opinion yet.
        """
        read = await self.raw_range(first, limit, wanted)
        sightings, _ = await self._sight(read.logs, wanted, stamps={}, span=(first, read.last))
        return RangeRead(last=read.last, sightings=sightings, agreed=read.agreed)

    async def raw_range(self, first: int, limit: int, wanted: LogFilter) -> RawRange:
        """Return the same as the nodes told it.

        :raises RpcError: no usable answer, even for one block, or no second opinion yet.
        """
        last, one, other = await self._range_twice(first, limit, wanted)
        self._require_two_opinions(one, other)
        logs = _merged(one.logs, other.logs)
        is_same = len(logs) == len(refs_of(logs)) and refs_of(one.logs) == refs_of(other.logs)
        agreed = is_same and await self._both_have(last, one, other)
        if agreed and not logs:
            agreed = await self._both_keep_logs(first, wanted)
        self._width.grow()
        return RawRange(last=last, logs=logs, agreed=agreed)

    async def blocks(self, first: int, last: int, wanted: LogFilter) -> RangeRead:
        """Return what young blocks hold, up to `last` or as far as a second read or the bloom confirms each.

        A node that has not indexed them yet answers a range with nothing, twice if asked twice.

        :raises RpcError: no usable answer; BadAnswer if nothing confirms the first one.
        """
        sightings: dict[str, Sighting] = {}
        for number in range(first, last + 1):
            header = await self._node.header(number)
            read = None if header is None else await self._confirmed(await self.block(header, wanted))
            if read is None and number > first:
                return RangeRead(last=number - 1, sightings=tuple(sightings.values()), agreed=self._node.has_second)
            if read is None:
                raise BadAnswer("(all nodes)", f"block {number}: nothing confirms what it holds")
            sightings |= {sighting.source_key: sighting for sighting in read}
        return RangeRead(last=last, sightings=tuple(sightings.values()), agreed=self._node.has_second)

    async def _confirmed(self, block: BlockRead) -> tuple[Sighting, ...] | None:
        """Return the fills of two reads, None if the second one does not confirm the first."""
        may_match = block.wanted.may_match(block.header)
        if not block.refs and not may_match and not self._node.has_second:
            return ()
        again = await self._vouched(block)
        if again is None or not again.refs >= block.refs or (again.refs and not may_match):
            return None
        return (*block.sightings, *again.sightings)

    async def _vouched(self, block: BlockRead) -> BlockRead | None:
        """Read a block from another node or, with one, from its receipts; more widely if that one shows none."""
        if self._node.has_second:
            return await self.again(block)
        try:
            return await self.by_receipts(block)
        except FalseReceipts:
            return None
        except (RpcRefused, BadAnswer):
            again = await self.again(block)
        return None if again is None or again.refused else again

    async def _both_have(self, last: int, one: Answer, other: Answer) -> bool:
        """Tell whether two answers are from two providers, and the second one's chain reaches that far."""
        if not self._node.has_second or not self._node.are_independent(one, other):
            return False
        header, is_independent = await self._node.second_header(last, after=one)
        return header is not None and is_independent

    async def _both_keep_logs(self, number: int, wanted: LogFilter) -> bool:
        """Tell whether silence about a range means anything: what was pruned is missing from its first block on.

        Both must show somebody's orders in that block, unless its bloom says that there are none.
        """
        header = await self._node.header(number)
        everyone = msgspec.structs.replace(wanted, makers=())
        if header is None or not everyone.may_match(header):
            return header is not None
        one = await self._node.logs_of_block(header, everyone)
        other = await self._node.logs_of_block(header, everyone, second_to=one)
        return bool(one.logs and other.logs)

    def _require_two_opinions(self, one: Answer, other: Answer) -> None:
        """Insist a few times on another node's answer; then one node's must do, and counts as no agreement."""
        if self._node.are_independent(one, other):
            self._lone_reads = 0
            return
        self._lone_reads += 1
        if self._lone_reads <= LONE_READS_MAX:
            raise RpcUnavailable(one.hosts, "no other node confirms a range")

    async def _range_twice(self, first: int, limit: int, wanted: LogFilter) -> tuple[int, Answer, Answer]:
        """Read one range two times, as wide as both nodes allow."""
        while True:
            last = min(limit, first + self._width.blocks - 1)
            try:
                one = await self._node.logs_in_range(first, last, wanted)
                other = await self._node.logs_in_range(first, last, wanted, second_to=one)
            except (RpcRefused, RpcTimeout) as error:
                words = error.message if isinstance(error, RpcRefused) else "request timed out"
                blocks = narrower(words, first=first, last=last)
                if blocks is None or last == first:
                    raise
                self._width.shrink(blocks)
                continue
            if last > first and (one.is_cut or other.is_cut):
                self._width.shrink((last - first + 1) // 2)
                continue
            return last, one, other

    async def _sight(
        self, logs: list[RawLog], wanted: LogFilter, *, stamps: dict[str, Millis], span: tuple[int, int] | None = None
    ) -> tuple[tuple[Sighting, ...], frozenset[LogRef]]:
        """Decode the logs of leaders; refuse, with a note, what breaks a rule, and return the places of that too.

        Of several versions of a log the first that can be read counts.
        """
        makers = frozenset(wanted.makers)
        found: dict[str, Sighting] = {}
        refused: set[LogRef] = set()
        for log in logs:
            try:
                decoded = decode.decode_log(log, self._decoders)
            except decode.MalformedLogError as error:
                await self._quarantine.put(error.reason, payload_of(log))
                refused |= refs_of([log])
                continue
            if span is not None and not span[0] <= decoded.block_number <= span[1]:
                await self._quarantine.put("outside-the-range", payload_of(log))
                continue
            if decoded.event.maker not in makers:
                continue
            stamp = stamps.get(decoded.block_hash) or decoded.block_ts_ms
            if stamp is None:
                stamp = await self.stamp_of(decoded.block_number, decoded.block_hash)
            sighting = decoded.sighting(log, fill_ts_ms=stamp, detected_at_ms=self._clock.now_ms())
            found.setdefault(sighting.source_key, sighting)
        return tuple(found.values()), frozenset(refused)

    async def stamp_of(self, number: int, block_hash: str) -> Millis:
        """Return the time of a log's block, whose header must be the one the log names.

        :raises RpcError: no usable answer; BadAnswer if the chain has another block there.
        """
        known = self._stamps.get(block_hash)
        if known is not None:
            return known
        header = await self._node.old_header(number)
        if header is None or header.block_hash != block_hash:
            raise BadAnswer("(all nodes)", f"block {number}: logs of a block that is not canonical")
        self._stamps[header.block_hash] = header.ts_ms
        if len(self._stamps) > STAMPS_KEPT:
            self._stamps.popitem(last=False)
        return header.ts_ms


def refs_of(logs: Collection[RawLog]) -> frozenset[LogRef]:
    """Return the places of logs, those without one left out."""
    return frozenset(ref for log in logs if (ref := ref_of(log)) is not None)


def ref_of(log: RawLog) -> LogRef | None:
    """Return the place of a log, None if it names none."""
    try:
        return LogRef(
            block_hash=decode.full_hash(log.get("blockHash"), "block-hash"),
            tx_hash=decode.full_hash(log.get("transactionHash"), "transaction-hash"),
            log_index=decode.quantity(log.get("logIndex"), "log-index"),
        )
    except decode.MalformedLogError:
        return None


def ref_of_sighting(sighting: Sighting) -> LogRef:
    """Return the place of a log that became a sighting."""
    block_hash, tx_hash, _ = sighting.source_key.split("|")
    place = sighting.fill.place
    return LogRef(block_hash=block_hash, tx_hash=tx_hash, log_index=place.log_index if place else 0)


def payload_of(log: object) -> str:
    """Return a refused thing as text, cut to a bound."""
    return msgspec.json.encode(log, enc_hook=repr).decode(errors="replace")[:PAYLOAD_CHARS_MAX]


def _merged(logs: list[RawLog], others: list[RawLog]) -> list[RawLog]:
    """Return the logs of two answers: each once, or both versions of one of which they tell different things."""
    known = {ref_of(log): log for log in logs}
    return logs + [log for log in others if not _says_the_same(known.get(ref_of(log)), log)]


def _says_the_same(known: RawLog | None, log: RawLog) -> bool:
    """Tell whether a log is known as it is; nodes may differ in case, and in what they add."""
    if known is None:
        return False
    told = [(known.get(name), log.get(name)) for name in _SAID]
    return all(one == other or str(one).lower() == str(other).lower() for one, other in told)
