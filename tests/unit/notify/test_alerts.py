"""Incidents reach people once, at a bounded rate, and whatever a channel does, the worker does not notice."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from copytrade.adapters.notify.alerts import (
    ALERTS_WAITING_MAX,
    INCIDENT_MS,
    INCIDENTS,
    PER_MINUTE_MAX,
    TEXT_LENGTH_MAX,
    Alert,
    Alerts,
    Channel,
    LogChannel,
    NotDeliveredError,
)
from copytrade.domain.gates import GateName
from copytrade.domain.happenings import Noted
from copytrade.domain.redaction import Redaction
from tests.makers import NOW_MS
from tests.virtual_time import VirtualClock, run_virtual


def knowing(*secrets: str) -> Redaction:
    redaction = Redaction()
    redaction.learn(*secrets)
    return redaction


class Inbox(Channel):
    """A channel that keeps what it gets, after failing as often as it is told to."""

    name = "inbox"

    def __init__(self, *failures: NotDeliveredError) -> None:
        self.failures = list(failures)
        self.got: list[Alert] = []
        self.at_s: list[float] = []
        self.takes_s = 0.0

    async def send(self, alert: Alert) -> None:
        self.at_s.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes_s)
        if self.failures:
            raise self.failures.pop(0)
        self.got.append(alert)


class Desk:
    """Alerts with their notes."""

    def __init__(self, *channels: Channel, secrets: tuple[str, ...] = ()) -> None:
        self.notes: list[tuple[str, dict[str, object]]] = []
        self.alerts = Alerts(
            channels,
            redaction=knowing(*secrets),
            clock=VirtualClock(),
            note=lambda code, detail: self.notes.append((code, dict(detail))),
        )

    def tell(self, code: str = "HALTED", **detail: object) -> None:
        self.alerts.tell(Noted(code=code, detail=detail, at_ms=NOW_MS))


def while_delivering(script: Callable[[Desk, Inbox], Coroutine[Any, Any, None]], inbox: Inbox | None = None) -> None:
    async def main() -> None:
        box = inbox or Inbox()
        desk = Desk(box)
        delivering = asyncio.create_task(desk.alerts.run())
        try:
            await script(desk, box)
        finally:
            delivering.cancel()
            with suppress(asyncio.CancelledError):
                await delivering

    run_virtual(main, epoch_ms=NOW_MS)


def test_an_incident_is_told_once_and_another_one_too() -> None:
    async def script(desk: Desk, inbox: Inbox) -> None:
        for since in (1, 1, 2, 1):
            desk.tell("GATE_BOOKS", since_ms=since, value=f"{since} of 9")
            await asyncio.sleep(1)
        assert [alert.detail["since_ms"] for alert in inbox.got] == [1, 2]

    while_delivering(script)


def test_an_incident_that_lasts_is_told_again_after_a_day() -> None:
    async def script(desk: Desk, inbox: Inbox) -> None:
        desk.tell("DRIFT_ADDRESS", address="0x1", tx_hash="0xa")
        await asyncio.sleep(INCIDENT_MS / 1000 - 1)
        desk.tell("DRIFT_ADDRESS", address="0x1", tx_hash="0xb")
        await asyncio.sleep(2)
        assert len(inbox.got) == 1
        desk.tell("DRIFT_ADDRESS", address="0x1", tx_hash="0xc")
        await asyncio.sleep(1)
        assert len(inbox.got) == 2

    while_delivering(script)


def test_what_is_no_incident_is_not_told() -> None:
    async def script(desk: Desk, inbox: Inbox) -> None:
        for code in ("STARTED", "RECONNECTED", "NOTIFIER_FAILED", "ALERTS_DROPPED", "FIGURES"):
            desk.tell(code)
        await asyncio.sleep(1)
        assert inbox.got == []

    while_delivering(script)


def test_every_gate_is_an_incident() -> None:
    assert {f"GATE_{name}" for name in GateName} <= set(INCIDENTS)


def test_every_incident_has_its_heading_in_the_runbook() -> None:
    runbook = (Path(__file__).parents[3] / "docs" / "RUNBOOK.md").read_text("utf-8")
    headings = re.findall(r"^## (.*)$", runbook, flags=re.MULTILINE)
    named = {code for heading in headings for code in heading.split(", ")}

    assert set(INCIDENTS) | {"REFUSED", "CUT", "NOTIFIER_FAILED", "ALERTS_DROPPED"} <= named


def test_no_more_than_so_many_are_sent_in_a_minute() -> None:
    async def script(desk: Desk, inbox: Inbox) -> None:
        for number in range(PER_MINUTE_MAX + 5):
            desk.tell(since_ms=number)
        await asyncio.sleep(59)
        assert len(inbox.got) == PER_MINUTE_MAX
        await asyncio.sleep(2)
        assert len(inbox.got) == PER_MINUTE_MAX + 5

    while_delivering(script)


def test_what_does_not_fit_is_counted_and_telling_never_waits() -> None:
    async def script(desk: Desk, inbox: Inbox) -> None:
        inbox.takes_s = 5.0
        for number in range(ALERTS_WAITING_MAX + 30):
            desk.tell(since_ms=number)
        assert desk.alerts.dropped == 30
        await asyncio.sleep(3_600)
        assert len(inbox.got) == ALERTS_WAITING_MAX
        assert desk.notes == [("ALERTS_DROPPED", {"count": 30})]

    while_delivering(script)


def test_a_failure_that_may_pass_is_tried_again_as_late_as_is_asked() -> None:
    inbox = Inbox(NotDeliveredError("HTTP 429", retry_after_ms=7_000), NotDeliveredError("HTTP 502", retry_after_ms=0))

    async def script(desk: Desk, inbox: Inbox) -> None:
        desk.tell()
        await asyncio.sleep(30)
        assert [round(at, 1) for at in inbox.at_s] == [0.0, 7.0, 9.0]
        assert len(inbox.got) == 1
        assert desk.alerts.failed == {"inbox": 0}

    while_delivering(script, inbox)


def test_a_failure_that_stays_is_given_up_counted_and_noted_once_in_a_while() -> None:
    inbox = Inbox(*(NotDeliveredError("HTTP 404") for _ in range(3)))

    async def script(desk: Desk, inbox: Inbox) -> None:
        for number in range(4):
            desk.tell(since_ms=number)
        await asyncio.sleep(1)
        assert desk.alerts.failed == {"inbox": 3}
        assert desk.alerts.delivered == {"inbox": 1}
        [(code, detail)] = desk.notes
        assert (code, detail["channel"], detail["why"]) == ("NOTIFIER_FAILED", "inbox", "HTTP 404")

    while_delivering(script, inbox)


def test_a_channel_that_fails_does_not_keep_others_from_theirs() -> None:
    async def main() -> None:
        dead, alive = Inbox(*(NotDeliveredError("HTTP 403") for _ in range(9))), Inbox()
        dead.name = "dead"
        desk = Desk(dead, alive)
        delivering = asyncio.create_task(desk.alerts.run())
        desk.tell()
        await asyncio.sleep(1)
        assert len(alive.got) == 1
        delivering.cancel()

    run_virtual(main, epoch_ms=NOW_MS)


def test_a_text_says_what_happened_in_one_line_of_bounded_length() -> None:
    async def script(desk: Desk, inbox: Inbox) -> None:
        desk.tell("HALTED", level="entries", why="n" * 5_000)
        await asyncio.sleep(1)
        [alert] = inbox.got
        assert alert.text.startswith("HALTED: level=entries, why=nnn")
        assert len(alert.text) == TEXT_LENGTH_MAX

    while_delivering(script)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
DETAILS = st.recursive(
    WORDS | st.integers() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def poisoned(detail: Any, secret: str) -> Any:
    """Put a secret into every text and every key."""
    if isinstance(detail, dict):
        return {f"{key}{secret}": poisoned(value, secret) for key, value in detail.items()}
    if isinstance(detail, list):
        return [poisoned(value, secret) for value in detail]
    return f"{detail}{secret}{detail}" if isinstance(detail, str) else detail


@settings(max_examples=40, deadline=None)
@given(
    detail=st.dictionaries(WORDS, DETAILS, min_size=1, max_size=4),
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=2, max_size=40).map("S3~{}".format),
    code=st.sampled_from(sorted(INCIDENTS)),
)
def test_no_secret_is_ever_told_wherever_it_stands(detail: dict[str, Any], secret: str, code: str) -> None:
    dirty = poisoned(detail, secret)
    dirty["why"] = f"Error at https://hooks.example/{secret} ({secret})"
    good, bad = Inbox(), Inbox(NotDeliveredError(f"boom {secret}"))
    bad.name = "bad"

    async def main() -> Desk:
        desk = Desk(good, bad, LogChannel(), secrets=(secret,))
        delivering = asyncio.create_task(desk.alerts.run())
        desk.alerts.tell(Noted(code=code, detail=dirty, at_ms=NOW_MS))
        await asyncio.sleep(1)
        delivering.cancel()
        return desk

    with structlog.testing.capture_logs() as lines:
        desk = run_virtual(main, epoch_ms=NOW_MS)
    [alert] = good.got
    assert [line["event"] for line in lines] == ["alert.not_delivered", "alert"]
    assert [note for note, _ in desk.notes] == ["NOTIFIER_FAILED"]
    told = list(leaves([alert.text, alert.detail, lines, desk.notes]))
    assert [text for text in told if secret in text] == []


def leaves(value: Any) -> Any:
    """Yield every text of a value, the keys that we did not choose too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)
    else:
        yield str(value)
