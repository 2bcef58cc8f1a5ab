"""A signer in another process: this one never sees the key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from copytrade.adapters.live.signer import BadKeyError
from copytrade.adapters.live.signing_lines import LINE_BYTES_MAX, BadLineError, close, decode, encode, order_fields
from copytrade.domain.leaders import normal_address
from copytrade.ports.signer import Signer, SigningRefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from copytrade.domain.venue_orders import VenueOrder

ANSWER_S_MAX: Final = 5


class RemoteSigner(Signer):
    """Asks over a Unix socket, one question at a time on a connection of its own."""

    def __init__(self, path: Path, address: str) -> None:
        self._path = path
        self._address = address

    @property
    def address(self) -> str:
        return self._address

    async def sign_order(self, order: VenueOrder) -> bytes:
        return _signature(await ask(self._path, {"ask": "order", "order": order_fields(order)}))

    async def sign_attestation(self, *, timestamp_s: int, nonce: int) -> bytes:
        asked = {"ask": "attestation", "timestamp_s": timestamp_s, "nonce": nonce}
        return _signature(await ask(self._path, asked))


async def signer_at(path: Path) -> RemoteSigner:
    """Return the signer that listens at a socket.

    :raises BadKeyError: nobody does, or somebody else.
    """
    try:
        answer = await ask(path, {"ask": "address"})
        return RemoteSigner(path, normal_address(str(answer.get("address"))))
    except (SigningRefusedError, ValueError) as error:
        raise BadKeyError(f"LIVE_SIGNER_SOCKET={path}: no signer there ({error}); start copytrade signer") from None


async def ask(path: Path, question: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a question.

    :raises SigningRefusedError: there is none, or it is a refusal.
    """
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            reader, writer = await asyncio.open_unix_connection(path, limit=LINE_BYTES_MAX)
            try:
                writer.write(encode(question))
                await writer.drain()
                answer = decode(await reader.readline())
            finally:
                await close(writer)
    except (OSError, TimeoutError, ValueError, BadLineError) as error:
        raise SigningRefusedError(f"the signer does not answer ({type(error).__name__})") from None
    if "refused" in answer:
        raise SigningRefusedError(f"the signer refuses: {answer['refused']}")
    return answer


def _signature(answer: dict[str, Any]) -> bytes:
    try:
        return bytes.fromhex(str(answer["signature"]))
    except (KeyError, ValueError):
        raise SigningRefusedError("the signer's answer is no signature") from None
