"""EIP-712 digests of what traders sign: the key request, the order, the order inside a deposit wallet.

Written from the specifications (EIP-712, ERC-7739) with nothing but keccak, so that a mistake in a
client's library cannot repeat itself here.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from copytrade.sandbox.contracts import CHAIN_ID
from copytrade.sandbox.digest import keccak256

EXCHANGE_NAME = "Polymarket CTF Exchange"
ATTESTATION = "This message attests that I control the given wallet"
ORDER_TYPE = (
    "Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,"
    "uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
)

_DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_AUTH_DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId)"
_AUTH_TYPE = "ClobAuth(address address,string timestamp,uint256 nonce,string message)"
_NESTED_TYPE = (
    "TypedDataSign(Order contents,string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)"
    + ORDER_TYPE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFields:
    """What is signed of an order; amounts in micro-units, `side` 0 buys, `timestamp` Unix ms."""

    salt: int
    maker: str
    signer: str
    token: int
    maker_amount: int
    taker_amount: int
    side: int
    signature_type: int
    timestamp: int
    metadata: int = 0
    builder: int = 0


@functools.lru_cache(maxsize=64)
def exchange_separator(*, version: str, exchange: str, chain_id: int = CHAIN_ID) -> bytes:
    """Return the domain separator of an exchange contract."""
    return keccak256(_text(_DOMAIN_TYPE) + _text(EXCHANGE_NAME) + _text(version) + _word(chain_id) + _address(exchange))


def order_contents(order: OrderFields) -> bytes:
    """Return the struct hash of an order, which knows no exchange."""
    return keccak256(
        _text(ORDER_TYPE)
        + _word(order.salt)
        + _address(order.maker)
        + _address(order.signer)
        + _word(order.token)
        + _word(order.maker_amount)
        + _word(order.taker_amount)
        + _word(order.side)
        + _word(order.signature_type)
        + _word(order.timestamp)
        + _word(order.metadata)
        + _word(order.builder)
    )


def order_digest(order: OrderFields, separator: bytes) -> bytes:
    """Return the order hash: what an owner signs, the order's id, and topic 1 of its fills."""
    return keccak256(b"\x19\x01" + separator + order_contents(order))


def nested_digest(order: OrderFields, separator: bytes, *, chain_id: int = CHAIN_ID) -> bytes:
    """Return what the owner of a deposit wallet signs (ERC-7739): the order within the wallet's domain."""
    nested = keccak256(
        _text(_NESTED_TYPE)
        + order_contents(order)
        + _text("DepositWallet")
        + _text("1")
        + _word(chain_id)
        + _address(order.signer)
        + _word(0)
    )
    return keccak256(b"\x19\x01" + separator + nested)


def nested_trailer(order: OrderFields, separator: bytes) -> bytes:
    """Return what follows the 65 bytes of a deposit wallet's signature."""
    described = ORDER_TYPE.encode()
    return separator + order_contents(order) + described + len(described).to_bytes(2)


def attestation_digest(*, address: str, timestamp: str, nonce: int, chain_id: int = CHAIN_ID) -> bytes:
    """Return what is signed to ask for an API key; `timestamp` exactly as the header spells it."""
    separator = keccak256(_text(_AUTH_DOMAIN_TYPE) + _text("ClobAuthDomain") + _text("1") + _word(chain_id))
    contents = keccak256(_text(_AUTH_TYPE) + _address(address) + _text(timestamp) + _word(nonce) + _text(ATTESTATION))
    return keccak256(b"\x19\x01" + separator + contents)


def _text(text: str) -> bytes:
    return keccak256(text.encode())


def _word(value: int) -> bytes:
    return value.to_bytes(32)


def _address(address: str) -> bytes:
    return bytes(12) + bytes.fromhex(address[2:])
