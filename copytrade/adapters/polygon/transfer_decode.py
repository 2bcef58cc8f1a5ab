"""From ERC-1155 transfer logs to shares that changed hands, exactly; whatever is odd is refused with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from copytrade.adapters.polygon import decode
from copytrade.adapters.polygon.decode import MalformedLogError
from copytrade.domain.units import Shares

SINGLE: Final = "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"
"""`TransferSingle(operator, from, to, id, value)`, the first three indexed."""
BATCH: Final = "0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"
"""`TransferBatch(operator, from, to, ids, values)`."""
TOPICS: Final = 4
WORD: Final = 32
TOKENS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Shares that went from one account to another; `moved` are (token id, shares), a token may come twice."""

    operator: str
    sender: str
    receiver: str
    moved: tuple[tuple[str, Shares], ...]
    block_number: int
    block_hash: str
    tx_hash: str
    log_index: int


def decode_transfer(log: Mapping[str, Any]) -> Transfer:
    """Return what a transfer log says.

    :raises MalformedLogError: it is none, or breaks a rule.
    """
    topics, data = log.get("topics"), log.get("data")
    if not isinstance(topics, list) or len(topics) != TOPICS or not all(isinstance(one, str) for one in topics):
        raise MalformedLogError("topic-count")
    if log.get("removed"):
        raise MalformedLogError("removed")
    words = _words(data)
    if topics[0].lower() == SINGLE:
        if len(words) != 2:
            raise MalformedLogError("length")
        moved = [(words[0], words[1])]
    elif topics[0].lower() == BATCH:
        tokens, amounts = _array(words, 0), _array(words, 1)
        if len(tokens) != len(amounts):
            raise MalformedLogError("length")
        moved = list(zip(tokens, amounts, strict=True))
    else:
        raise MalformedLogError("unknown-contract-or-topic")
    if any(shares > decode.AMOUNT_MAX for _, shares in moved):
        raise MalformedLogError("amount-out-of-range")
    operator, sender, receiver = (_address(topic) for topic in topics[1:])
    return Transfer(
        operator=operator,
        sender=sender,
        receiver=receiver,
        moved=tuple((str(token), shares) for token, shares in moved if token and shares),
        block_number=decode.quantity(log.get("blockNumber"), "block-number"),
        block_hash=decode.full_hash(log.get("blockHash"), "block-hash"),
        tx_hash=decode.full_hash(log.get("transactionHash"), "transaction-hash"),
        log_index=decode.quantity(log.get("logIndex"), "log-index"),
    )


def _words(data: object) -> list[int]:
    if not isinstance(data, str) or not data.startswith("0x"):
        raise MalformedLogError("data")
    try:
        raw = bytes.fromhex(data[2:])
    except ValueError:
        raise MalformedLogError("not-hex") from None
    if len(raw) % WORD or len(raw) != len(data) // 2 - 1:
        raise MalformedLogError("length")
    return [int.from_bytes(raw[at : at + WORD]) for at in range(0, len(raw), WORD)]


def _array(words: list[int], at: int) -> list[int]:
    """Return the array whose place is in the word at `at`."""
    place, odd = divmod(words[at], WORD) if len(words) > at else (0, 1)
    if odd or not 2 <= place < len(words):
        raise MalformedLogError("length")
    count = words[place]
    if count > min(TOKENS_MAX, len(words) - place - 1):
        raise MalformedLogError("length")
    return words[place + 1 : place + 1 + count]


def _address(topic: str) -> str:
    if not topic.lower().startswith(decode.ADDRESS_PADDING):
        raise MalformedLogError("address-topic")
    return "0x" + decode.full_hash(topic, "address-topic")[26:]
