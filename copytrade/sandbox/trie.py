"""Receipts as the chain keeps them, and the root that stands for them in a header."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from copytrade.sandbox.digest import Rlp, keccak256, rlp

Tree: TypeAlias = "dict[int, Tree | bytes]"
"""A trie before its paths are shortened: by the next half-byte of the key, to the value that lies there."""


def root(values: Sequence[bytes]) -> str:
    """Return the root of a trie that holds each value under its number (Yellow Paper, appendix D)."""
    tree: Tree = {}
    for number, value in enumerate(values):
        key = rlp(number.to_bytes((number.bit_length() + 7) // 8))
        _put(tree, [half for byte in key for half in (byte >> 4, byte & 15)], value)
    return "0x" + keccak256(rlp(_node(tree) if tree else b"")).hex()


def _put(tree: Tree, path: Sequence[int], value: bytes) -> None:
    """Put a value under a key that begins no other, as numbers in RLP never do."""
    half, *rest = path
    if not rest:
        tree[half] = value
        return
    below = tree.setdefault(half, {})
    if isinstance(below, dict):
        _put(below, rest, value)


def _node(tree: Tree | bytes) -> Rlp:
    """Return a node: a leaf, a path to the only one below, or one child for each half-byte."""
    path: list[int] = []
    while isinstance(tree, dict) and len(tree) == 1:
        ((half, tree),) = tree.items()
        path.append(half)
    if isinstance(tree, bytes):
        return [_packed(path, ends=True), tree]
    branch: list[Rlp] = [_child(tree[half]) if half in tree else b"" for half in range(16)]
    node: Rlp = [*branch, b""]
    return [_packed(path, ends=False), _hashed(node)] if path else node


def _child(tree: Tree | bytes) -> Rlp:
    return _hashed(_node(tree))


def _hashed(node: Rlp) -> Rlp:
    """Return what stands for a node in the one above: itself if it is short, else its hash."""
    encoded = rlp(node)
    return node if len(encoded) < len(keccak256(b"")) else keccak256(encoded)


def _packed(path: Sequence[int], *, ends: bool) -> bytes:
    mark = (2 if ends else 0) | len(path) & 1
    halves = [mark, *path] if len(path) & 1 else [mark, 0, *path]
    return bytes(high << 4 | low for high, low in zip(halves[::2], halves[1::2], strict=True))
