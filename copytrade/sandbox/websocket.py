"""A WebSocket over asyncio streams, driven by the sans-I/O protocol of `websockets`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as HandshakeRequest
from websockets.protocol import State
from websockets.server import ServerProtocol

READ_BYTES = 65_536
SEND_BUFFER_MAX = 8 * 1024 * 1024
MESSAGE_MAX = 4 * 1024 * 1024
SLOW_CONSUMER = 1013


class WebSocket:
    """One accepted connection. Sending never waits; a reader too slow is closed with 1013."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take over the streams of a connection whose upgrade request was read."""
        self._reader = reader
        self._writer = writer
        self._protocol = ServerProtocol(max_size=MESSAGE_MAX)
        self._fragments: list[bytes] = []

    @property
    def is_open(self) -> bool:
        """Whether messages can still be sent."""
        return self._protocol.state is State.OPEN and not self._writer.is_closing()

    def accept(self, raw_request: bytes) -> bool:
        """Answer the upgrade request; False when it was no valid handshake."""
        self._protocol.receive_data(raw_request)
        for event in self._protocol.events_received():
            if isinstance(event, HandshakeRequest):
                self._protocol.send_response(self._protocol.accept(event))
        self._flush()
        return self._protocol.state is State.OPEN

    def send(self, text: str) -> None:
        """Queue a text message; dropped when the connection is closing."""
        if not self.is_open:
            return
        self._protocol.send_text(text.encode())
        self._flush()
        if self._writer.transport.get_write_buffer_size() > SEND_BUFFER_MAX:
            self.close(code=SLOW_CONSUMER, reason="slow consumer: send buffer full")

    def close(self, *, code: int = 1000, reason: str = "") -> None:
        """Start the closing handshake."""
        if self.is_open:
            self._protocol.send_close(code, reason)
            self._flush()

    def abort(self) -> None:
        """Cut the connection without a word, as a failing network does."""
        self._writer.transport.abort()

    async def messages(self) -> AsyncIterator[str]:
        """Yield text and binary messages as text until the peer is gone.

        Control frames are answered by the protocol itself.
        """
        while True:
            for text in self._received():
                yield text
            if self._protocol.close_expected() or self._writer.is_closing():
                return
            try:
                data = await self._reader.read(READ_BYTES)
            except ConnectionError:
                return
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
            self._flush()
            if not data:
                return

    def _received(self) -> list[str]:
        texts = []
        for event in self._protocol.events_received():
            if not isinstance(event, Frame):
                continue
            if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._fragments.append(bytes(event.data))
                if event.fin:
                    texts.append(b"".join(self._fragments).decode(errors="replace"))
                    self._fragments = []
        return texts

    def _flush(self) -> None:
        try:
            chunks = self._protocol.data_to_send()
        except ConnectionClosed:
            return
        for data in chunks:
            if data:
                self._writer.write(data)
            elif self._writer.can_write_eof():
                self._writer.write_eof()
