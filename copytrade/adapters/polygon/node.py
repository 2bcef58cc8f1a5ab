"""What we ask of a node, in typed answers: headers, and the logs of one block or of a range."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from copytrade.adapters.polygon import bloom, decode
from copytrade.adapters.polygon.ranges import KNOWN_CAPS, narrower
from copytrade.adapters.polygon.receipts import EMPTY_ROOT, MalformedReceiptError, is_all_there_is
from copytrade.adapters.polygon.rpc import BadAnswer, Endpoint, Pool, RpcRefused, RpcTimeout
from copytrade.domain.units import Millis

MAKERS_PER_FILTER: Final = 250
WHOLE_EXCHANGE_ABOVE: Final = 1_000
"""With more leaders than this the exchanges are read whole and filtered here."""
DISTRUST_MS: Final = 600_000
RECEIPTS_AT_ONCE: Final = 16
TRANSACTIONS_MAX: Final = 5_000
"""More than any block of the network has room for."""

RawLog: TypeAlias = dict[str, Any]


class FalseReceipts(BadAnswer):
    """Receipts that are not what the header of their block stands for."""


class Header(msgspec.Struct, frozen=True, gc=False):
    """The fields of a block header that we use; `timestamp_s` in whole seconds."""

    number: int
    block_hash: str
    parent_hash: str
    timestamp_s: int
    bloom: int
    receipts_root: str = ""

    @property
    def ts_ms(self) -> Millis:
        """The block's own time."""
        return self.timestamp_s * 1000


class LogFilter(msgspec.Struct, frozen=True):
    """The orders to watch: any of `makers` on any of `exchanges`; `topics` are the event's versions.

    Without makers, every order. `place` is the topic that names the maker, counted from 0.
    """

    exchanges: tuple[str, ...]
    topics: tuple[str, ...]
    makers: tuple[str, ...] = ()
    place: int = 2

    def criteria(self) -> list[dict[str, Any]]:
        """Return the filters to send, few enough makers in each."""
        first: dict[str, Any] = {"address": list(self.exchanges), "topics": [list(self.topics)]}
        if not self.makers or len(self.makers) > WHOLE_EXCHANGE_ABOVE:
            return [first]
        topics = [decode.maker_topic(maker) for maker in self.makers]
        before = [list(self.topics), *[None] * (self.place - 1)]
        return [
            {**first, "topics": [*before, topics[at : at + MAKERS_PER_FILTER]]}
            for at in range(0, len(topics), MAKERS_PER_FILTER)
        ]

    def wants(self, log: RawLog) -> bool:
        """Tell whether a log is one that the node would have returned."""
        topics = log.get("topics")
        if not isinstance(topics, list) or not topics or str(log.get("address", "")).lower() not in self.exchanges:
            return False
        if str(topics[0]).lower() not in self.topics:
            return False
        if not self.makers:
            return True
        return len(topics) > self.place and "0x" + str(topics[self.place])[26:].lower() in self.makers

    def may_match(self, header: Header) -> bool:
        """Tell whether the block may hold a log for this filter; False is a proof that it does not."""
        makers = tuple(decode.maker_topic(maker) for maker in self.makers)
        return bloom.may_hold(header.bloom, self.exchanges, self.topics, *([makers] if makers else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Logs and the nodes that gave them."""

    logs: list[RawLog]
    served_by: frozenset[Endpoint]
    is_cut: bool = False
    """A part of it has exactly as many logs as a known cap lets through: there may be more."""

    @property
    def hosts(self) -> str:
        """Who answered, for people."""
        return ", ".join(sorted(endpoint.host for endpoint in self.served_by))


class Node:
    """The chain as the pool's nodes tell it."""

    def __init__(self, pool: Pool) -> None:
        self._pool: Final = pool

    async def header(self, which: int | str) -> Header | None:
        """Return a header by number or tag; None if the node has no such block.

        :raises RpcError: no usable answer.
        """
        name = hex(which) if isinstance(which, int) else which
        answer, endpoint = await self._pool.ask("eth_getBlockByNumber", [name, False])
        if answer is None:
            return None
        header = parse_header(answer)
        if header is None or (isinstance(which, int) and header.number != which):
            raise BadAnswer(endpoint.host, f"block {name}: not its header")
        return header

    async def old_header(self, number: int) -> Header | None:
        """Return a header from whichever node has it; None if all of them have lost it.

        :raises RpcError: no usable answer.
        """
        answer, endpoint = await self._pool.ask("eth_getBlockByNumber", [hex(number), False])
        if answer is None and self.has_second:
            answer, _ = await self._pool.ask("eth_getBlockByNumber", [hex(number), False], avoid=frozenset({endpoint}))
        return parse_header(answer)

    async def logs_of_block(self, header: Header, wanted: LogFilter, *, second_to: Answer | None = None) -> Answer:
        """Return the matching logs of exactly that block; a node that lacks it answers with an error.

        With `second_to`, from another node than gave that answer, where there is one.

        :raises RpcError: no usable answer, or logs of another block.
        """
        answer = await self._logs_of_one(wanted, {"blockHash": header.block_hash}, second_to, block=header.block_hash)
        for log in answer.logs:
            if str(log.get("blockHash", "")).lower() != header.block_hash:
                raise BadAnswer(answer.hosts, f"block {header.number}: logs of another block")
        return answer

    async def logs_in_range(
        self, first: int, last: int, wanted: LogFilter, *, second_to: Answer | None = None
    ) -> Answer:
        """Return the matching logs of blocks `first` to `last`; an empty answer proves nothing.

        :raises RpcError: no usable answer; RpcRefused may be about the width.
        """
        if first == last:
            where = {"fromBlock": hex(first), "toBlock": hex(last)}
            return await self._logs_of_one(wanted, where, second_to, block=hex(first))
        return await self._logs(wanted, {"fromBlock": hex(first), "toBlock": hex(last)}, second_to)

    def are_independent(self, one: Answer, other: Answer) -> bool:
        """Tell whether two answers are two opinions; with a single node, two reads of it must do."""
        return self._pool.are_independent(one.served_by, other.served_by)

    async def logs_by_topics(
        self, first: int, last: int, topics: list[list[str] | None], *, addresses: tuple[str, ...] = ()
    ) -> list[RawLog]:
        """Return logs with one of each of `topics` (None: any), of any address unless some are given.

        :raises RpcError: no usable answer.
        """
        criteria = {"fromBlock": hex(first), "toBlock": hex(last), "topics": topics}
        where = {"address": list(addresses)} if addresses else {}
        logs, _ = await self._ask_logs({**criteria, **where}, frozenset())
        return logs

    def distrust(self, answer: Answer) -> None:
        """Have others serve for some minutes instead of those who gave an answer that proved incomplete."""
        for endpoint in answer.served_by:
            self._pool.put_last(endpoint, for_ms=DISTRUST_MS)

    @property
    def has_second(self) -> bool:
        """Whether there is another provider to ask for a second opinion."""
        return len(self._pool.endpoints) > 1

    async def second_header(self, number: int, *, after: Answer) -> tuple[Header | None, bool]:
        """Return a header from another node than gave an answer, and whether it is another one.

        :raises RpcError: no usable answer.
        """
        answer, endpoint = await self._pool.ask("eth_getBlockByNumber", [hex(number), False], avoid=after.served_by)
        return parse_header(answer), self._pool.are_independent(after.served_by, frozenset({endpoint}))

    async def _logs_of_one(
        self, wanted: LogFilter, where: dict[str, str], second_to: Answer | None, *, block: str
    ) -> Answer:
        """Return the logs of one block; by its receipts if the node finds even that too much."""
        try:
            answer = await self._logs(wanted, where, second_to)
        except (RpcRefused, RpcTimeout) as error:
            if isinstance(error, RpcRefused) and narrower(error.message, first=0, last=0) is None:
                raise
            return await self.logs_by_receipts(block, wanted, second_to=second_to)
        return await self.logs_by_receipts(block, wanted, second_to=second_to) if answer.is_cut else answer

    async def logs_by_receipts(
        self, block: str, wanted: LogFilter | None = None, *, second_to: Answer | None = None
    ) -> Answer:
        """Return the matching logs, or all, of a block (hash or hex number) from its transactions' receipts.

        :raises RpcError: no usable answer, or the node has no receipts of that block.
        """
        avoid = second_to.served_by if second_to else frozenset[Endpoint]()
        receipts, endpoint = await self._pool.ask("eth_getBlockReceipts", [block], avoid=avoid)
        return _answer_of(_list_of(receipts, endpoint), wanted, endpoint)

    async def proved_logs(self, header: Header, wanted: LogFilter) -> Answer:
        """Return the matching logs of a block from receipts that are all its header's root stands for.

        :raises RpcError: no usable answer; FalseReceipts if they are not.
        """
        receipts, endpoint = await self._receipts_of(header)
        try:
            is_whole = await is_all_there_is(receipts, header.receipts_root)
        except MalformedReceiptError as error:
            raise FalseReceipts(endpoint.host, f"block {header.number}: receipts make no sense ({error})") from None
        if not is_whole:
            raise FalseReceipts(endpoint.host, f"block {header.number}: its receipts are not those of its header")
        return _answer_of(receipts, wanted, endpoint)

    async def _receipts_of(self, header: Header) -> tuple[list[dict[str, Any]], Endpoint]:
        """Return the receipts of a block, one by one where the node does not give them together."""
        try:
            receipts, endpoint = await self._pool.ask("eth_getBlockReceipts", [header.block_hash])
            return _list_of(receipts, endpoint), endpoint
        except RpcRefused:
            block, endpoint = await self._pool.ask("eth_getBlockByHash", [header.block_hash, False])
        hashes = block.get("transactions") if isinstance(block, dict) else None
        if not isinstance(hashes, list) or len(hashes) > TRANSACTIONS_MAX:
            raise BadAnswer(endpoint.host, f"block {header.number}: not its transactions")
        found: list[Any] = []
        for at in range(0, len(hashes), RECEIPTS_AT_ONCE):
            some = hashes[at : at + RECEIPTS_AT_ONCE]
            found += await asyncio.gather(*(self._pool.call("eth_getTransactionReceipt", [one]) for one in some))
        return _list_of(found, endpoint), endpoint

    async def _logs(self, wanted: LogFilter, where: dict[str, str], second_to: Answer | None) -> Answer:
        avoid = second_to.served_by if second_to else frozenset[Endpoint]()
        logs: list[RawLog] = []
        served_by: set[Endpoint] = set()
        is_cut = False
        for criteria in wanted.criteria():
            part, endpoint = await self._ask_logs({**where, **criteria}, avoid)
            logs += part
            served_by.add(endpoint)
            is_cut = is_cut or len(part) in KNOWN_CAPS
        return Answer(logs=logs, served_by=frozenset(served_by), is_cut=is_cut)

    async def _ask_logs(self, criteria: dict[str, Any], avoid: frozenset[Endpoint]) -> tuple[list[RawLog], Endpoint]:
        part, endpoint = await self._pool.ask("eth_getLogs", [criteria], avoid=avoid)
        return _list_of(part, endpoint), endpoint


def _list_of(part: Any, endpoint: Endpoint) -> list[RawLog]:
    if not isinstance(part, list) or not all(isinstance(log, dict) for log in part):
        raise BadAnswer(endpoint.host, "not a list of logs or receipts")
    return part


def _answer_of(receipts: list[dict[str, Any]], wanted: LogFilter | None, endpoint: Endpoint) -> Answer:
    logs = [log for receipt in receipts for log in _list_of(receipt.get("logs"), endpoint)]
    found = logs if wanted is None else [log for log in logs if wanted.wants(log)]
    return Answer(logs=found, served_by=frozenset({endpoint}))


async def chain_id_of(endpoint: Endpoint) -> int:
    """Return the chain a node is on.

    :raises RpcError: no usable answer.
    """
    answer = await endpoint.call("eth_chainId", [])
    try:
        return decode.quantity(answer, "chain-id")
    except decode.MalformedLogError:
        raise BadAnswer(endpoint.host, "eth_chainId: not a number") from None


def parse_header(answer: Any) -> Header | None:
    """Return the header in a JSON block, None if it is not one."""
    if not isinstance(answer, dict):
        return None
    bits = answer.get("logsBloom")
    try:
        blooming = bytes.fromhex(bits[2:]) if isinstance(bits, str) else b""
        return Header(
            decode.quantity(answer.get("number"), "number"),
            decode.full_hash(answer.get("hash"), "hash"),
            decode.full_hash(answer.get("parentHash"), "parentHash"),
            decode.quantity(answer.get("timestamp"), "timestamp"),
            _bloom_of(blooming, answer),
            str(answer.get("receiptsRoot", "")).lower(),
        )
    except (decode.MalformedLogError, ValueError):
        return None


def _bloom_of(blooming: bytes, block: dict[str, Any]) -> int:
    """Return the bloom; one that is missing, or blank over transactions, proves nothing."""
    if len(blooming) != bloom.BLOOM_BYTES:
        return _SATURATED
    bits = int.from_bytes(blooming)
    # Every transaction of the network leaves a log: a node that leaves blooms out sends zeros.
    return _SATURATED if bits == 0 and block.get("transactionsRoot", EMPTY_ROOT) != EMPTY_ROOT else bits


_SATURATED: Final = (1 << (8 * bloom.BLOOM_BYTES)) - 1
