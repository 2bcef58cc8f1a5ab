"""Identities are the same in every run and on every machine: a replay meets its own rows."""

from __future__ import annotations

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain import ids

NAMESPACE = UUID("8f0b3f5e-5d57-4d2a-9d0a-6a3c1f2b7e10")


@given(st.text(max_size=200))
def test_an_id_is_the_name_based_uuid_of_the_standard_library(key):
    assert ids.leader_fill_id(key) == uuid5(NAMESPACE, f"leader_fill|{key}")
    assert ids.raw_row_id("polygon", key) == uuid5(NAMESPACE, f"leader_fill_raw|polygon|{key}")


def test_what_is_named_alike_in_two_tables_has_two_ids():
    assert len({ids.leader_id("one"), ids.leader_fill_id("one"), ids.leader_event_id("one")}) == 3
