"""The live stream (RTDS), topic `activity`: every settlement some time after its match, to whoever subscribed."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from copytrade.sandbox import data_rows, digest
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.faults import Faults
from copytrade.sandbox.happening import SettlementSent
from copytrade.sandbox.sessions import Outlet
from copytrade.sandbox.settlement import Fill
from copytrade.sandbox.timeline import Timeline

TOPIC = "activity"
MATCHED = "orders_matched"
TRADES = "trades"
EVERY_TYPE = "*"
SPREAD_MS = 1_000
"""Messages come up to that much later than the earliest ones (median 1.9 s after the match, measured 2026-09)."""

Message = dict[str, Any]


class RtdsSession:
    """One connection. It falls silent for good when the client sends no PING for long, without a close."""

    def __init__(self, *, outlet: Outlet, faults: Faults, now_ms: Callable[[], int], name: str) -> None:
        """Start unsubscribed."""
        self.outlet = outlet
        self.name = digest.derive_hash("rtds connection", name)[2:18]
        self._faults = faults
        self._now_ms = now_ms
        self._types: set[str] = set()
        self._pinged_ms = now_ms()
        self._pings = 0
        self._is_silent = False

    def receive(self, text: str) -> None:
        """Handle a keep-alive or a change of subscriptions; what makes no sense is answered with an error."""
        if text.upper() == "PING":
            self._pinged_ms = self._now_ms()
            self._pings += 1
            # The venue answers with an empty frame as often as with a word.
            self.outlet.answer_ping("PONG" if self._pings % 2 else "")
            return
        try:
            message = json.loads(text)
        except ValueError:
            self._refuse("invalid JSON")
            return
        if not isinstance(message, dict) or "action" not in message:
            return  # Accepted and never answered, as the venue does.
        types = _types_of(message.get("subscriptions"))
        if types is None:
            self._refuse("invalid subscriptions")
        elif message["action"] == "subscribe":
            self._types |= types
        elif message["action"] == "unsubscribe":
            self._types -= types
        else:
            self._refuse("invalid action")

    def tell(self, message: Message) -> None:
        """Send a message that is subscribed to."""
        if not self._types & {message["type"], EVERY_TYPE}:
            return
        silence_ms = self._faults.rtds_silence_ms
        self._is_silent = self._is_silent or self._now_ms() - self._pinged_ms >= silence_ms
        if not self._is_silent:
            self.outlet.send(json.dumps({"connection_id": self.name, **message}, separators=(",", ":")))

    def _refuse(self, why: str) -> None:
        self.outlet.send(json.dumps({"body": {"message": why}, "statusCode": 400}, separators=(",", ":")))


class RtdsFeed:
    """Tells settlements: the taker's fill as `orders_matched`, every fill as `trades`."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        timeline: Timeline,
        faults: Faults,
        sessions: Callable[[], Sequence[RtdsSession]],
        seed: int,
    ) -> None:
        """Send to whatever `sessions` returns at the time."""
        self._exchange = exchange
        self._timeline = timeline
        self._faults = faults
        self._sessions = sessions
        self._random = random.Random(f"{seed}:rtds")

    def tell(self, sent: SettlementSent) -> None:
        """Send the messages of a settlement, each topic with a delay of its own."""
        takers = [fill for fill in sent.fills if fill.role == "taker"]
        for kind, fills in ((MATCHED, takers), (TRADES, sent.fills)):
            messages = [self._message(kind, fill, sent) for fill in fills]
            delay_ms = self._faults.rtds_delay_ms + self._random.randrange(SPREAD_MS)
            self._timeline.after(delay_ms, functools.partial(self._send, messages))

    def _send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            stamped = {**message, "timestamp": self._timeline.now_ms}
            for session in self._sessions():
                session.tell(stamped)

    def _message(self, kind: str, fill: Fill, sent: SettlementSent) -> Message:
        return {"payload": data_rows.stream_row(self._exchange, fill, sent), "topic": TOPIC, "type": kind}


def _types_of(subscriptions: object) -> set[str] | None:
    """Return the types of activity in a list of subscriptions, None for what is no such list."""
    if not isinstance(subscriptions, list) or not all(isinstance(one, dict) for one in subscriptions):
        return None
    return {str(one.get("type")) for one in subscriptions if one.get("topic") == TOPIC}
