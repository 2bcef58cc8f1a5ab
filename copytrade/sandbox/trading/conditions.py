"""What is unusual at the venue right now: windows, delays, failing settlements, lost answers.

Everything at its default is a healthy venue. The control endpoint changes it (`trading.control`).
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Mode(StrEnum):
    """What the matching engine takes."""

    NORMAL = "normal"
    RESTARTING = "restarting"
    POST_ONLY = "post_only"
    CANCEL_ONLY = "cancel_only"
    DISABLED = "disabled"


class Fate(StrEnum):
    """What becomes of a trade on its way to the chain."""

    OK = "ok"
    RETRY = "retry"
    """Its first transaction fails, a later one is mined."""
    FAIL = "fail"
    """Every transaction fails: it ends FAILED, and no log of it ever exists."""
    NEVER = "never"
    """It stays matched and is never sent."""


class Trouble(StrEnum):
    """What happens to a request or its answer."""

    LOST_REQUEST = "lost_request"
    LOST_RESPONSE = "lost_response"
    LATE_RESPONSE = "late_response"
    DUPLICATE = "duplicate"
    STATUS = "status"


@dataclass(slots=True, kw_only=True)
class AnswerRule:
    """Trouble for the next `remaining` requests that `target` ("POST /order") fits, each with a chance of `rate`.

    `ms` is how long the answer or the end of the connection takes. With `status`, `body` is sent as
    JSON or, when it is text, as a page; `applied` says whether the venue acted on the request.
    """

    trouble: Trouble
    target: str
    remaining: int
    rate: float
    ms: int
    status: int
    body: Any
    applied: bool
    retry_after_s: int | None


@dataclass(slots=True, kw_only=True)
class DelayRule:
    """The next `remaining` orders are answered with `word`; `ms` later they meet the book, or time out (`matches`)."""

    word: str
    ms: int
    matches: bool
    remaining: int


@dataclass(slots=True, kw_only=True)
class Conditions:
    """The present state; times in ms, rates from 0 to 1."""

    spelling: str = "error"
    """Key of the text in the answers of a window: both `error` and `error_msg` are documented."""
    failure_rate: float = 0.0
    retry_rate: float = 0.0
    fates: deque[Fate] = field(default_factory=deque)
    """Fates of the next trades, before any rate is asked."""
    broadcast_ms: int = 60
    retry_ms: int = 2_000
    retries: int = 3
    taker_delay_ms: int = 150
    """How long a marketable order is held where the market says `itode`."""
    delays: list[DelayRule] = field(default_factory=list)
    answers: list[AnswerRule] = field(default_factory=list)
    version: int = 2
    blocked: bool = False
    country: str = "AR"
    refusals_in_body: bool = False
    """Refusals come with status 200 and `errorMsg`, as older answers did."""
    hashes_inline: bool = False
    """Answers to a post name `transactionsHashes`, as before 2026-07-24."""
    integer_amounts: bool = False
    """`makingAmount` and `takingAmount` are micro-units, as some documents show them."""
    null_errors: bool = False
    """`errorMsg` is null where there is no error."""
    pushes: int = 1
    """How often the user socket says each thing."""
    forgets_closed: bool = False
    """Looking up an order that is not open any more finds nothing."""
    seed: int = 0
    _phases: deque[tuple[Mode, int | None]] = field(default_factory=deque)
    _random: random.Random | None = None

    def set_modes(self, phases: list[tuple[Mode, int | None]]) -> None:
        """Go through the modes, each until its end (Unix ms; None is for good), then back to normal."""
        self._phases = deque(phases)

    def mode(self, now_ms: int) -> tuple[Mode, int | None]:
        """Return the mode now and the whole seconds it goes on, None for an unknown time."""
        while self._phases and self._phases[0][1] is not None and self._phases[0][1] <= now_ms:
            self._phases.popleft()
        if not self._phases:
            return Mode.NORMAL, None
        mode, end_ms = self._phases[0]
        return mode, None if end_ms is None else -(-(end_ms - now_ms) // 1_000)

    def draw_fate(self) -> Fate:
        """Decide what becomes of the next trade."""
        if self.fates:
            return self.fates.popleft()
        drawn = self._draw()
        if drawn < self.failure_rate:
            return Fate.FAIL
        return Fate.RETRY if drawn < self.failure_rate + self.retry_rate else Fate.OK

    def take_delay(self) -> DelayRule | None:
        """Use up and return the delay of the next order, if one is asked for."""
        if not self.delays:
            return None
        rule = self.delays[0]
        rule.remaining -= 1
        if rule.remaining <= 0:
            self.delays.pop(0)
        return rule

    def take_trouble(self, method: str, path: str) -> AnswerRule | None:
        """Use up and return the trouble of a request, if it has any."""
        for rule in self.answers:
            if f"{method} {path}".startswith(rule.target) and self._draw() < rule.rate:
                rule.remaining -= 1
                if rule.remaining <= 0:
                    self.answers.remove(rule)
                return rule
        return None

    def _draw(self) -> float:
        if self._random is None:
            self._random = random.Random(f"{self.seed}:trading")
        return self._random.random()
