"""What real clients sign is taken; one bit of it changed is not."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from polymarket._internal import wallet as official
from polymarket.environments import PRODUCTION

from copytrade.sandbox import contracts
from copytrade.sandbox.trading import typed_data
from copytrade.sandbox.trading.credentials import request_signature
from copytrade.sandbox.trading.recovery import recover_address
from copytrade.sandbox.trading.signature import find_fault, order_hash
from copytrade.sandbox.trading.signed_order import SignedOrder, read_order
from copytrade.sandbox.trading.wallets import (
    Account,
    Accounts,
    SignatureType,
    deposit_wallets_of,
    proxy_of,
    safe_of,
)
from tests.unit.sandbox.trader import ADDRESS, ORDER_FIELDS, ZERO

TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
DOMAINS = {
    contracts.EXCHANGE_STANDARD: (
        "3264e159346253e26a64e00b69032db0e7d32f94628de3e6eecb50304d7af3d2",
        "0xa4a1cf1f2e87f4fa127c754aaa84dcb3e82089c874adb54812e8ef8987306cb0",
        (
            "0x6fd689d2f8bace3a3ebee15d79484c752cfbc9afbbf7bd7e202dc75c50a035a7"
            "0e734b8fd9fd8a70395779c91e024c27f361e9107aa85568043ae7059f97e6791c"
        ),
    ),
    contracts.EXCHANGE_NEG_RISK: (
        "9b858f53327b0bd13af8ec14cfb35234fb9eb7b0504d1a4e61f433840d30e81a",
        "0x8f8ba84b19aca037d433a539e44392ef0f445edf615204c98617afe49d5e933c",
        (
            "0x1a0f5b3b707fb6d567ce0103765cdc598b6b1e0e8e596eaeb98a93f7db81e16c"
            "2001f750af3214f4fa0105fc9764dc32a256cdb71ed6b518c133453807f49edd1b"
        ),
    ),
    contracts.EXCHANGE_V3: (
        "466c63910185bbd55e8679264200c4e0abdcbb0c6264eb3d41d13326022e095b",
        "0x3addac7e0ecf7e7fddadb22ee37ffdc64c50c81d5eb750a456776f5e8b70f610",
        (
            "0x1def19c84626a955eb85ea138ea6a48c70c7aad81c433459c85743f518bca884"
            "14d4748c69796a6d1c7f438bac61c8b8d119a7c2ff42b8be5981889dc2b92b631c"
        ),
    ),
}


def _order(signature: str, **changes: Any) -> SignedOrder:
    order = {
        "salt": 123456789,
        "maker": ADDRESS,
        "signer": ADDRESS,
        "tokenId": TOKEN,
        "makerAmount": "50000000",
        "takerAmount": "100000000",
        "side": "BUY",
        "signatureType": 0,
        "timestamp": "1713398400000",
        "metadata": ZERO,
        "builder": ZERO,
        "expiration": "0",
        "signature": signature,
    }
    return read_order({"order": order | changes, "owner": "", "orderType": "GTC"})


def _posted(item: dict[str, Any]) -> SignedOrder:
    return read_order({"owner": "", "orderType": "GTC", **item})


def _known_as(order: SignedOrder, owner: str, **more: Any) -> Accounts:
    """Register the wallet of an order whose address was made up by its source."""
    accounts = Accounts()
    kind = SignatureType(order.fields.signature_type)
    accounts.put(Account(wallet=order.fields.maker, owner=owner, signature_type=kind, **more))
    return accounts


def _flipped(signature: bytes, bit: int) -> bytes:
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("exchange", DOMAINS)
def test_the_same_order_has_a_hash_and_a_signature_of_its_own_at_each_exchange(exchange):
    separator, expected, signature = DOMAINS[exchange]
    order = _order(signature)
    version = "3" if exchange == contracts.EXCHANGE_V3 else "2"

    assert typed_data.exchange_separator(version=version, exchange=exchange).hex() == separator
    assert order_hash(order, exchange) == expected
    assert find_fault(order, exchange, Accounts()) is None


def test_a_signature_for_another_exchange_is_invalid_and_for_another_version_says_so():
    standard = _order(DOMAINS[contracts.EXCHANGE_STANDARD][2])
    newer = _order(DOMAINS[contracts.EXCHANGE_V3][2])

    assert find_fault(standard, contracts.EXCHANGE_NEG_RISK, Accounts()) == "invalid signature"
    assert find_fault(standard, contracts.EXCHANGE_V3, Accounts()) == "order_version_mismatch"
    assert find_fault(newer, contracts.EXCHANGE_STANDARD, Accounts()) == "order_version_mismatch"


def test_no_single_bit_of_a_signature_can_change():
    exchange = contracts.EXCHANGE_STANDARD
    order = _order(DOMAINS[exchange][2])

    taken = [
        bit
        for bit in range(len(order.signature) * 8)
        if find_fault(replace(order, signature=_flipped(order.signature, bit)), exchange, Accounts()) is None
    ]

    assert taken == []


@pytest.mark.parametrize(
    "name", ["salt", "token", "maker_amount", "taker_amount", "side", "timestamp", "metadata", "builder"]
)
def test_no_single_bit_of_what_is_signed_can_change(name):
    exchange = contracts.EXCHANGE_STANDARD
    order = _order(DOMAINS[exchange][2])
    width = 1 if name == "side" else 48

    for bit in range(width):
        fields = replace(order.fields, **{name: getattr(order.fields, name) ^ (1 << bit)})
        assert find_fault(replace(order, fields=fields), exchange, Accounts()) is not None


def test_the_other_half_of_the_curve_is_refused_as_the_contracts_do():
    exchange = contracts.EXCHANGE_STANDARD
    order = _order(DOMAINS[exchange][2])
    curve_order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    mirrored = curve_order - int.from_bytes(order.signature[32:64])
    twin = order.signature[:32] + mirrored.to_bytes(32) + bytes([27 + 28 - order.signature[64]])

    assert find_fault(replace(order, signature=twin), exchange, Accounts()) == "invalid signature"


def test_a_key_request_signed_as_documented_is_recognised():
    digest = typed_data.attestation_digest(address=ADDRESS, timestamp="10000000", nonce=23)
    signature = (
        "1a7118db6100dfd8efd102be36f472b59475dcac56eb4c9a2a94748d3655ba7c"
        "3c89deb8c19ee79eceb0a531122fbfbe88ed118034f9d8212e2b725e7b296b9d1c"
    )

    assert recover_address(digest, bytes.fromhex(signature)) == ADDRESS


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/order", '{"hash":"0x123"}', "OOTE36agp5eJItx_SsJTrPH0CNXxF-4trbM6TzyRb80="),
        ("GET", "/data/orders", "", "9-I3DmVY9ObJ6EVf_KvrHpUWMOQJXiAjR5z7fO8qnPw="),
    ],
)
def test_a_request_is_signed_as_documented(method, path, body, expected):
    secret = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

    signed = request_signature(secret=secret, timestamp="1000000", method=method, path=path, body=body)

    assert signed == expected


def _vectors(folder: Path, name: str) -> Any:
    return json.loads((folder / "vectors" / name).read_text())


@pytest.mark.recorded
def test_orders_of_the_chain_recover_to_their_signers(recorded_data):
    recorded = _vectors(recorded_data, "mainnet_v2_signed_orders_c1375cac.json")

    for one in recorded["orders"]:
        message = one["message"] | {
            "salt": int(one["message"]["salt"]),
            "side": "SELL" if one["message"]["side"] else "BUY",
        }
        order = _posted({"order": message | {"expiration": "0", "signature": one["signature"]}})

        assert order_hash(order, contracts.EXCHANGE_STANDARD) == one["order_hash"]
        assert find_fault(order, contracts.EXCHANGE_STANDARD, Accounts()) is None


@pytest.mark.recorded
def test_a_safe_on_chain_is_where_the_factory_would_put_it(recorded_data):
    recorded = _vectors(recorded_data, "mainnet_v2_signed_orders_c1375cac.json")
    message = recorded["orders"][0]["message"]

    assert safe_of(message["signer"].lower()) == message["maker"].lower()


@pytest.mark.recorded
def test_the_official_clients_orders_of_every_kind_are_taken_and_a_changed_bit_is_not(recorded_data):
    orders = _vectors(recorded_data, "py_clob_client_v2_oracle.json")["orders_v2"]
    rng = random.Random(7)

    for one in orders:
        order = _posted(one["post_body"])
        exchange = one["verifying_contract"].lower()
        accounts = _known_as(order, ADDRESS)
        changed = _flipped(order.signature, rng.randrange(len(order.signature) * 8))

        assert order_hash(order, exchange) == one["order_hash"]
        assert find_fault(order, exchange, accounts) is None
        assert find_fault(replace(order, signature=changed), exchange, accounts) is not None
        if order.fields.signature_type:
            assert find_fault(order, exchange, _known_as(order, "0x" + "22" * 20)) == "invalid signature"

    assert {one["order"]["signatureType"] for one in orders} == {0, 1, 2, 3}


@pytest.mark.recorded
def test_the_official_clients_key_requests_and_requests_are_recognised(recorded_data):
    oracle = _vectors(recorded_data, "py_clob_client_v2_oracle.json")
    published = _vectors(recorded_data, "polymarket_published_vectors.json")

    for one in [*oracle["clob_auth_L1"], published["clob_auth_L1"] | {"address": published["address"]}]:
        chain_id = one.get("chain_id", one.get("chainId"))
        digest = typed_data.attestation_digest(
            address=one["address"], timestamp=str(one["timestamp"]), nonce=one["nonce"], chain_id=chain_id
        )
        assert recover_address(digest, bytes.fromhex(one["signature"][2:])) == one["address"].lower()
    # That client replaces apostrophes before it signs; the venue signs what was sent.
    as_sent = [one for one in oracle["hmac_L2"] if "'" not in (one["body"] or "")]
    for one in [*as_sent, published["hmac_L2"]]:
        signed = request_signature(
            secret=one["secret"],
            timestamp=one["timestamp"],
            method=one["method"],
            path=one["path"],
            body=one["body"] or "",
        )
        assert signed == one["signature"]
    assert len(as_sent) == 17


@pytest.mark.recorded
def test_a_published_deposit_wallet_signature_is_nested_as_ours(recorded_data):
    one = _vectors(recorded_data, "polymarket_published_vectors.json")["order_v2_poly_1271"]
    message = one["message"] | {"salt": int(one["message"]["salt"]), "side": "BUY"}
    order = _posted({"order": message | {"expiration": "0", "signature": one["signature"]}})
    domain = one["domain"]
    separator = typed_data.exchange_separator(
        version=domain["version"], exchange=domain["verifyingContract"], chain_id=domain["chainId"]
    )

    digest = typed_data.nested_digest(order.fields, separator, chain_id=domain["chainId"])

    assert recover_address(digest, order.signature[:65]) == ADDRESS
    assert order.signature[65:] == typed_data.nested_trailer(order.fields, separator)


@pytest.mark.recorded
def test_a_session_key_may_sign_for_a_deposit_wallet_that_knows_it_and_for_no_other(recorded_data):
    recorded = _vectors(recorded_data, "nautilus_session_signatures_v2.json")

    for one in recorded["vectors"]:
        order = _posted({"order": recorded["order"] | {"signature": "".join(one["signature_chunks"])}})
        exchange = one["exchange"].lower()
        trusting = _known_as(order, "0x" + "22" * 20, session_signers=frozenset({ADDRESS}))
        strange = _known_as(order, ADDRESS)

        assert find_fault(order, exchange, trusting) is None
        assert find_fault(order, exchange, strange) == "invalid signature"
        taken = [
            bit
            for bit in range(0, len(order.signature) * 8, 3)
            if find_fault(replace(order, signature=_flipped(order.signature, bit)), exchange, trusting) is None
        ]
        assert taken == []


def test_wallets_are_where_the_official_client_expects_them():
    known = PRODUCTION._config.wallet_derivation
    for owner in (ADDRESS, "0x" + "ab" * 20, "0x" + "01" * 20):
        assert proxy_of(owner) == official.derive_proxy_wallet_address(owner, known).lower()
        assert safe_of(owner) == official.derive_safe_wallet_address(owner, known).lower()
        assert deposit_wallets_of(owner) == (
            official.derive_beacon_deposit_wallet_address(owner, known).lower(),
            official.derive_uups_deposit_wallet_address(owner, known).lower(),
        )


def test_an_order_is_hashed_as_an_independent_library_does():
    order = _order("0x" + "00" * 65)
    message = {
        "salt": 123456789,
        "maker": ADDRESS,
        "signer": ADDRESS,
        "tokenId": int(TOKEN),
        "makerAmount": 50_000_000,
        "takerAmount": 100_000_000,
        "side": 0,
        "signatureType": 0,
        "timestamp": 1713398400000,
        "metadata": bytes(32),
        "builder": bytes(32),
    }
    types = {"Order": [{"name": name, "type": kind} for name, kind in ORDER_FIELDS]}
    domain = {"name": "Polymarket CTF Exchange", "version": "2", "chainId": 137}
    encoded = encode_typed_data(domain | {"verifyingContract": contracts.EXCHANGE_STANDARD}, types, message)

    assert typed_data.order_contents(order.fields) == encoded.body
