"""Whether an order is signed by somebody who may, for the exchange of its market."""

from __future__ import annotations

from copytrade.sandbox import contracts
from copytrade.sandbox.trading import typed_data
from copytrade.sandbox.trading.recovery import SIGNATURE_BYTES, recover_address
from copytrade.sandbox.trading.signed_order import SignedOrder
from copytrade.sandbox.trading.wallets import Accounts, SignatureType

ENVELOPE_MAGIC = bytes.fromhex("6492" * 16)
"""Ends the signature of a session key (ERC-6492's suffix, reused by the deposit wallet)."""

INVALID = "invalid signature"
WRONG_VERSION = "order_version_mismatch"


def protocol_version(exchange: str) -> str:
    """Return the version in the domain of an exchange."""
    return "3" if exchange == contracts.EXCHANGE_V3 else "2"


def order_hash(order: SignedOrder, exchange: str) -> str:
    """Return the order's id: its EIP-712 hash under the exchange of its market."""
    separator = typed_data.exchange_separator(version=protocol_version(exchange), exchange=exchange)
    return "0x" + typed_data.order_digest(order.fields, separator).hex()


def find_fault(order: SignedOrder, exchange: str, accounts: Accounts) -> str | None:
    """Return the venue's complaint about the signature, None when it is good."""
    version = protocol_version(exchange)
    if _is_signed(order, version=version, exchange=exchange, accounts=accounts):
        return None
    others = [(other, candidate) for candidate in contracts.EXCHANGES for other in ("1", "2", "3") if other != version]
    if any(_is_signed(order, version=other, exchange=place, accounts=accounts) for other, place in others):
        return WRONG_VERSION
    return INVALID


def _is_signed(order: SignedOrder, *, version: str, exchange: str, accounts: Accounts) -> bool:
    fields = order.fields
    separator = typed_data.exchange_separator(version=version, exchange=exchange)
    if fields.signature_type == SignatureType.POLY_1271:
        return _is_signed_by_wallet(order, separator, accounts)
    signer = recover_address(typed_data.order_digest(fields, separator), order.signature)
    if signer != fields.signer:
        return False
    kind = SignatureType(fields.signature_type)
    return accounts.may_sign(signer, wallet=fields.maker, signature_type=kind)


def _is_signed_by_wallet(order: SignedOrder, separator: bytes, accounts: Accounts) -> bool:
    fields = order.fields
    if fields.maker != fields.signer:
        return False
    session_key, signature = _unwrap(order.signature)
    trailer = typed_data.nested_trailer(fields, separator)
    if signature[SIGNATURE_BYTES:] != trailer:
        return False
    signer = recover_address(typed_data.nested_digest(fields, separator), signature[:SIGNATURE_BYTES])
    if signer is None:
        return False
    if session_key is None:
        return accounts.may_sign(signer, wallet=fields.maker, signature_type=SignatureType.POLY_1271)
    account = accounts.find(fields.maker)
    return signer == session_key and account is not None and session_key in account.session_signers


def _unwrap(signature: bytes) -> tuple[str | None, bytes]:
    """Split a session key's envelope, abi.encode(bytes32 key, bytes32 0, bytes signature) and the magic."""
    if not signature.endswith(ENVELOPE_MAGIC):
        return None, signature
    payload = signature[: -len(ENVELOPE_MAGIC)]
    length = int.from_bytes(payload[96:128])
    inner = payload[128 : 128 + length]
    rebuilt = payload[:32] + bytes(32) + (96).to_bytes(32) + length.to_bytes(32) + inner + bytes(-length % 32)
    if len(inner) != length or rebuilt != payload or any(payload[:12]):
        return None, b""
    return "0x" + payload[12:32].hex(), inner
