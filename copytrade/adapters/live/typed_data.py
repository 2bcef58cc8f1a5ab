"""EIP-712 digests of what we sign: the key request, the order, and the order inside a deposit wallet (ERC-7739)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from Crypto.Hash import keccak

from copytrade.domain.fills import Side

if TYPE_CHECKING:
    from copytrade.domain.venue_orders import VenueOrder

CHAIN_ID: Final = 137
EXCHANGE_NAME: Final = "Polymarket CTF Exchange"
ATTESTATION: Final = "This message attests that I control the given wallet"
ORDER_TYPE: Final = (
    "Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,"
    "uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
)
_DOMAIN_TYPE: Final = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_AUTH_DOMAIN_TYPE: Final = "EIP712Domain(string name,string version,uint256 chainId)"
_AUTH_TYPE: Final = "ClobAuth(address address,string timestamp,uint256 nonce,string message)"
_NESTED_TYPE: Final = (
    "TypedDataSign(Order contents,string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)"
    + ORDER_TYPE
)
_PREFIX: Final = b"\x19\x01"


def keccak256(data: bytes) -> bytes:
    """Return the Keccak-256 hash."""
    return keccak.new(digest_bits=256, data=data).digest()


@lru_cache(maxsize=64)
def checksummed(address: str) -> str:
    """Return an address spelled with its checksum (EIP-55), as the official client posts it."""
    plain = address[2:].lower()
    digest = keccak256(plain.encode()).hex()
    return "0x" + "".join(
        letter.upper() if int(nibble, 16) >= 8 else letter for letter, nibble in zip(plain, digest, strict=False)
    )


def _text(text: str) -> bytes:
    return keccak256(text.encode())


def _word(value: int) -> bytes:
    return value.to_bytes(32)


def _address(address: str) -> bytes:
    return bytes(12) + bytes.fromhex(address[2:])


_ORDER_TYPE_HASH: Final = _text(ORDER_TYPE)
_NESTED_TYPE_HASH: Final = _text(_NESTED_TYPE)
_TRAILER_END: Final = ORDER_TYPE.encode() + len(ORDER_TYPE).to_bytes(2)


@lru_cache(maxsize=16)
def separator(exchange: str, protocol: str, chain_id: int = CHAIN_ID) -> bytes:
    """Return the domain separator of an exchange contract."""
    return keccak256(
        _text(_DOMAIN_TYPE) + _text(EXCHANGE_NAME) + _text(protocol) + _word(chain_id) + _address(exchange)
    )


@lru_cache(maxsize=16)
def _wallet_domain(wallet: str, chain_id: int) -> bytes:
    return _text("DepositWallet") + _text("1") + _word(chain_id) + _address(wallet) + bytes(32)


def contents(order: VenueOrder) -> bytes:
    """Return the struct hash of an order, which knows no exchange."""
    return keccak256(
        _ORDER_TYPE_HASH
        + _word(order.salt)
        + _address(order.maker)
        + _address(order.signer)
        + _word(int(order.token_id))
        + _word(order.maker_amount)
        + _word(order.taker_amount)
        + _word(0 if order.side is Side.BUY else 1)
        + _word(order.signature_type)
        + _word(order.timestamp_ms)
        + bytes.fromhex(order.metadata[2:])
        + bytes.fromhex(order.builder[2:])
    )


def order_digest(order: VenueOrder, chain_id: int = CHAIN_ID) -> bytes:
    """Return the order hash: its id at the venue, and topic 1 of its fills on the chain."""
    return keccak256(_PREFIX + separator(order.exchange, order.protocol, chain_id) + contents(order))


def order_hash(order: VenueOrder) -> str:
    """Return the order hash as 0x and 64 hex digits."""
    return "0x" + order_digest(order).hex()


def nested_digest(order: VenueOrder, chain_id: int = CHAIN_ID) -> bytes:
    """Return what the owner of a deposit wallet signs: the order within the wallet's own domain."""
    nested = keccak256(_NESTED_TYPE_HASH + contents(order) + _wallet_domain(order.signer, chain_id))
    return keccak256(_PREFIX + separator(order.exchange, order.protocol, chain_id) + nested)


def nested_trailer(order: VenueOrder, chain_id: int = CHAIN_ID) -> bytes:
    """Return what follows the 65 bytes of a deposit wallet's signature."""
    return separator(order.exchange, order.protocol, chain_id) + contents(order) + _TRAILER_END


def attestation_digest(*, address: str, timestamp_s: int, nonce: int, chain_id: int = CHAIN_ID) -> bytes:
    """Return what is signed to ask for an API key."""
    domain = keccak256(_text(_AUTH_DOMAIN_TYPE) + _text("ClobAuthDomain") + _text("1") + _word(chain_id))
    request = keccak256(
        _text(_AUTH_TYPE) + _address(address) + _text(str(timestamp_s)) + _word(nonce) + _text(ATTESTATION)
    )
    return keccak256(_PREFIX + domain + request)
