"""Live mode starts only through every gate: each refuses by itself, names itself and says what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from copytrade.domain.live_gates import LIVE_GATES, KeySource, LiveGateName, Reconciled, Unknown, refusals
from copytrade.engine.live_drills import drill, drill_all, live_drills, sound_facts

SAYS = {
    LiveGateName.LEADERS: "--live-allowed",
    LiveGateName.CAPS: "LIVE_MAX_USDC_PER_ORDER is not set",
    LiveGateName.TRIGGER_MODE: "TRIGGER_MODE is 'data_api'; set one that reads the chain",
    LiveGateName.BOOKSTORE_MODE: "BOOKSTORE_MODE is 'ws'; set ws+snapshot",
    LiveGateName.KEY_SOURCE: "LIVE_ACCEPT_ENV_KEY=true",
    LiveGateName.PROVIDERS: "POLYGON_HTTP_URL names nodes of 1 provider(s); name 2",
    LiveGateName.DATABASE: "DATABASE_URL",
    LiveGateName.RECONCILIATION: "copytrade reconcile --repair",
    LiveGateName.CONFIRMATION: "LIVE_CONFIRM is not set; read over what is configured (copytrade live status) "
    "and type its hash there: c0ffee",
    LiveGateName.CHAIN: "two is on chain 1; name a node of chain 137",
    LiveGateName.CLOCK: "-2001 ms off the venue's",
    LiveGateName.VERSION: "the venue speaks version 3, this program 2",
    LiveGateName.GEOBLOCK: "no orders from here (US)",
    LiveGateName.BALANCE: "the wallet holds 0.999999 USDC",
    LiveGateName.ALLOWANCES: "this program never approves",
    LiveGateName.ALONE: "1 order(s) of this account are not in this database",
    LiveGateName.LADDER: "copytrade live promote",
}


def test_every_gate_is_in_the_table_once_and_has_a_drill() -> None:
    assert [gate.name for gate in LIVE_GATES] == list(LiveGateName)
    assert set(live_drills()) == set(LiveGateName)


def test_nothing_is_refused_while_every_condition_holds() -> None:
    assert list(refusals(sound_facts())) == []


@pytest.mark.parametrize("gate", LIVE_GATES, ids=lambda gate: gate.name)
def test_without_its_condition_the_gate_alone_refuses_and_says_what_to_do(gate) -> None:
    drilled = drill(gate.name)

    assert drilled.fired, drilled.line
    assert drilled.line.startswith(f"live gate {gate.name}: ")
    assert SAYS[gate.name] in drilled.line
    assert "\n" not in drilled.line


def test_the_list_of_drills_has_every_gate() -> None:
    assert [one.gate for one in drill_all()] == [gate.name for gate in LIVE_GATES]
    assert all(one.fired for one in drill_all())


@pytest.mark.parametrize(
    ("changed", "gate"),
    [
        ({"leaders": {}}, LiveGateName.LEADERS),
        ({"allow_list": frozenset()}, LiveGateName.LEADERS),
        ({"allow_list": frozenset({"0x" + "44" * 20})}, LiveGateName.LEADERS),
        ({"key_sources": frozenset()}, LiveGateName.KEY_SOURCE),
        ({"key_sources": frozenset(KeySource), "accepts_environment_key": True}, LiveGateName.KEY_SOURCE),
        ({"reconciled": None}, LiveGateName.RECONCILIATION),
        ({"reconciled": Reconciled(age_ms=90_000_000, errors=0)}, LiveGateName.RECONCILIATION),
        ({"confirmed_hash": "c0ffe0"}, LiveGateName.CONFIRMATION),
    ],
)
def test_every_way_to_lack_a_condition_is_refused(changed, gate) -> None:
    assert [one.gate for one in refusals(replace(sound_facts(), **changed))] == [gate]


@pytest.mark.parametrize(
    ("changed", "gate"),
    [
        ({"chains": {}}, LiveGateName.CHAIN),
        ({"chains": {"one": Unknown("timeout")}}, LiveGateName.CHAIN),
        ({"skew_ms": 2_001}, LiveGateName.CLOCK),
        ({"skew_ms": Unknown("timeout")}, LiveGateName.CLOCK),
        ({"version": Unknown("timeout")}, LiveGateName.VERSION),
        ({"is_blocked_in": Unknown("timeout")}, LiveGateName.GEOBLOCK),
        ({"balance": Unknown("timeout")}, LiveGateName.BALANCE),
        ({"allowances": Unknown("timeout")}, LiveGateName.ALLOWANCES),
        ({"allowances": {}}, LiveGateName.ALLOWANCES),
        ({"holds_lock": False}, LiveGateName.ALONE),
        ({"strangers": Unknown("timeout")}, LiveGateName.ALONE),
    ],
)
def test_what_nobody_says_is_no_condition_that_holds(changed, gate) -> None:
    facts = sound_facts()
    assert facts.asked is not None

    refused = list(refusals(replace(facts, asked=replace(facts.asked, **changed))))

    assert [one.gate for one in refused] == [gate]


def test_before_anybody_is_asked_only_the_configuration_is_judged() -> None:
    assert list(refusals(replace(sound_facts(), asked=None))) == []
    shut = replace(sound_facts(), asked=None, confirmed_hash="")
    assert [one.gate for one in refusals(shut)] == [LiveGateName.CONFIRMATION]
