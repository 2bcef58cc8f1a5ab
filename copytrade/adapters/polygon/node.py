"""What we ask of a node, in typed answers: headers, and the logs of one block or of a range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from copytrade.adapters.polygon import bloom, decode
from copytrade.adapters.polygon.rpc import BadAnswer, Endpoint, Pool
from copytrade.domain.units import Millis

MAKERS_PER_FILTER: Final = 250
WHOLE_EXCHANGE_ABOVE: Final = 1_000
"""With more leaders than this the exchanges are read whole and filtered here."""

RawLog: TypeAlias = dict[str, Any]


class Header(msgspec.Struct, frozen=True, gc=False):
    """The fields of a block header that we use; `timestamp_s` in whole seconds."""

    number: int
    block_hash: str
    parent_hash: str
    timestamp_s: int
    bloom: int

    @property
    def ts_ms(self) -> Millis:
        """The block's own time."""
        return self.timestamp_s * 1000


class LogFilter(msgspec.Struct, frozen=True):
    """The orders to watch: any of `makers` on any of `exchanges`; `topics` are the event's versions.

    Without makers, every order.
    """

    exchanges: tuple[str, ...]
    topics: tuple[str, ...]
    makers: tuple[str, ...] = ()

    def criteria(self) -> list[dict[str, Any]]:
        """Return the filters to send, few enough makers in each."""
        first: dict[str, Any] = {"address": list(self.exchanges), "topics": [list(self.topics)]}
        if not self.makers or len(self.makers) > WHOLE_EXCHANGE_ABOVE:
            return [first]
        topics = [decode.maker_topic(maker) for maker in self.makers]
        return [
            {**first, "topics": [list(self.topics), None, topics[at : at + MAKERS_PER_FILTER]]}
            for at in range(0, len(topics), MAKERS_PER_FILTER)
        ]

    def may_match(self, header: Header) -> bool:
        """Tell whether the block may hold a log for this filter; False is a proof that it does not."""
        makers = tuple(decode.maker_topic(maker) for maker in self.makers)
        return bloom.may_hold(header.bloom, self.exchanges, self.topics, *([makers] if makers else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Logs and the nodes that gave them."""

    logs: list[RawLog]
    served_by: frozenset[Endpoint]

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

    async def logs_of_block(self, header: Header, wanted: LogFilter, *, second_to: Answer | None = None) -> Answer:
        """Return the matching logs of exactly that block; a node that lacks it answers with an error.

        With `second_to`, from another node than gave that answer, where there is one.

        :raises RpcError: no usable answer, or logs of another block.
        """
        answer = await self._logs(wanted, {"blockHash": header.block_hash}, second_to)
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
        return await self._logs(wanted, {"fromBlock": hex(first), "toBlock": hex(last)}, second_to)

    def are_independent(self, one: Answer, other: Answer) -> bool:
        """Tell whether two answers are two opinions; with a single node, two reads of it must do."""
        return self._pool.are_independent(one.served_by, other.served_by)

    async def _logs(self, wanted: LogFilter, where: dict[str, str], second_to: Answer | None) -> Answer:
        avoid = second_to.served_by if second_to else frozenset[Endpoint]()
        logs: list[RawLog] = []
        served_by: set[Endpoint] = set()
        for criteria in wanted.criteria():
            part, endpoint = await self._pool.ask("eth_getLogs", [{**where, **criteria}], avoid=avoid)
            if not isinstance(part, list) or not all(isinstance(log, dict) for log in part):
                raise BadAnswer(endpoint.host, "eth_getLogs: not a list of logs")
            logs += part
            served_by.add(endpoint)
        return Answer(logs=logs, served_by=frozenset(served_by))


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
            int.from_bytes(blooming) if len(blooming) == bloom.BLOOM_BYTES else _SATURATED,
        )
    except (decode.MalformedLogError, ValueError):
        return None


_SATURATED: Final = (1 << (8 * bloom.BLOOM_BYTES)) - 1
"""Stands for a bloom that is missing: it proves nothing."""
