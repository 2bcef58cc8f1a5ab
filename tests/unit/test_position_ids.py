"""What the bits of a token id tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.market import condition_of_position, is_combo, is_position_id, is_token_id

CANARY = "663574927012476832975694178961957910328055987427402067619466963999000625152"
CANARY_CONDITION = "0x017791f201d5a788e0039e511fc1900e5f000000000000000000000000000000"
V1 = "25070934348813416902477876984955073880416401960631253331845590271167412497744"


def test_a_protocol_v2_position_is_told_by_its_bits() -> None:
    assert is_position_id(CANARY)
    assert not is_position_id(V1)


def test_a_position_names_its_condition() -> None:
    assert condition_of_position(CANARY) == CANARY_CONDITION
    assert condition_of_position(str(int(CANARY) | 1)) == CANARY_CONDITION


@given(
    module=st.integers(0, 255),
    base=st.integers(0, 2**128 - 1),
    reserved=st.integers(0, 2**64 - 1),
    low=st.integers(1, 2**40 - 1),
)
def test_only_the_combo_module_of_protocol_v2_is_a_combo(module: int, base: int, reserved: int, low: int) -> None:
    token_id = str(module << 248 | base << 120 | reserved << 40 | low)

    assert is_combo(token_id) == (module == 3 and reserved == 0)


@pytest.mark.parametrize("text", ["", "0", "-1", "0x3", "3.0", "9" * 90, "\uff11", str(2**256)])
def test_what_is_no_uint256_is_no_token(text: str) -> None:
    assert not is_token_id(text)
    assert not is_position_id(text)
    assert not is_combo(text)
