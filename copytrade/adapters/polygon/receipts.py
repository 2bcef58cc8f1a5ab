"""The receipts of a block against the root in its header: the one proof that needs no second witness.

A root is that of a Merkle Patricia trie over all receipts (Yellow Paper, appendices B to D; typed receipts
EIP-2718): a log left out, added or changed gives another root. The receipts of a big block are a megabyte, so
the work is done in small parts between which the loop goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

from Crypto.Hash import keccak

EMPTY_ROOT: Final = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
"""The root of no receipts at all."""
RECEIPTS_PER_TURN: Final = 16
_NOBODY: Final = "0x" + "0" * 40
_HASH_BYTES: Final = 32

_Leaf = tuple[bytes, bytes]
"""The nibbles of a key, and what lies there."""


class MalformedReceiptError(Exception):
    """Not a receipt."""


async def is_all_there_is(receipts: Sequence[Any], root: str) -> bool:
    """Tell whether these receipts, in block order, are those that a header's root stands for.

    Before December 2025 a node may append one that stands for what the bridge brought and is not in the root.

    :raises MalformedReceiptError: something that is no receipt is among them.
    """
    try:
        encoded = await _encoded(receipts)
        if await _root_of(encoded) == root:
            return True
        return bool(receipts) and _is_of_the_bridge(receipts[-1]) and await _root_of(encoded[:-1]) == root
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MalformedReceiptError(type(error).__name__) from None


async def _encoded(receipts: Sequence[Any]) -> list[bytes]:
    encoded: list[bytes] = []
    for at, receipt in enumerate(receipts):
        if at % RECEIPTS_PER_TURN == 0:
            await asyncio.sleep(0)
        encoded.append(_receipt(receipt))
    return encoded


def _receipt(receipt: Any) -> bytes:
    kind = int(receipt.get("type") or "0x0", 16)
    outcome = _number(receipt["status"]) if receipt.get("status") is not None else _bytes(receipt["root"])
    body = _list(
        [
            _string(outcome),
            _string(_number(receipt["cumulativeGasUsed"])),
            _string(_bytes(receipt["logsBloom"])),
            _list(map(_log, receipt["logs"])),
        ]
    )
    return body if kind == 0 else bytes([kind]) + body


def _log(log: Any) -> bytes:
    topics = _list(_string(_bytes(topic)) for topic in log["topics"])
    return _list([_string(_bytes(log["address"])), topics, _string(_bytes(log["data"]))])


def _is_of_the_bridge(receipt: Any) -> bool:
    return all(str(receipt.get(end) or _NOBODY).lower() == _NOBODY for end in ("from", "to"))


async def _root_of(values: Sequence[bytes]) -> str:
    if not values:
        return EMPTY_ROOT
    leaves = sorted((_nibbles(_string(_minimal(at))), value) for at, value in enumerate(values))
    return "0x" + _digest(await _node(leaves, 0)).hex()


async def _node(leaves: Sequence[_Leaf], depth: int) -> bytes:
    """Return the node over leaves that share their first `depth` nibbles; no key begins another."""
    first, last = leaves[0][0], leaves[-1][0]
    if len(leaves) == 1:
        return _list([_string(_path(first[depth:], is_leaf=True)), _string(leaves[0][1])])
    shared = depth
    while first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        return _list([_string(_path(first[depth:shared], is_leaf=False)), _reference(await _node(leaves, shared))])
    await asyncio.sleep(0)
    children = [[leaf for leaf in leaves if leaf[0][depth] == nibble] for nibble in range(16)]
    below = [_reference(await _node(some, depth + 1)) if some else _string(b"") for some in children]
    return _list([*below, _string(b"")])


def _reference(node: bytes) -> bytes:
    return node if len(node) < _HASH_BYTES else _string(_digest(node))


def _path(nibbles: bytes, *, is_leaf: bool) -> bytes:
    """Return nibbles with their kind and parity before them, two to a byte."""
    flag = 2 * is_leaf + len(nibbles) % 2
    padded = bytes([flag]) + nibbles if len(nibbles) % 2 else bytes([flag, 0]) + nibbles
    return bytes(16 * high + low for high, low in zip(padded[::2], padded[1::2], strict=True))


def _nibbles(key: bytes) -> bytes:
    return bytes(nibble for byte in key for nibble in divmod(byte, 16))


def _string(value: bytes) -> bytes:
    if len(value) == 1 and value[0] < 0x80:
        return value
    return _header(len(value), 0x80) + value


def _list(encoded: Iterable[bytes]) -> bytes:
    body = b"".join(encoded)
    return _header(len(body), 0xC0) + body


def _header(length: int, kind: int) -> bytes:
    if length < 56:
        return bytes([kind + length])
    spelled = _minimal(length)
    return bytes([kind + 55 + len(spelled)]) + spelled


def _minimal(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)


def _number(text: str) -> bytes:
    return _minimal(int(text, 16))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _digest(data: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=data).digest()
