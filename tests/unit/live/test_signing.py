"""What we sign and post is, byte for byte, what the venue's own clients sign and post."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eth_account import Account as OfficialAccount
from hypothesis import given, settings
from hypothesis import strategies as st
from polymarket._internal.actions.orders.market import _compute_market_order_amounts
from polymarket._internal.actions.orders.post import build_post_order_request
from polymarket._internal.actions.orders.typed_data import build_order_signature, build_order_typed_data
from polymarket._internal.actions.orders.types import SignedOrder, UnsignedOrder
from polymarket._internal.hmac import build_hmac_signature
from polymarket._internal.l1_auth import sign_api_key_auth
from polymarket.environments import PRODUCTION

from copytrade.adapters.live.clob_account import post_body
from copytrade.adapters.live.credentials import ApiKey, key_request_headers, request_headers
from copytrade.adapters.live.signer import BadKeyError, LocalSigner
from copytrade.adapters.live.typed_data import checksummed, order_digest, order_hash, separator
from copytrade.domain.fills import Side
from copytrade.domain.orders import OrderType
from copytrade.domain.units import LOT, MICRO
from copytrade.domain.venue_orders import (
    ZERO_WORD,
    Exchanges,
    SignatureType,
    VenueOrder,
    amounts_of,
    salt_of,
)
from tests.makers import a_market, micro

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
SIGNER = LocalSigner(bytes.fromhex(KEY[2:]))
TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
CTF, NEG = "0xe111180000d2663c0091e4f400237545b87b996b", "0xe2222d279d744050d28e00520010520000310f59"
V3 = "0xe3333700ca9d93003f00f0f71f8515005f6c00aa"
WALLET = "0x" + "11" * 20
DOMAINS = {(CTF, "2"): "3264e159", (NEG, "2"): "9b858f53", (V3, "3"): "466c6391"}
TICKS = ["0.1", "0.01", "0.005", "0.0025", "0.001", "0.0001"]

uint256 = st.integers(1, 2**256 - 1)
words = st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex())
orders = st.builds(
    VenueOrder,
    salt=st.integers(0, 2**52 - 1),
    maker=st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()),
    signer=st.sampled_from([SIGNER.address, WALLET]),
    token_id=uint256.map(str),
    maker_amount=st.integers(1, 2**63),
    taker_amount=st.integers(1, 2**63),
    side=st.sampled_from(Side),
    signature_type=st.sampled_from(SignatureType),
    timestamp_ms=st.integers(1, 2**43),
    exchange=st.sampled_from([CTF, NEG, V3]),
    protocol=st.sampled_from(["2", "3"]),
    order_type=st.sampled_from(OrderType),
    expiration_s=st.integers(0, 2**33),
    metadata=st.just(ZERO_WORD) | words,
    builder=st.just(ZERO_WORD) | words,
)


def signed(order: VenueOrder, signer: LocalSigner = SIGNER) -> bytes:
    return asyncio.run(signer.sign_order(order))


def officially(order: VenueOrder) -> UnsignedOrder:
    post_only = order.order_type is OrderType.POST_ONLY
    return UnsignedOrder(
        chain_id=137,
        builder=order.builder,
        exchange_address=checksummed(order.exchange),
        expiration=order.expiration_s,
        maker=checksummed(order.maker),
        maker_amount=order.maker_amount,
        metadata=order.metadata,
        order_type="GTC" if post_only else order.order_type.value,
        salt=order.salt,
        side=order.side.value,
        signature_type=int(order.signature_type),
        signer=checksummed(order.signer),
        taker_amount=order.taker_amount,
        timestamp=order.timestamp_ms,
        token_id=order.token_id,
        protocol_version=order.protocol,
    )


@settings(max_examples=60, deadline=None)
@given(orders)
def test_signature_and_post_are_those_of_the_official_client(order: VenueOrder) -> None:
    unsigned = officially(order)
    bare = OfficialAccount.from_key(KEY).sign_typed_data(full_message=build_order_typed_data(unsigned)).signature
    official = build_order_signature(unsigned, "0x" + bare.hex())
    names = ["builder", "expiration", "maker", "maker_amount", "metadata", "order_type", "salt", "side"]
    names += ["signature_type", "signer", "taker_amount", "timestamp", "token_id"]
    facts = {name: getattr(unsigned, name) for name in names}
    posted = SignedOrder(**facts, signature=official, post_only=order.order_type is OrderType.POST_ONLY)
    _, payload = build_post_order_request(posted, owner_api_key="key")

    assert "0x" + signed(order).hex() == official
    assert post_body(order, signed(order), "key") == json.dumps(payload, separators=(",", ":")).encode()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 2**33), st.integers(0, 2**20))
def test_the_request_for_an_api_key_is_that_of_the_official_client(timestamp_s: int, nonce: int) -> None:
    official = sign_api_key_auth(OfficialAccount.from_key(KEY), chain_id=137, timestamp=timestamp_s, nonce=nonce)

    headers = asyncio.run(key_request_headers(SIGNER, timestamp_s=timestamp_s, nonce=nonce))

    assert headers == {
        "POLY_ADDRESS": official.address,
        "POLY_NONCE": str(nonce),
        "POLY_SIGNATURE": official.signature,
        "POLY_TIMESTAMP": str(timestamp_s),
    }


@settings(max_examples=50, deadline=None)
@given(
    st.binary(min_size=1, max_size=64), st.integers(1, 2**33), st.sampled_from(["GET", "POST"]), st.text(max_size=40)
)
def test_the_proof_of_a_request_is_that_of_the_official_client(secret, timestamp_s, method, body) -> None:
    encoded = base64.urlsafe_b64encode(secret).decode()
    api_key = ApiKey(key="k", passphrase="p", secret=secret, encoded_secret=encoded)
    official = build_hmac_signature(secret=encoded, timestamp=timestamp_s, method=method, path="/order", body=body)

    headers = request_headers(
        api_key, address=SIGNER.address, method=method, path="/order", body=body.encode(), timestamp_s=timestamp_s
    )

    assert headers["POLY_SIGNATURE"] == official


@pytest.mark.parametrize(("domain", "begins"), DOMAINS.items())
def test_each_exchange_has_its_own_domain(domain: tuple[str, str], begins: str) -> None:
    exchanges = PRODUCTION._config

    assert separator(*domain).hex().startswith(begins)
    assert domain[0] in str(exchanges).lower()


def test_the_exchange_is_that_of_the_market_and_of_the_kind_of_token() -> None:
    exchanges = Exchanges(ctf=CTF, neg_risk=NEG, v3=V3)
    position = str(1 << 248 | 7 << 120)

    assert exchanges.of(a_market(), TOKEN) == (CTF, "2")
    assert exchanges.of(a_market(neg_risk=True), TOKEN) == (NEG, "2")
    assert exchanges.of(a_market(neg_risk=True), position) == (V3, "3")


def _vectors(recorded_data: Path, name: str) -> dict[str, Any]:
    return json.loads((recorded_data / "vectors" / name).read_text("utf-8"))


def _order(message: dict[str, Any], exchange: str) -> VenueOrder:
    return VenueOrder(
        salt=int(message["salt"]),
        maker=message["maker"].lower(),
        signer=message["signer"].lower(),
        token_id=message["tokenId"],
        maker_amount=int(message["makerAmount"]),
        taker_amount=int(message["takerAmount"]),
        side=Side.BUY if message["side"] in {0, "BUY"} else Side.SELL,
        signature_type=SignatureType(message["signatureType"]),
        timestamp_ms=int(message["timestamp"]),
        exchange=exchange.lower(),
        protocol="2",
        order_type=OrderType.GTC,
        expiration_s=int(message.get("expiration", 0)),
        metadata=message["metadata"],
        builder=message["builder"],
    )


@pytest.mark.recorded
def test_orders_on_the_chain_have_the_hash_we_compute(recorded_data: Path) -> None:
    recorded = _vectors(recorded_data, "mainnet_v2_signed_orders_c1375cac.json")

    for one in recorded["orders"]:
        assert order_hash(_order(one["message"], recorded["domain"]["verifyingContract"])) == one["order_hash"]


@pytest.mark.recorded
def test_every_recorded_signature_is_reproduced_bit_for_bit(recorded_data: Path) -> None:
    for one in _vectors(recorded_data, "py_clob_client_v2_oracle.json")["orders_v2"]:
        order = _order(one["order"], one["verifying_contract"])
        signer = LocalSigner(bytes.fromhex(KEY[2:]), chain_id=one["chain_id"])
        assert "0x" + order_digest(order, one["chain_id"]).hex() == one["order_hash"]
        assert "0x" + signed(order, signer).hex() == one["signature"]
    published = _vectors(recorded_data, "polymarket_published_vectors.json")
    wallet = published["order_v2_poly_1271"]
    order = _order(wallet["message"], wallet["domain"]["verifyingContract"])
    assert "0x" + signed(order, LocalSigner(bytes.fromhex(KEY[2:]), chain_id=80002)).hex() == wallet["signature"]


@pytest.mark.recorded
def test_every_recorded_request_for_a_key_and_proof_is_reproduced(recorded_data: Path) -> None:
    oracle = _vectors(recorded_data, "py_clob_client_v2_oracle.json")
    published = _vectors(recorded_data, "polymarket_published_vectors.json")
    for one in [*oracle["clob_auth_L1"], published["clob_auth_L1"]]:
        signer = LocalSigner(bytes.fromhex(KEY[2:]), chain_id=one.get("chain_id", 80002))
        made = asyncio.run(signer.sign_attestation(timestamp_s=one["timestamp"], nonce=one["nonce"]))
        assert "0x" + made.hex() == one["signature"]
    # The older client rewrote quotes in what it signed; what is sent has none of the other kind.
    for one in [one for one in [*oracle["hmac_L2"], published["hmac_L2"]] if "'" not in (one["body"] or "")]:
        api_key = ApiKey(
            key="k", passphrase="p", secret=base64.urlsafe_b64decode(one["secret"]), encoded_secret=one["secret"]
        )
        headers = request_headers(
            api_key,
            address=SIGNER.address,
            method=one["method"],
            path=one["path"],
            body=(one["body"] or "").encode(),
            timestamp_s=int(one["timestamp"]),
        )
        assert headers["POLY_SIGNATURE"] == one["signature"]


@given(st.sampled_from(TICKS), st.data())
def test_amounts_of_orders_that_may_rest_are_exact(tick: str, data: st.DataObject) -> None:
    step = micro(tick)
    limit = data.draw(st.integers(1, MICRO // step - 1)) * step
    shares = data.draw(st.integers(1, 10**7)) * LOT

    offered, asked = amounts_of(OrderType.GTC, side=Side.BUY, shares=shares, limit=limit, tick=step)
    given_away, wanted = amounts_of(OrderType.GTC, side=Side.SELL, shares=shares, limit=limit, tick=step)

    assert offered * MICRO == asked * limit
    assert (offered, asked) == (wanted, given_away)
    assert asked == shares


@given(st.sampled_from(TICKS), st.data())
def test_amounts_of_orders_that_never_rest_are_the_official_ones_cut_to_four_decimals(tick: str, data: Any) -> None:
    step = micro(tick)
    limit = data.draw(st.integers(1, MICRO // step - 1)) * step
    shares = data.draw(st.integers(1, 10**6)) * LOT
    spend = shares * limit // MICRO // 10_000 * 10_000

    bought = amounts_of(OrderType.FAK, side=Side.BUY, shares=shares, limit=limit, tick=step)
    sold = amounts_of(OrderType.FOK, side=Side.SELL, shares=shares, limit=limit, tick=step)

    facts = {"price": Decimal(limit) / MICRO, "tick_size": Decimal(tick)}
    offered, asked = _compute_market_order_amounts(amount=Decimal(spend) / MICRO, side="BUY", **facts)
    assert bought == (offered, asked // 100 * 100)
    given_away, wanted = _compute_market_order_amounts(amount=Decimal(shares) / MICRO, side="SELL", **facts)
    assert sold == (given_away, wanted // 100 * 100)


@given(st.uuids(), st.uuids())
def test_a_salt_is_the_attempts_own_and_a_double_holds_it(one: UUID, other: UUID) -> None:
    assert salt_of(one) == int(float(salt_of(one))) < 2**52
    assert (salt_of(one) == salt_of(other)) == (one == other)


def test_a_signer_shows_its_address_and_nothing_else() -> None:
    assert repr(SIGNER) == str(SIGNER) == f"LocalSigner({SIGNER.address})"
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leave(SIGNER)


@pytest.mark.parametrize("raw", [b"", bytes(31), bytes(32), b"\xff" * 32, bytes(33)])
def test_what_is_no_key_is_refused_without_being_repeated(raw: bytes) -> None:
    with pytest.raises(BadKeyError) as refused:
        LocalSigner(raw)
    assert raw.hex() not in str(refused.value) or not raw
