"""Transfers of leaders' shares that are no trade: read at finality, in ranges, now and then.

The trades themselves move shares, too, and so do splits, merges and the like, which the Data API names: those are
carried out by the venue's own contracts. What is left is shares that somebody simply sent.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

import structlog

from copytrade.adapters.feeds.quarantine import Quarantine
from copytrade.adapters.feeds.retrying import jitter_ms
from copytrade.adapters.polygon.decode import MalformedLogError
from copytrade.adapters.polygon.node import WHOLE_EXCHANGE_ABOVE, LogFilter, Node, RawLog
from copytrade.adapters.polygon.reading import LogReader, payload_of, ref_of
from copytrade.adapters.polygon.rpc import BadAnswer, Pool, RpcError
from copytrade.adapters.polygon.transfer_decode import BATCH, SINGLE, Transfer, decode_transfer
from copytrade.domain.fills import Source
from copytrade.domain.leader_events import CHAIN_KEY, LeaderEvent, LeaderEventKind
from copytrade.ports.leader_fills import Cursor, CursorScope, SourceNote
from copytrade.ports.leader_transfers import LeaderTransfers, SharesMoved

if TYPE_CHECKING:
    import httpx

    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock
    from copytrade.ports.leader_fills import CursorReader, LeaderRoll, SourceEvent

CONDITIONAL_TOKENS: Final = "0x4d97dcd97ec945f40cf65f87097ace5ea0476045"
POSITION_MANAGER: Final = "0x006f54f7f9a22e0000cc2ab60031000000ae9fef"
SHARES: Final = (CONDITIONAL_TOKENS, POSITION_MANAGER)
"""The two ledgers of shares."""
VENUE: Final = frozenset(
    {
        "0x" + "0" * 40,  # what is minted or burnt
        *SHARES,
        "0xada100db00ca00073811820692005400218fce1f",  # CtfCollateralAdapter
        "0xada100874d00e3331d00f2007a9c336a65009718",  # the one before
        "0xada2005600dec949baf300f4c6120000bdb6eaab",  # NegRiskCtfCollateralAdapter
        "0xd91e80cf2e7be2e162c6513ced06f1dd0da35296",  # NegRiskAdapter
        "0x12121212006e4cd160d18e3f00711da5c3372600",  # Router
        "0x1000008dd9001b968442c1000017eae6e0da00ba",  # BinaryModule
        "0x200000900045e3b6259600682756002200028933",  # NegRiskModule
        "0x30000034706c7d8e12009dab006be20000c031a8",  # CombinatorialModule
        "0xa1200000d0002264c9a1698e001292d00e1b00af",  # AutoRedeemer
    }
)
SCOPE: Final = CursorScope(exchange_address=CONDITIONAL_TOKENS)
READ_EVERY_MS: Final = 30_000
RETRY_MAX_MS: Final = 300_000
SENDER, RECEIVER = 2, 3
"""The topics that name them."""

_log = structlog.get_logger()


class PolygonTransfers(LeaderTransfers):
    """Reads both ledgers for up to WHOLE_EXCHANGE_ABOVE leaders; with more it waits until they are fewer."""

    def __init__(
        self,
        *,
        http_urls: tuple[str, ...],
        exchanges: Iterable[str],
        clock: Clock,
        roll: LeaderRoll,
        cursors: CursorReader,
        note: Callable[[str, Mapping[str, object]], None],
        transport: httpx.AsyncBaseTransport | None = None,
        seed: int = 0,
    ) -> None:
        self._http_urls: Final = http_urls
        self._venue: Final = VENUE | {address.lower() for address in exchanges}
        self._clock: Final = clock
        self._roll: Final = roll
        self._cursors: Final = cursors
        self._note: Final = note
        self._transport: Final = transport
        self._rng: Final = random.Random(seed)

    async def moves(self) -> AsyncIterator[SharesMoved]:
        pool = Pool(self._http_urls, clock=self._clock, rng=self._rng, transport=self._transport)
        node = Node(pool)
        reader = _Reader(node, self._clock, venue=self._venue, note=self._note)
        failures = 0
        try:
            at, reader.is_proved = await self._start(node)
            while True:
                try:
                    step = await self._step(node, reader, at)
                    failures = 0
                except RpcError as error:
                    failures += 1
                    step = None
                    _log.warning("polygon.transfers_not_read", error=str(error), failures=failures)
                if step is not None:
                    at = step.cursor.last_processed_block
                    yield step
                else:
                    await self._clock.sleep_ms(self._pause_ms(failures))
        finally:
            await pool.close()

    async def _start(self, node: Node) -> tuple[int, bool]:
        """Return the block that was read last, at the first start the last final one; and if all is proved so far."""
        stored = await self._cursors.cursor(SCOPE)
        failures = 0
        while stored is None:
            try:
                return await _final(node), True
            except RpcError:
                failures += 1
                await self._clock.sleep_ms(self._pause_ms(failures))
        return stored.last_processed_block, stored.proved_block == stored.last_processed_block

    async def _step(self, node: Node, reader: _Reader, at: int) -> SharesMoved | None:
        leaders = tuple(self._roll.leaders())
        if not leaders or len(leaders) > WHOLE_EXCHANGE_ABOVE:
            return None
        final = await _final(node)
        return await reader.read(at + 1, final, leaders) if at < final else None

    def _pause_ms(self, failures: int) -> Millis:
        if not failures:
            return READ_EVERY_MS
        return jitter_ms(self._rng, failures, first_ms=1_000, most_ms=RETRY_MAX_MS)


class _Reader:
    """Reads ranges of both directions with the same second opinion as the logs of orders."""

    def __init__(
        self,
        node: Node,
        clock: Clock,
        *,
        venue: frozenset[str],
        note: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        async def refuse(event: SourceEvent) -> None:
            if isinstance(event, SourceNote):
                note(event.code, {"source": event.source, **event.detail})

        self._quarantine: Final = Quarantine(Source.POLYGON, refuse, clock)
        self._logs: Final = LogReader(node, exchanges=(), exchanges_v1=(), quarantine=self._quarantine, clock=clock)
        self._venue: Final = venue
        self._clock: Final = clock
        self.is_proved = True

    async def read(self, first: int, limit: int, leaders: tuple[str, ...]) -> SharesMoved:
        """Return what was sent and received from `first` on, as far as one answer reaches."""
        sent = await self._logs.raw_range(first, limit, LogFilter(SHARES, (SINGLE, BATCH), leaders, SENDER))
        got = await self._logs.raw_range(first, sent.last, LogFilter(SHARES, (SINGLE, BATCH), leaders, RECEIVER))
        last = min(sent.last, got.last)
        places = {}
        for log in (*sent.logs, *got.logs):
            places[ref_of(log)] = log
        events: list[LeaderEvent] = []
        for log in places.values():
            events += await self._events_of(log, first, last, frozenset(leaders))
        self.is_proved = self.is_proved and sent.agreed and got.agreed
        cursor = Cursor(scope=SCOPE, last_processed_block=last, proved_block=last if self.is_proved else None)
        return SharesMoved(events=tuple(sorted(events, key=lambda one: one.event_ts_ms)), cursor=cursor)

    async def _events_of(self, log: RawLog, first: int, last: int, leaders: frozenset[str]) -> list[LeaderEvent]:
        try:
            transfer = decode_transfer(log)
        except MalformedLogError as error:
            await self._quarantine.put(error.reason, payload_of(log))
            return []
        parties = {transfer.operator, transfer.sender, transfer.receiver}
        if str(log.get("address", "")).lower() not in SHARES or not first <= transfer.block_number <= last:
            return []
        if parties & self._venue or transfer.sender == transfer.receiver:
            return []
        at_ms = await self._logs.stamp_of(transfer.block_number, transfer.block_hash)
        ends = ((transfer.sender, LeaderEventKind.WITHDRAWAL), (transfer.receiver, LeaderEventKind.DEPOSIT))
        return [
            self._event(transfer, log, number, leader=party, kind=kind, at_ms=at_ms)
            for party, kind in ends
            if party in leaders
            for number in range(len(transfer.moved))
        ]

    def _event(
        self, transfer: Transfer, log: RawLog, number: int, *, leader: str, kind: LeaderEventKind, at_ms: Millis
    ) -> LeaderEvent:
        token_id, shares = transfer.moved[number]
        return LeaderEvent(
            leader=leader,
            kind=kind,
            condition_id="",
            token_id=token_id,
            shares=shares,
            usdc=0,
            tx_hash=transfer.tx_hash,
            event_ts_ms=at_ms,
            detected_at_ms=self._clock.now_ms(),
            dedupe_key=f"{CHAIN_KEY}{transfer.tx_hash}|{transfer.log_index}|{number}|{kind}",
            payload=payload_of(log),
        )


async def _final(node: Node) -> int:
    header = await node.header("finalized")
    if header is None:
        raise BadAnswer("(all nodes)", "no finalized block")
    return header.number
