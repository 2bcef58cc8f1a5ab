"""A slower, wider look for leaders at contracts we do not know and in events we do not read. Never traded on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from copytrade.adapters.feeds.quarantine import Emit
from copytrade.adapters.polygon import decode
from copytrade.adapters.polygon.node import MAKERS_PER_FILTER, Node, RawLog
from copytrade.adapters.polygon.rpc import RpcError
from copytrade.domain.fills import Source
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import LeaderRoll, SourceNote

LOOK_EVERY_MS: Final = 30_000
BLOCKS_MAX: Final = 200
"""Blocks of one look; older ones are left out when there are more: this is a canary, not the feed."""
INCIDENTS_MAX: Final = 1_000
"""Incidents told in one life; anybody can deploy contracts that emit our events."""
KNOWN_EVENTS: Final = frozenset(
    {
        decode.TOPIC_V1,
        decode.TOPIC_V2,
        "0x63bf4d16b7fa898ef4c4b2b6d90fd201e9c56313b65638af6088d149d2ce956c",  # OrdersMatched, V1
        "0x174b3811690657c217184f89418266767c87e4805d09680c39fc9c031c0cab7c",  # OrdersMatched
        "0xacffcc86834d0f1a64b0d5a675798deed6ff0bcfc2231edd3480e7288dba7ff4",  # FeeCharged, V1
        "0x55bb3cade9d43b798a4fe5ffdd05024b2d7870df53920673bfc7e68047cd0ab1",  # FeeCharged
        "0xb608d2bf25d8b4b744ba23ce2ea9802ea955e216c064a62f42152fbf98958d24",  # FeeRefunded
        "0x5152abf959f6564662358c2e52b702259b78bac5ee7842a0f01937e670efcc7d",  # OrderCancelled
        "0xbc9a2432e8aeb48327246cddd6e872ef452812b4243c04e6bfb786a2cd8faf0d",  # TokenRegistered
        "0xe92c22722d9c284034b6c9f5aaec018edb3e593c0e084900b6b9d390a1182a0b",  # OrderPreapproved
        "0xa3e76126f19eb25001b29726d2a9502b6377938633d2d6a955107dd442e7a14a",  # UserPaused
        "0x203c4bd3e526634f661575359ff30de3b0edaba6c2cb1eac60f730b6d2d9d536",  # TradingPaused
    }
)

_log = structlog.get_logger()


class DriftWatch:
    """Looks now and then at what the feed's filter leaves out, one group of leaders at a time."""

    def __init__(
        self,
        node: Node,
        *,
        decoders: decode.Registry,
        emit: Emit,
        roll: LeaderRoll,
        final: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._node: Final = node
        self._decoders: Final = decoders
        self._exchanges: Final = tuple(sorted({address for address, _ in decoders}))
        self._emit: Final = emit
        self._roll: Final = roll
        self._final: Final = final
        self._clock: Final = clock
        self._seen_to: Final[dict[int, int]] = {}
        self._told: Final[set[tuple[str, str]]] = set()
        self._turn = 0

    async def run(self) -> None:
        """Look every half minute until cancelled; a look that fails is made again with the next one."""
        while True:
            await self._clock.sleep_ms(LOOK_EVERY_MS)
            try:
                await self._look()
            except RpcError as error:
                _log.debug("polygon.drift_look_failed", error=str(error))

    async def _look(self) -> None:
        """Read both ways what one group of leaders did in the final blocks since its last look."""
        leaders, last = tuple(self._roll.leaders()), self._final()
        if not leaders or last < 0:
            return
        groups = -(-len(leaders) // MAKERS_PER_FILTER)
        self._turn = (self._turn + 1) % groups
        first = max(self._seen_to.get(self._turn, 0) + 1, last - BLOCKS_MAX + 1)
        if first > last:
            return
        start = self._turn * MAKERS_PER_FILTER
        owners = [decode.maker_topic(leader) for leader in leaders[start : start + MAKERS_PER_FILTER]]
        fills = [decode.TOPIC_V2, decode.TOPIC_V1]
        for log in await self._node.logs_by_topics(first, last, [fills, None, owners]):
            await self._judge(log)
        for log in await self._node.logs_by_topics(first, last, [None, None, owners], addresses=self._exchanges):
            await self._judge(log)
        self._seen_to[self._turn] = last

    async def _judge(self, log: RawLog) -> None:
        topics = log.get("topics")
        if not isinstance(topics, list) or not topics:
            return
        address, topic = str(log.get("address")).lower(), str(topics[0]).lower()
        if address not in self._exchanges:
            await self._tell("DRIFT_ADDRESS", address, topic, log)
        elif topic not in KNOWN_EVENTS or self._is_fill_we_cannot_read(address, topic):
            await self._tell("DRIFT_TOPIC", address, topic, log)

    def _is_fill_we_cannot_read(self, address: str, topic: str) -> bool:
        return topic in {decode.TOPIC_V1, decode.TOPIC_V2} and (address, topic) not in self._decoders

    async def _tell(self, code: str, address: str, topic: str, log: RawLog) -> None:
        """Tell an incident the first time."""
        if (address, topic) in self._told or len(self._told) >= INCIDENTS_MAX:
            return
        self._told.add((address, topic))
        places = {"tx_hash": log.get("transactionHash"), "block": log.get("blockNumber"), "topics": log.get("topics")}
        detail = {"address": address, "topic": topic, **places}
        _log.warning("polygon.drift", code=code, **detail)
        await self._emit(SourceNote(source=Source.POLYGON, code=code, detail=detail))
