"""The dead-man switch: once a key has sent a heartbeat, missing the next one cancels all of its orders."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from copytrade.sandbox import digest
from copytrade.sandbox.http_message import BadRequestError
from copytrade.sandbox.timeline import Timeline

DEADLINE_MS = 10_000
CHECK_EVERY_MS = 5_000


@dataclass(slots=True, kw_only=True)
class Beat:
    """What a key has to send next, and when it sent last."""

    expected: str
    at_ms: int


class Heartbeats:
    """Heartbeats by API key; there is no way to disarm one but to let it run out."""

    def __init__(self, *, timeline: Timeline, seed: int, expire: Callable[[str], None]) -> None:
        """Call `expire` with the key whose heartbeat was missed."""
        self._timeline = timeline
        self._seed = seed
        self._expire = expire
        self._made = 0
        self._by_key: dict[str, Beat] = {}

    def beat(self, key: str, heartbeat_id: str) -> str:
        """Take a heartbeat and return the id to send next; raises BadRequestError for a wrong one."""
        known = self._by_key.get(key)
        if known is not None and known.expected != heartbeat_id:
            raise BadRequestError({"error_msg": "Invalid Heartbeat ID", "heartbeat_id": known.expected})
        self._made += 1
        following = str(uuid.UUID(bytes=digest.derive("heartbeat", self._seed, self._made)[:16], version=4))
        self._arm(key, following, is_new=known is None)
        return following

    def beat_without_id(self, key: str) -> None:
        """Take a heartbeat of the older kind, after which the next id is the empty one."""
        self._arm(key, "", is_new=key not in self._by_key)

    def _arm(self, key: str, following: str, *, is_new: bool) -> None:
        self._by_key[key] = Beat(expected=following, at_ms=self._timeline.now_ms)
        if is_new:
            self._timeline.after(CHECK_EVERY_MS, lambda: self._check(key))

    def _check(self, key: str) -> None:
        if self._timeline.now_ms - self._by_key[key].at_ms < DEADLINE_MS:
            self._timeline.after(CHECK_EVERY_MS, lambda: self._check(key))
            return
        del self._by_key[key]
        self._expire(key)
