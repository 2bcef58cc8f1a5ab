"""API keys are given to whoever signs for an address, and prove each request."""

from __future__ import annotations

import json

import pytest

from copytrade.sandbox.http_message import Request
from copytrade.sandbox.trading.credentials import KeyRing
from tests.unit.sandbox.trader import OTHER_KEY, START_MS, Trader, on_floor

L1 = {"error": "Invalid L1 Request headers"}
L2 = {"error": "Unauthorized/Invalid api key"}


async def _ask(trader: Trader, method: str, path: str, headers: dict[str, str]):
    answer = await trader.floor.venue.request(method, f"/clob{path}", headers=headers)
    return answer.status, json.loads(answer.body)


def test_a_key_is_created_once_and_derived_as_often_as_asked():
    async def story(floor):
        trader = Trader(floor)
        assert await _ask(trader, "GET", "/auth/derive-api-key", trader.attest()) == (
            400,
            {"error": "Could not derive api key!"},
        )
        created = await _ask(trader, "POST", "/auth/api-key", trader.attest())
        again = await _ask(trader, "POST", "/auth/api-key", trader.attest())
        derived = await _ask(trader, "GET", "/auth/derive-api-key", trader.attest())
        other = await _ask(trader, "POST", "/auth/api-key", trader.attest(nonce=1))

        assert again == (400, {"error": "Could not create api key"})
        assert derived == created
        assert created[1].keys() == {"apiKey", "secret", "passphrase"}
        assert other[1]["apiKey"] != created[1]["apiKey"]
        trader.api = created[1]
        assert await trader.call("GET", "/auth/api-keys") == (
            200,
            {"apiKeys": [created[1]["apiKey"], other[1]["apiKey"]]},
        )

    on_floor(story)


@pytest.mark.parametrize(
    "change",
    [
        {"POLY_ADDRESS": "0x" + "12" * 20},
        {"POLY_ADDRESS": "nobody"},
        {"POLY_NONCE": "1"},
        {"POLY_NONCE": "x"},
        {"POLY_TIMESTAMP": str(START_MS // 1_000 + 1)},
        {"POLY_TIMESTAMP": ""},
        {"POLY_SIGNATURE": "0x" + "00" * 65},
        {"POLY_SIGNATURE": "0x12"},
    ],
)
def test_a_key_request_with_anything_changed_is_refused(change):
    async def story(floor):
        trader = Trader(floor)

        assert await _ask(trader, "POST", "/auth/api-key", trader.attest() | change) == (401, L1)

    on_floor(story)


def test_a_key_request_from_another_time_is_refused():
    async def story(floor):
        trader = Trader(floor)
        for off_s, status in ((-31, 401), (31, 401), (-30, 200)):
            headers = trader.attest(timestamp=trader.now_s + off_s)
            assert (await _ask(trader, "POST", "/auth/api-key", headers))[0] == status

    on_floor(story)


@pytest.mark.parametrize(
    "change",
    [
        {"POLY_API_KEY": "00000000-0000-0000-0000-000000000000"},
        {"POLY_PASSPHRASE": "guess"},
        {"POLY_ADDRESS": "0x" + "12" * 20},
        {"POLY_TIMESTAMP": str(START_MS // 1_000 + 1)},
        {"POLY_SIGNATURE": "AAAA"},
        {"POLY_SIGNATURE": "not base64"},
    ],
)
def test_a_request_with_anything_changed_is_refused(change):
    async def story(floor):
        trader = await floor.trader()
        headers = trader.proof("GET", "/data/orders", "") | change

        assert await _ask(trader, "GET", "/data/orders", headers) == (401, L2)

    on_floor(story)


def test_a_proof_is_good_for_its_own_method_path_body_and_time_only():
    async def story(floor):
        trader = await floor.trader()
        proof = trader.proof("GET", "/data/orders", "")
        skewed = trader.proof("GET", "/data/orders", "", timestamp=trader.now_s + 31)

        assert (await _ask(trader, "GET", "/data/orders", proof))[0] == 200
        assert (await _ask(trader, "GET", "/data/orders?market=0x1", proof))[0] == 200
        assert (await _ask(trader, "GET", "/data/trades", proof))[0] == 401
        assert (await _ask(trader, "GET", "/data/orders", skewed))[0] == 401
        assert (await _ask(trader, "GET", "/data/orders", {}))[0] == 401
        body = b'{"orderID":"0x1"}'
        headers = trader.proof("DELETE", "/order", '{"orderID":"0x2"}')
        answer = await floor.venue.request("DELETE", "/clob/order", body, headers=headers)
        assert answer.status == 401

    on_floor(story)


def test_a_deleted_key_is_gone_and_its_nonce_can_be_used_again():
    async def story(floor):
        trader = await floor.trader()
        before = dict(trader.api)

        assert await trader.call("DELETE", "/auth/api-key") == (200, "OK")
        assert await trader.call("GET", "/auth/api-keys") == (401, L2)
        await trader.sign_in()
        assert trader.api["apiKey"] != before["apiKey"]

    on_floor(story)


def test_revoked_keys_are_refused_until_they_are_derived_again():
    async def story(floor):
        trader, other = await floor.trader(), await floor.trader(OTHER_KEY)
        ear = trader.listen()

        assert await floor.control("credentials", revoke=True, address=trader.address) == {"revoked": 1}
        assert await trader.call("GET", "/data/orders") == (401, L2)
        assert (await other.call("GET", "/data/orders"))[0] == 200
        with pytest.raises(EOFError):
            await ear.socket.receive()
        _, trader.api = await _ask(trader, "GET", "/auth/derive-api-key", trader.attest())
        assert (await trader.call("GET", "/data/orders"))[0] == 200

    on_floor(story)


def test_the_same_seed_gives_the_same_keys_and_another_seed_others():
    seen = []

    async def story(floor):
        trader = await floor.trader()
        seen.append(trader.api)

    for seed in (1, 1, 2):
        on_floor(story, seed=seed)

    assert seen[0] == seen[1] != seen[2]


def test_no_secret_is_spelled_by_a_key():
    async def story(floor):
        trader = Trader(floor)
        headers = {name.lower(): value for name, value in trader.attest().items()}
        request = Request(method="POST", path="/auth/api-key", headers=headers)
        key = KeyRing(seed=1).create(request, now_ms=floor.world.now_ms)

        assert key.secret not in repr(key)
        assert key.passphrase not in repr(key)

    on_floor(story)
