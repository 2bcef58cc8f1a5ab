"""Sending an order: whether it may be sent now, and what the answer means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from copytrade.adapters.live.credentials import BadCredentialsError
from copytrade.adapters.live.pace import Door, Latencies
from copytrade.adapters.live.transport import NeverLeft, NoAnswer
from copytrade.adapters.live.verdicts import Doubt, verdict_of
from copytrade.domain.attempts import reason
from copytrade.domain.orders import OrderType
from copytrade.ports.execution import NotSentError
from copytrade.ports.signer import SigningRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from copytrade.adapters.live.clob_account import ClobAccount
    from copytrade.adapters.live.transport import Answer
    from copytrade.adapters.live.verdicts import Verdict
    from copytrade.domain.units import Millis
    from copytrade.domain.venue_orders import VenueOrder
    from copytrade.ports.clock import Clock

SLOW_PAUSE_MS: Final[Millis] = 10_000
"""How long no order is sent once the venue answers orders slowly: it queues what it cannot take."""

_log = structlog.get_logger()


class Posting:
    """The way of signed orders to the venue. Nothing waits here: what may not be sent now is not sent at all."""

    def __init__(self, *, clob: ClobAccount, clock: Clock, note: Callable[[str, dict[str, object]], None]) -> None:
        self._clob = clob
        self._clock = clock
        self._note = note
        self._door = Door(clock)
        self._latencies = Latencies()

    def check(self, order_type: OrderType) -> None:
        """Take the right to send one order now.

        :raises NotSentError: it may not be sent; the text says why.
        """
        closed = self._door.closed(post_only=order_type is OrderType.POST_ONLY)
        if closed is not None:
            raise NotSentError(closed)
        if not self._clob.may_post():
            raise NotSentError("RATE_LIMITED: our own limit, half of the venue's")

    async def post(self, order: VenueOrder, signature: bytes, *, order_hash: str) -> Verdict:
        """Send the bytes once and judge the answer.

        :raises NotSentError: they provably did not arrive.
        """
        begun_ms = self._clock.monotonic_ms()
        try:
            answer = await self._clob.post(order, signature)
        except (NeverLeft, SigningRefusedError) as error:
            raise NotSentError(str(error)) from None
        except NoAnswer as error:
            self._count(self._clock.monotonic_ms() - begun_ms)
            return Doubt(why=reason("NO_ANSWER", why=str(error)), may_resend=True)
        except BadCredentialsError as error:
            self._door.close(f"UNAUTHORIZED: {error}", for_ms=None)
            return Doubt(why=reason("UNAUTHORIZED", why=str(error)))
        verdict = verdict_of(answer, order_hash=order_hash)
        self._learn(answer, verdict)
        return verdict

    def _learn(self, answer: Answer, verdict: Verdict) -> None:
        """Close the door where the venue takes no orders, answers slowly, or counts more of ours than we do."""
        if isinstance(verdict, Doubt) and verdict.closes:
            code = verdict.why.code
            self._door.close(
                f"{code}: {answer.text or answer.status}",
                for_ms=answer.retry_after_ms,
                lets_post_only=code == "POST_ONLY_MODE",
            )
            self._note("VENUE_TAKES_NO_ORDERS", {"why": code, "status": answer.status, "venue": answer.text})
        self._count(answer.took_ms)
        if answer.headers.get("Poly-RateLimit-Remaining") == "0" or answer.headers.get("Poly-RateLimit-Warning"):
            self._clob.rest(1_000)
            _log.warning("live.rate_limit_near", tier=answer.headers.get("Poly-RateLimit-Tier"))

    def _count(self, took_ms: Millis) -> None:
        """Count how long an answer took, or how long one was waited for that never came."""
        if self._latencies.note(took_ms):
            self._door.close(f"VENUE_SLOW: answers take {took_ms} ms", for_ms=SLOW_PAUSE_MS)
            self._note("VENUE_SLOW", {"took_ms": took_ms})
