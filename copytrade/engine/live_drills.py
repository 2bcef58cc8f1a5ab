"""A drill for each gate of live mode: what holds is taken away from facts that are otherwise as they should be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from copytrade.domain.ladder import Rung, Standing
from copytrade.domain.live_gates import (
    POLYGON,
    RECONCILED_MS_MAX,
    SKEW_MS_MAX,
    VENUE_VERSION,
    Asked,
    KeySource,
    LiveFacts,
    LiveGateName,
    Reconciled,
    refusals,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Spoil = Callable[[LiveFacts, Asked], tuple[LiveFacts, Asked]]

_LEADER: Final = "0x" + "11" * 20
_SPENDER: Final = "0x" + "22" * 20
_NEEDED: Final = 1_000_000
_ON_PAPER: Final = Standing(account_id="live", rung=Rung.PAPER, revision=1, moved_by="drill", why="drill", since_ms=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What came of a drill: `fired` says whether that gate, and no other, refused."""

    gate: LiveGateName
    fired: bool
    line: str


def sound_facts() -> LiveFacts:
    """Return made-up facts that every gate is content with."""
    asked = Asked(
        chains={"one": POLYGON, "two": POLYGON},
        skew_ms=0,
        version=VENUE_VERSION,
        is_blocked_in="",
        balance=_NEEDED,
        allowances={_SPENDER: _NEEDED},
        needed=_NEEDED,
        holds_lock=True,
        strangers=(),
    )
    return LiveFacts(
        leaders={_LEADER: True},
        allow_list=frozenset({_LEADER}),
        caps={"LIVE_MAX_USDC_PER_ORDER": _NEEDED},
        trigger_mode="both",
        reads_chain=True,
        bookstore_mode="ws+snapshot",
        has_snapshots=True,
        key_sources=frozenset({KeySource.KEYSTORE}),
        accepts_environment_key=False,
        providers=frozenset({"one", "two"}),
        database="",
        reconciled=Reconciled(age_ms=RECONCILED_MS_MAX, errors=0),
        configuration_hash="c0ffee",
        confirmed_hash="c0ffee",
        asked=asked,
    )


def live_drills() -> Mapping[LiveGateName, Spoil]:
    """Return what takes away each gate's condition, by the gate."""
    gate = LiveGateName
    return {
        gate.LEADERS: lambda facts, asked: (replace(facts, leaders={_LEADER: False}), asked),
        gate.CAPS: lambda facts, asked: (replace(facts, caps={"LIVE_MAX_USDC_PER_ORDER": None}), asked),
        gate.TRIGGER_MODE: lambda facts, asked: (replace(facts, trigger_mode="data_api", reads_chain=False), asked),
        gate.BOOKSTORE_MODE: lambda facts, asked: (replace(facts, bookstore_mode="ws", has_snapshots=False), asked),
        gate.KEY_SOURCE: lambda facts, asked: (
            replace(facts, key_sources=frozenset({KeySource.ENVIRONMENT})),
            asked,
        ),
        gate.PROVIDERS: lambda facts, asked: (replace(facts, providers=frozenset({"one"})), asked),
        gate.DATABASE: lambda facts, asked: (replace(facts, database="the database is in memory"), asked),
        gate.RECONCILIATION: lambda facts, asked: (replace(facts, reconciled=Reconciled(age_ms=0, errors=1)), asked),
        gate.CONFIRMATION: lambda facts, asked: (replace(facts, confirmed_hash=""), asked),
        gate.CHAIN: lambda facts, asked: (facts, replace(asked, chains={"one": POLYGON, "two": 1})),
        gate.CLOCK: lambda facts, asked: (facts, replace(asked, skew_ms=-SKEW_MS_MAX - 1)),
        gate.VERSION: lambda facts, asked: (facts, replace(asked, version=VENUE_VERSION + 1)),
        gate.GEOBLOCK: lambda facts, asked: (facts, replace(asked, is_blocked_in="US")),
        gate.BALANCE: lambda facts, asked: (facts, replace(asked, balance=_NEEDED - 1)),
        gate.ALLOWANCES: lambda facts, asked: (facts, replace(asked, allowances={_SPENDER: _NEEDED - 1})),
        gate.ALONE: lambda facts, asked: (facts, replace(asked, strangers=("0x" + "33" * 32,))),
        gate.LADDER: lambda facts, asked: (facts, replace(asked, standing=_ON_PAPER)),
    }


def drill(gate: LiveGateName) -> Drilled:
    """Take a gate's condition away and see who refuses; a gate without a drill has not fired."""
    facts, spoil = sound_facts(), live_drills().get(gate)
    if spoil is None or facts.asked is None:
        return Drilled(gate=gate, fired=False, line="there is no drill for it")
    facts, asked = spoil(facts, facts.asked)
    refused = tuple(refusals(replace(facts, asked=asked)))
    fired = [one.gate for one in refused] == [gate]
    return Drilled(gate=gate, fired=fired, line=refused[0].line if refused else "it let the start pass")


def drill_all() -> tuple[Drilled, ...]:
    """Drill every gate of live mode, in the order of the table."""
    return tuple(drill(gate) for gate in LiveGateName)
