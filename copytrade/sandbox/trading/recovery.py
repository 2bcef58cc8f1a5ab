"""Who signed a digest: public key recovery on secp256k1."""

from __future__ import annotations

from copytrade.sandbox.digest import keccak256

SIGNATURE_BYTES = 65
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def recover_address(digest: bytes, signature: bytes) -> str | None:
    """Return the signer's address in lower case; None for what the contracts refuse.

    They take r, s in the lower half of the order (so that nobody else can make a second signature),
    and v as 27 or 28.
    """
    # Imported here, so that the demo, which signs nothing, need not load it.
    from coincurve import PublicKey

    if len(signature) != SIGNATURE_BYTES or signature[64] not in (27, 28):
        return None
    if int.from_bytes(signature[32:64]) > HALF_ORDER:
        return None
    recoverable = signature[:64] + bytes([signature[64] - 27])
    try:
        key = PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    except ValueError:
        return None
    return "0x" + keccak256(key.format(compressed=False)[1:])[12:].hex()
