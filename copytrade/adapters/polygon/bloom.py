"""The bloom of a block header: it can prove that a log is absent, never that it is there."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from Crypto.Hash import keccak

BLOOM_BYTES: Final = 256
_MASKS_KEPT: Final = 20_000


@lru_cache(maxsize=_MASKS_KEPT)
def mask_of(item: str) -> int:
    """Return the three bits that an address or topic (lower-case hex) sets."""
    digest = keccak.new(digest_bits=256, data=bytes.fromhex(item[2:])).digest()
    mask = 0
    for at in (0, 2, 4):
        mask |= 1 << (int.from_bytes(digest[at : at + 2]) & 2047)
    return mask


def may_hold(bloom: int, *choices: tuple[str, ...]) -> bool:
    """Tell whether a block may hold a log with one item of each of `choices`; False is a proof of absence."""
    return all(any(bloom & (mask := mask_of(item)) == mask for item in items) for items in choices)
