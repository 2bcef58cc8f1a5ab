"""Recorded logs, grouped into the blocks and transactions they came from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copytrade.sandbox import contracts, digest
from copytrade.sandbox.chain import Transaction
from copytrade.sandbox.events import BUY, Event
from copytrade.sandbox.market import Catalogue
from copytrade.sandbox.recorded_files import Document, objects, read_documents
from copytrade.sandbox.settlement import Fill

PATTERNS = ("onchain/*", "nautilus/newer/*")
ORDER_FILLED_V1 = "0xd0a08e8c493f9c94f29311604c9de1b4e8c8d4c06bd0c789af57f2d65bfec0f6"
WORDS_V2 = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedBlock:
    """The recorded transactions of one block; `number` is the one it had on Polygon."""

    number: int
    transactions: tuple[Transaction, ...]

    @property
    def is_history(self) -> bool:
        """Whether it holds fills of the first exchanges only, which ended 2026-04-28."""
        topics = {event.topics[0] for tx in self.transactions for event in tx.events}
        return contracts.ORDER_FILLED not in topics


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    number: int
    tx_hash: str
    log_index: int
    event: Event


def read_blocks(directory: Path) -> tuple[list[RecordedBlock], dict[str, int]]:
    """Return recorded blocks in their order on Polygon, and how many logs each file gave.

    A log without address, block number, transaction or log index has no place on a chain and
    is left out.
    """
    found: dict[tuple[str, int], _Log] = {}
    used: dict[str, int] = defaultdict(int)
    for pattern in PATTERNS:
        for name, document in read_documents(directory, pattern):
            for raw, number in _raw_logs(document):
                log = _read_log(raw, number)
                if log is not None and (log.tx_hash, log.log_index) not in found:
                    found[log.tx_hash, log.log_index] = log
                    used[name] += 1
    return _group(list(found.values())), dict(used)


def fills_of(transaction: Transaction, catalogue: Catalogue) -> list[tuple[int, Fill]]:
    """Return the V2 fills among a transaction's events, by place.

    The condition is empty for a token whose market was not recorded.
    """
    fills = []
    for at, event in enumerate(transaction.events):
        if event.topics[0] == contracts.ORDER_FILLED:
            fills.append((at, _fill(event, catalogue)))
    return fills


def _raw_logs(document: Any) -> list[tuple[Document, object]]:
    pairs: list[tuple[Document, object]] = []
    for item in objects(document):
        header = item.get("header")
        if isinstance(header, dict) and isinstance(item.get("logs"), list):
            pairs.extend((raw, header.get("number")) for raw in item["logs"])
        elif isinstance(item.get("topics"), list) and item["topics"]:
            pairs.append((item, item.get("blockNumber")))
    return pairs


def _read_log(raw: Document, block_number: object) -> _Log | None:
    number, log_index = _integer(block_number), _integer(raw.get("logIndex"))
    address, tx_hash, data = raw.get("address"), raw.get("transactionHash"), raw.get("data")
    if number is None or log_index is None:
        return None
    if not (isinstance(address, str) and isinstance(tx_hash, str) and isinstance(data, str)):
        return None
    topics = tuple(str(topic).lower() for topic in raw["topics"])
    event = Event(address=address.lower(), topics=topics, data=data.lower())
    return _Log(number=number, tx_hash=tx_hash.lower(), log_index=log_index, event=event)


def _group(logs: list[_Log]) -> list[RecordedBlock]:
    blocks: dict[int, dict[str, list[_Log]]] = defaultdict(lambda: defaultdict(list))
    for log in sorted(logs, key=lambda one: (one.number, one.log_index)):
        blocks[log.number][log.tx_hash].append(log)
    return [
        RecordedBlock(
            number=number,
            transactions=tuple(_transaction(tx_hash, own) for tx_hash, own in by_tx.items()),
        )
        for number, by_tx in blocks.items()
    ]


def _transaction(tx_hash: str, logs: list[_Log]) -> Transaction:
    fills = [log.event.address for log in logs if log.event.topics[0] == contracts.ORDER_FILLED]
    return Transaction(
        tx_hash=tx_hash,
        sender=digest.derive_address("operator", tx_hash),
        to=fills[0] if fills else logs[0].event.address,
        events=tuple(log.event for log in logs),
        log_indexes=tuple(log.log_index for log in logs),
    )


def _fill(event: Event, catalogue: Catalogue) -> Fill:
    values = [int(event.data[2 + 64 * at : 66 + 64 * at], 16) for at in range(WORDS_V2)]
    side, token, maker_amount, taker_amount, fee = values[:5]
    market = catalogue.by_token(token)
    taker = "0x" + event.topics[3][-40:]
    return Fill(
        exchange=event.address,
        condition="" if market is None else market.condition,
        owner="0x" + event.topics[2][-40:],
        taker_topic=taker,
        role="taker" if taker == event.address else "maker",
        side=BUY if side == 0 else side,
        token=token,
        maker_amount=maker_amount,
        taker_amount=taker_amount,
        fee=fee,
        order_hash=event.topics[1],
    )


def _integer(value: object) -> int | None:
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return int(value, 16) if value.startswith("0x") else None
    return None
