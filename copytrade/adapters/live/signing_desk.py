"""The process that holds the key: it signs what its own policy allows, for whoever may open its socket."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import structlog

from copytrade.adapters.live.signing_lines import LINE_BYTES_MAX, BadLineError, close, decode, encode, read_order
from copytrade.domain.fills import Side
from copytrade.domain.units import floor_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from copytrade.domain.signing_policy import SigningPolicy
    from copytrade.domain.units import Millis, Usdc
    from copytrade.domain.venue_orders import VenueOrder
    from copytrade.ports.clock import Clock
    from copytrade.ports.signer import Signer

DAY_MS: Final[Millis] = 86_400_000
ORDERS_A_DAY_MAX: Final = 100_000
"""Orders that are remembered; the next one of that day is refused."""
CONNECTIONS_MAX: Final = 64
"""A further one is closed at once; a worker has one for each question under way."""
ATTESTED_MS_MAX: Final[Millis] = 300_000
"""How far from now the time may be at which a request for an API key is signed."""
_NOT_OTHERS: Final = 0o117
"""The socket is for its user and its group."""

_log = structlog.get_logger()


class SigningDesk:
    """Answers questions. What was signed since midnight UTC counts, sent or not; a salt signs one order."""

    def __init__(self, *, signer: Signer, policy: SigningPolicy, clock: Clock) -> None:
        self._signer = signer
        self._policy = policy
        self._clock = clock
        self._day_ms: Millis = 0
        self._signed: dict[int, VenueOrder] = {}
        self._spent: Usdc = 0

    async def answer(self, line: bytes) -> dict[str, Any]:
        """Return the answer to a line: what was asked for, or `refused` with the reason."""
        try:
            asked = decode(line)
            match asked.get("ask"):
                case "address":
                    return {"address": self._signer.address}
                case "order":
                    return await self._order(read_order(asked.get("order")))
                case "attestation":
                    return await self._attestation(asked.get("timestamp_s"), asked.get("nonce"))
                case _:
                    return _refused("not a question")
        except BadLineError as error:
            return _refused(str(error))

    async def _order(self, order: VenueOrder) -> dict[str, Any]:
        self._begin_day()
        before = self._signed.get(order.salt)
        if before is None:
            complaint = self._policy.complaint(order, spent_today=self._spent)
            if not complaint and len(self._signed) >= ORDERS_A_DAY_MAX:
                complaint = f"{ORDERS_A_DAY_MAX} orders were signed today"
        else:
            complaint = "" if before == order else "another order of that salt was signed"
        if complaint:
            return _refused(complaint)
        if before is None and order.side is Side.BUY:
            self._spent += order.maker_amount
        self._signed[order.salt] = order
        return {"signature": (await self._signer.sign_order(order)).hex()}

    async def _attestation(self, timestamp_s: object, nonce: object) -> dict[str, Any]:
        if type(timestamp_s) is not int or type(nonce) is not int or nonce < 0:
            return _refused("a time or a nonce that is no whole number")
        if abs(timestamp_s * 1_000 - self._clock.now_ms()) > ATTESTED_MS_MAX:
            return _refused("the time is not now")
        return {"signature": (await self._signer.sign_attestation(timestamp_s=timestamp_s, nonce=nonce)).hex()}

    def _begin_day(self) -> None:
        day_ms = floor_to(self._clock.now_ms(), DAY_MS)
        if day_ms != self._day_ms:
            self._day_ms = day_ms
            self._signed.clear()
            self._spent = 0


@asynccontextmanager
async def open_desk(desk: SigningDesk, path: Path) -> AsyncIterator[None]:
    """Listen at a socket file, which must not exist or be a socket that nobody listens at, while this is open.

    :raises OSError: it cannot be had.
    """
    await _clear(path)
    handlers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(handlers) >= CONNECTIONS_MAX:
            writer.close()
            return
        handler = asyncio.create_task(_serve(desk, reader, writer), name="signer-connection")
        handlers[handler] = writer
        handler.add_done_callback(handlers.pop)

    mask = os.umask(_NOT_OTHERS)
    try:
        server = await asyncio.start_unix_server(welcome, path, limit=LINE_BYTES_MAX)
    finally:
        os.umask(mask)
    try:
        yield
    finally:
        server.close()
        open_now = dict(handlers)
        for handler in open_now:
            handler.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)
        for writer in open_now.values():
            # A handler that was cancelled before it began has closed nothing.
            await close(writer)


async def _clear(path: Path) -> None:
    """Take away a socket that a signer left behind which was killed."""
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        await asyncio.to_thread(path.unlink)
        return
    await close(writer)
    raise FileExistsError(f"another signer listens at {path}")


async def _serve(desk: SigningDesk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                answer = await desk.answer(line)
                if "refused" in answer:
                    _log.warning("signer.refused", why=answer["refused"])
                writer.write(encode(answer))
                await writer.drain()
    finally:
        await close(writer)


def _refused(why: str) -> dict[str, Any]:
    return {"refused": why}
