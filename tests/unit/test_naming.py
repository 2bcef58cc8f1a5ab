"""How a leader is found by what people call him."""

from __future__ import annotations

from dataclasses import replace

import pytest
import typer

from copytrade.app import new_leader
from copytrade.cli.naming import account_called, free_label, leader_called, short
from copytrade.domain.leaders import Leader
from tests.makers import LEADER, OTHER

STRANGER = "0x" + "77" * 20


def _leader(address: str, label: str) -> Leader:
    return new_leader(address, label=label, since_ms=0, now_ms=0)


BOB, CAROL = _leader(LEADER, "steady-bob"), _leader(OTHER, "Carol")
LEADERS = (BOB, CAROL)


@pytest.mark.parametrize(
    "name", [LEADER, LEADER.upper().replace("0X", "0x"), short(LEADER), "steady-bob", " STEADY-BOB "]
)
def test_a_leader_is_found_by_his_address_its_short_form_and_his_label(name: str) -> None:
    assert leader_called(LEADERS, name) is BOB


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stedy-bob", "stedy-bob is no leader of ours; did you mean steady-bob?"),
        ("bob", "bob is no leader of ours; did you mean steady-bob?"),
        ("carl", "carl is no leader of ours; did you mean Carol?"),
        ("zzz", "zzz is no leader of ours; see `leaders list`"),
        ("", " is no leader of ours; see `leaders list`"),
    ],
)
def test_an_unknown_name_is_refused_with_those_that_are_near(name: str, said: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        leader_called(LEADERS, name)

    assert refused.value.message == said


def test_a_label_that_several_have_is_refused_with_their_addresses() -> None:
    with pytest.raises(typer.BadParameter, match=f"2 leaders are called carol: {LEADER}, {OTHER}"):
        leader_called((replace(BOB, label="carol"), replace(CAROL, label="carol")), "carol")


def test_labels_that_differ_in_capitals_alone_are_told_apart_by_them() -> None:
    upper = replace(BOB, label="CAROL")

    assert leader_called((upper, CAROL), "Carol") is CAROL
    assert leader_called((upper, CAROL), "CAROL") is upper


def test_any_address_will_do_where_a_stranger_may_be_named() -> None:
    assert account_called(LEADERS, f" {STRANGER.upper().replace('0X', '0x')} ", hint="WHO") == STRANGER
    assert account_called(LEADERS, "Carol", hint="WHO") == OTHER
    assert account_called(LEADERS, short(OTHER), hint="WHO") == OTHER


@pytest.mark.parametrize(("name", "said"), [("0x12", "is not an address"), ("caro", "did you mean Carol")])
def test_what_is_neither_an_address_nor_a_label_is_refused(name: str, said: str) -> None:
    with pytest.raises(typer.BadParameter, match=said):
        account_called(LEADERS, name, hint="WHO")


@pytest.mark.parametrize("label", ["Carol", "carol", " CAROL "])
def test_a_label_that_another_leader_has_is_refused(label: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"Carol is {OTHER}; give another name"):
        free_label(LEADERS, label, address=LEADER)


def test_a_leader_keeps_his_own_label_and_any_number_have_none() -> None:
    assert free_label(LEADERS, " Carol ", address=OTHER) == "Carol"
    assert free_label((replace(BOB, label=""), CAROL), "", address=OTHER) == ""


def test_a_label_that_reads_as_an_address_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="is an address; give a name"):
        free_label(LEADERS, STRANGER, address=LEADER)
