"""The process that holds the key: the same signatures as in the worker, and none that its own policy does not allow."""

from __future__ import annotations

import socket
import stat
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.live.remote_signer import RemoteSigner, ask, signer_at
from copytrade.adapters.live.signer import BadKeyError, LocalSigner
from copytrade.adapters.live.signing_desk import SigningDesk, open_desk
from copytrade.adapters.live.signing_lines import order_fields, read_order
from copytrade.domain.fills import Side
from copytrade.domain.orders import OrderType
from copytrade.domain.signing_policy import SigningPolicy
from copytrade.domain.venue_orders import SignatureType, VenueOrder
from copytrade.ports.signer import SigningRefusedError
from copytrade.sandbox import contracts
from tests.makers import NOW_MS, YES, micro
from tests.unit.sandbox.trader import KEY

SIGNER = LocalSigner(bytes.fromhex(KEY[2:]))
DAY_MS = 86_400_000
BUY = VenueOrder(
    salt=1,
    maker=SIGNER.address,
    signer=SIGNER.address,
    token_id=YES,
    maker_amount=micro("5"),
    taker_amount=micro("10"),
    side=Side.BUY,
    signature_type=SignatureType.EOA,
    timestamp_ms=NOW_MS,
    exchange=contracts.EXCHANGE_STANDARD,
    protocol="2",
    order_type=OrderType.GTC,
)
SELL = replace(BUY, side=Side.SELL, maker_amount=micro("10"), taker_amount=micro("5"))
POLICY = SigningPolicy(
    wallet=SIGNER.address,
    exchanges=frozenset({contracts.EXCHANGE_STANDARD}),
    sides=frozenset(Side),
    price_min=micro("0.05"),
    price_max=micro("0.95"),
    usdc_per_order=micro("5"),
    usdc_per_day=micro("12"),
)


class Now:
    """A clock that is set."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms

    async def sleep_ms(self, ms: int) -> None:
        self.ms += ms


@asynccontextmanager
async def a_signer(policy: SigningPolicy = POLICY, now: Now | None = None) -> AsyncIterator[RemoteSigner]:
    # The path of a socket may have a hundred characters: the test's own folder is too deep.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        async with open_desk(SigningDesk(signer=SIGNER, policy=policy, clock=now or Now()), path):
            yield await signer_at(path)


async def test_it_signs_what_the_key_in_the_worker_would() -> None:
    async with a_signer() as signer:
        assert signer.address == SIGNER.address
        assert await signer.sign_order(BUY) == await SIGNER.sign_order(BUY)
        assert await signer.sign_order(replace(SELL, salt=2)) == await SIGNER.sign_order(replace(SELL, salt=2))
        asked = {"timestamp_s": NOW_MS // 1_000, "nonce": 0}
        assert await signer.sign_attestation(**asked) == await SIGNER.sign_attestation(**asked)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"maker": "0x" + "11" * 20}, "the maker is 0x11"),
        ({"exchange": contracts.EXCHANGE_NEG_RISK}, "is not on the list"),
        ({"maker_amount": micro("5.01"), "taker_amount": micro("20")}, "more than 5.00 an order"),
        ({"maker_amount": 0}, "not above 0"),
        ({"taker_amount": micro("5.1")}, "the price is not from 0.05 to 0.95"),
        ({"taker_amount": micro("101")}, "the price is not from 0.05 to 0.95"),
    ],
)
async def test_what_the_policy_does_not_allow_is_not_signed(changed: dict[str, Any], said: str) -> None:
    async with a_signer() as signer:
        with pytest.raises(SigningRefusedError, match=said):
            await signer.sign_order(replace(BUY, **changed))


async def test_a_sell_is_held_to_its_side_and_price_and_to_no_cap() -> None:
    async with a_signer() as signer:
        await signer.sign_order(replace(SELL, maker_amount=micro("1000"), taker_amount=micro("500")))
        with pytest.raises(SigningRefusedError, match="price"):
            await signer.sign_order(replace(SELL, salt=3, taker_amount=1))
    async with a_signer(replace(POLICY, sides=frozenset({Side.BUY}))) as signer:
        with pytest.raises(SigningRefusedError, match="SELL is not signed here"):
            await signer.sign_order(SELL)


async def test_a_day_has_its_cap_and_the_same_order_counts_once() -> None:
    now = Now()
    async with a_signer(now=now) as signer:
        for _ in range(3):
            await signer.sign_order(BUY)
        await signer.sign_order(replace(BUY, salt=2))
        with pytest.raises(SigningRefusedError, match=r"with 10.00 today it is more than 12.00 a day"):
            await signer.sign_order(replace(BUY, salt=3))

        now.ms += DAY_MS

        await signer.sign_order(replace(BUY, salt=3))


async def test_one_salt_signs_one_order() -> None:
    async with a_signer() as signer:
        await signer.sign_order(BUY)
        with pytest.raises(SigningRefusedError, match="another order of that salt"):
            await signer.sign_order(replace(BUY, taker_amount=micro("11")))


async def test_a_key_is_asked_for_only_at_the_present_time() -> None:
    async with a_signer() as signer:
        with pytest.raises(SigningRefusedError, match="the time is not now"):
            await signer.sign_attestation(timestamp_s=NOW_MS // 1_000 + 3_600, nonce=0)


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"ask": "key"},
        {"ask": "digest", "digest": "00" * 32},
        {"ask": "order"},
        {"ask": "order", "order": {**order_fields(BUY), "to": "0x1"}},
        {"ask": "order", "order": {**order_fields(BUY), "maker_amount": "5"}},
        {"ask": "order", "order": {**order_fields(BUY), "maker_amount": True}},
        {"ask": "order", "order": {**order_fields(BUY), "side": "HOLD"}},
        {"ask": "attestation", "timestamp_s": "now", "nonce": 0},
    ],
)
async def test_nothing_else_is_answered(question: dict[str, Any]) -> None:
    async with a_signer() as signer:
        with pytest.raises(SigningRefusedError, match="refuses"):
            await ask(signer._path, question)


async def test_the_socket_is_closed_to_others_and_taken_once() -> None:
    async with a_signer() as signer:
        assert not stat.S_IMODE(signer._path.stat().st_mode) & stat.S_IRWXO
        with pytest.raises(FileExistsError):
            async with open_desk(SigningDesk(signer=SIGNER, policy=POLICY, clock=Now()), signer._path):
                pass
        assert await signer.sign_order(BUY)


async def test_the_socket_of_a_signer_that_was_killed_is_taken_over() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(path))
        async with open_desk(SigningDesk(signer=SIGNER, policy=POLICY, clock=Now()), path):
            assert await (await signer_at(path)).sign_order(BUY)


async def test_without_a_signer_nothing_is_signed() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        with pytest.raises(BadKeyError, match="start copytrade signer"):
            await signer_at(path)
        with pytest.raises(SigningRefusedError):
            await RemoteSigner(path, SIGNER.address).sign_order(BUY)


@given(
    salt=st.integers(0, 2**52),
    offered=st.integers(0, 2**63 - 1),
    side=st.sampled_from(Side),
    kind=st.sampled_from(SignatureType),
    order_type=st.sampled_from(OrderType),
)
def test_an_order_is_read_as_it_was_asked(
    salt: int, offered: int, side: Side, kind: SignatureType, order_type: OrderType
) -> None:
    order = replace(BUY, salt=salt, maker_amount=offered, side=side, signature_type=kind, order_type=order_type)

    assert read_order(order_fields(order)) == order
