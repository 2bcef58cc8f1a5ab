"""What is done about each kind of event, and what a mirrored one takes from whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.leader_events import MIRRORED, EventPolicy
from copytrade.domain.leader_events import LeaderEventKind as Kind
from copytrade.domain.mirroring import KINDS, parse_policies, shares_taken
from tests.makers import NO, YES, a_market, micro
from tests.unit.test_leader_events import an_event


def test_a_person_is_told_of_every_kind_unless_it_is_named():
    assert set(parse_policies("").values()) == {EventPolicy.ALERT}
    named = parse_policies(" merge=MIRROR, SPLIT = ignore ,,")
    assert (named[Kind.MERGE], named[Kind.SPLIT]) == (EventPolicy.MIRROR, EventPolicy.IGNORE)
    assert {policy for kind, policy in named.items() if kind not in {Kind.MERGE, Kind.SPLIT}} == {EventPolicy.ALERT}


@pytest.mark.parametrize("text", ["MERGE", "MERGE=", "MERGE=sell", "JOIN=mirror", "SNAPSHOT=ignore", "SPLIT=mirror"])
def test_what_is_no_policy_is_refused(text):
    with pytest.raises(ValueError, match=r"is not (a valid|among)"):
        parse_policies(text)


@given(st.dictionaries(st.sampled_from(KINDS), st.sampled_from(list(EventPolicy))))
def test_policies_are_read_as_they_are_written(policies):
    possible = {
        kind: policy for kind, policy in policies.items() if policy is not EventPolicy.MIRROR or kind in MIRRORED
    }
    text = ",".join(f"{kind}={policy}" for kind, policy in possible.items())
    assert parse_policies(text) == parse_policies("") | possible


@pytest.mark.parametrize(
    ("kind", "changes", "yes", "no"),
    [
        (Kind.MERGE, {}, "10", "10"),
        (Kind.REDEEM, {}, "10", "10"),
        (Kind.REDEEM, {"token_id": NO}, "0", "10"),
        (Kind.CONVERSION, {}, "0", "10"),
        (Kind.WITHDRAWAL, {"token_id": YES}, "10", "0"),
        (Kind.WITHDRAWAL, {}, "0", "0"),
        (Kind.MERGE, {"condition_id": "0x01"}, "0", "0"),
        (Kind.SPLIT, {}, "0", "0"),
        (Kind.DEPOSIT, {"token_id": YES}, "0", "0"),
        (Kind.MIGRATION, {}, "0", "0"),
    ],
)
def test_what_an_event_took_of_each_token(kind, changes, yes, no):
    event = an_event(kind, "10", **changes)
    assert [shares_taken(event, token, a_market()) for token in (YES, NO)] == [micro(yes), micro(no)]
