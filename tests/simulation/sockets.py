"""A socket between a simulated worker and the venue: late, broken off, or with its frames in disorder."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from copytrade.sandbox.inprocess import LocalSocket
from tests.virtual_time import VirtualClock

FULL_BOOK = '"event_type":"book"'
HELD_S = 0.5
"""A frame is overtaken by no more than this."""


@dataclass(slots=True, kw_only=True)
class Disorder:
    """Which part of a feed's frames is lost, comes twice, or comes after the one behind it."""

    lost: float = 0.0
    repeated: float = 0.0
    swapped: float = 0.0
    is_unshown: bool = False
    """Whether no full book comes, only changes."""
    struck: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A frame that did not come, or not in its order; None for what makes all that was heard doubtful."""

    at_ms: int
    text: str | None

    def is_about(self, condition: str) -> bool:
        """Tell whether a market's book may lack something by it."""
        return self.text is None or condition in self.text


class Way(Protocol):
    """What frames meet on their way."""

    socket_ms: int
    losses: list[Loss]
    """By true time; what a lost frame told of a book is learnt from the next snapshot only."""
    disorder: dict[str, Disorder]
    """By path of the feed."""


class SimulatedSocket:
    """An open websocket of the worker; a lost one raises ConnectionResetError.

    What the venue sends arrives in its order, disorder apart, each message at least `way.socket_ms` after it
    was sent.
    """

    def __init__(
        self, socket: LocalSocket, target: str, tell: Callable[..., None], way: Way, rng: random.Random
    ) -> None:
        self._socket = socket
        self._target = target
        self._tell = tell
        self._way = way
        self._rng = rng
        self._is_over = False
        self._due_s = 0.0
        self._arrivals: deque[float] = deque()
        self._overtaken: str | None = None
        self._deliver = socket.deliver
        socket.deliver = self._come

    def _come(self, text: str) -> None:
        disorder = self._way.disorder.get(self._target)
        if disorder is not None and disorder.is_unshown and FULL_BOOK in text:
            disorder.struck["unshown"] += 1
            return
        drawn = 1.0 if disorder is None else self._rng.random()
        if disorder is None or drawn >= disorder.lost + disorder.repeated + disorder.swapped:
            self._arrive(text)
        elif drawn < disorder.lost:
            disorder.struck["lost"] += 1
            self._miss(text)
        elif drawn < disorder.lost + disorder.repeated:
            disorder.struck["repeated"] += 1
            self._arrive(text)
            self._arrive(text)
        elif self._overtaken is None:
            disorder.struck["swapped"] += 1
            self._miss(text)
            self._overtaken = text
            asyncio.get_running_loop().call_later(HELD_S, self._release)
            return
        else:
            self._arrive(text)
        self._release()

    def _miss(self, text: str) -> None:
        self._way.losses.append(Loss(at_ms=VirtualClock().now_ms(), text=text))

    def _release(self) -> None:
        text, self._overtaken = self._overtaken, None
        if text is not None:
            self._arrive(text)

    def _arrive(self, text: str) -> None:
        now_s = asyncio.get_running_loop().time()
        self._due_s = max(self._due_s, now_s + self._way.socket_ms / 1000)
        self._arrivals.append(self._due_s)
        self._deliver(text)

    async def send(self, text: str, /) -> None:
        """Send one text frame."""
        await asyncio.sleep(0)
        if self._is_over:
            raise ConnectionResetError(self._target)
        self._tell("send", self._target, text)
        self._socket.send_to_venue(text)

    async def recv(self, decode: bool | None = None) -> str | bytes:
        """Return the next message; bytes if `decode` is false."""
        try:
            text = await self._socket.receive()
        except EOFError:
            self._is_over = True
            raise ConnectionResetError(self._target) from None
        early_s = self._arrivals.popleft() - asyncio.get_running_loop().time()
        if early_s > 0:
            await asyncio.sleep(early_s)
        self._tell("receive", self._target, text)
        return text.encode() if decode is False else text

    async def close(self) -> None:
        """Close, idempotent."""
        self.hang_up()

    def hang_up(self) -> None:
        """End it without waiting."""
        self._is_over = True
        self._socket.hang_up()
