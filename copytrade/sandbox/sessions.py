"""Open sockets by kind, so that faults can hit them."""

from __future__ import annotations

import asyncio
from typing import Protocol

from copytrade.sandbox.faults import Faults


class Wire(Protocol):
    """Where a session's messages go: a WebSocket, or a client in the same process."""

    def send(self, text: str) -> None:
        """Queue a message."""
        ...

    def close(self, *, code: int = 1000, reason: str = "") -> None:
        """Close with a code."""
        ...

    def abort(self) -> None:
        """Cut the connection."""
        ...


class Outlet:
    """The sending half of a session; a frozen one keeps the connection and says nothing."""

    def __init__(self, socket: Wire, *, kind: str, faults: Faults) -> None:
        """Wrap an accepted socket of the kind `chain`, `market`, `rtds` or `user`."""
        self.kind = kind
        self.frozen = kind in faults.frozen_future
        self._socket = socket
        self._faults = faults

    def send(self, text: str) -> None:
        """Send now, later under socket latency, or never while frozen."""
        if self.frozen:
            return
        delay_ms = self._faults.socket_latency_ms
        if delay_ms:
            loop = asyncio.get_running_loop()
            loop.call_later(delay_ms / 1_000, self._socket.send, text)
        else:
            self._socket.send(text)

    def answer_ping(self, text: str) -> None:
        """Send a keep-alive answer, which even a frozen socket does."""
        self._socket.send(text)

    def close(self, *, code: int, reason: str) -> None:
        """Close with a code."""
        self._socket.close(code=code, reason=reason)

    def abort(self) -> None:
        """Cut the connection."""
        self._socket.abort()


class Session(Protocol):
    """A conversation on one socket."""

    outlet: Outlet


class Sessions:
    """Every open session."""

    def __init__(self) -> None:
        """Start with none."""
        self._open: list[Session] = []

    def add(self, session: Session) -> None:
        """Remember an open session."""
        self._open.append(session)

    def discard(self, session: Session) -> None:
        """Forget a session that ended."""
        if session in self._open:
            self._open.remove(session)

    def of_kind(self, kind: str) -> list[Session]:
        """Return the open sessions of a kind."""
        return [session for session in self._open if session.outlet.kind == kind]
