"""Hashes of the imitation: keccak for the chain and for derived ids, SHA-1 for books."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from Crypto.Hash import keccak

BLOOM_BYTES = 256
TOKEN_DIGITS = 77

Rlp: TypeAlias = "bytes | Sequence[Rlp]"


def keccak256(data: bytes) -> bytes:
    """Return the Ethereum keccak-256 digest."""
    return keccak.new(digest_bits=256, data=data).digest()


def derive(*parts: object) -> bytes:
    """Return 32 bytes that depend only on `parts`; the source of every made-up id."""
    return keccak256("|".join(str(part) for part in parts).encode())


def derive_hash(*parts: object) -> str:
    """Return a 0x-prefixed 32-byte id that depends only on `parts`."""
    return "0x" + derive(*parts).hex()


def derive_address(*parts: object) -> str:
    """Return a lower-case address that depends only on `parts`."""
    return "0x" + derive("address", *parts)[12:].hex()


@functools.lru_cache(maxsize=4_096)
def checksummed(address: str) -> str:
    """Return an address with the capitals that make up its checksum (EIP-55)."""
    digits = address[2:].lower()
    nibbles = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit for digit, nibble in zip(digits, nibbles, strict=False)
    )


def derive_token(*parts: object) -> int:
    """Return a 77-digit CTF-like token id that depends only on `parts`."""
    attempt = 0
    while len(str(token := int.from_bytes(derive("token", attempt, *parts)))) != TOKEN_DIGITS:
        attempt += 1
    return token


@functools.lru_cache(maxsize=65_536)
def _bloom_mask(item: str) -> int:
    digest = keccak256(bytes.fromhex(item[2:]))
    mask = 0
    for at in (0, 2, 4):
        mask |= 1 << (int.from_bytes(digest[at : at + 2]) & 2047)
    return mask


def logs_bloom(items: Iterable[str]) -> str:
    """Return the 2048-bit bloom of hex addresses and topics (Yellow Paper, section 4.3.1)."""
    bloom = 0
    for item in items:
        bloom |= _bloom_mask(item)
    return "0x" + bloom.to_bytes(BLOOM_BYTES).hex()


def rlp(value: Rlp) -> bytes:
    """Encode bytes or a nested sequence of bytes (Yellow Paper, appendix B)."""
    if isinstance(value, bytes):
        if len(value) == 1 and value[0] < 0x80:
            return value
        return _rlp_length(len(value), 0x80) + value
    body = b"".join(rlp(item) for item in value)
    return _rlp_length(len(body), 0xC0) + body


def _rlp_length(length: int, offset: int) -> bytes:
    if length < 56:
        return bytes([offset + length])
    spelled = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([offset + 55 + len(spelled)]) + spelled


def book_hash(summary: dict[str, Any]) -> str:
    """Return the venue's book hash: SHA-1 of the compact summary with an empty `hash`.

    Recipe of `generate_orderbook_summary_hash` in the venue's own client; key order matters.
    """
    return hashlib.sha1(json.dumps(summary, separators=(",", ":")).encode(), usedforsecurity=False).hexdigest()
