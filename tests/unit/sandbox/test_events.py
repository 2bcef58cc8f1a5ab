"""Logs are spelled as the contracts spell them."""

from __future__ import annotations

import eth_abi
from hypothesis import given
from hypothesis import strategies as st

from copytrade.sandbox import contracts, events

UINT = st.integers(min_value=0, max_value=2**256 - 1)
NEG_RISK = contracts.EXCHANGE_NEG_RISK


def test_a_real_taker_buy_is_encoded_word_for_word():
    # Polygon, transaction 0x350eaaf9013a5936f048f8bcdff15c682c103207ed7cb9f987463977302c42bb.
    event = events.order_filled(
        exchange=NEG_RISK,
        order_hash="0x474d68321013335364eec8af4a02ce2b9051a6a9a8217560e48deb4387703361",
        maker="0x2f633efb75256a2f2445110c8978684ab8936643",
        taker=NEG_RISK,
        side=events.BUY,
        token_id=84002167289818084946834195019107495872273829708192582096244977447292806293745,
        maker_amount=234_660_000,
        taker_amount=261_000_000,
        fee=1_184_080,
    )

    assert event.topics == (
        "0xd543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee",
        "0x474d68321013335364eec8af4a02ce2b9051a6a9a8217560e48deb4387703361",
        "0x0000000000000000000000002f633efb75256a2f2445110c8978684ab8936643",
        "0x000000000000000000000000e2222d279d744050d28e00520010520000310f59",
    )
    assert event.data == (
        "0x0000000000000000000000000000000000000000000000000000000000000000"
        "b9b78ab3d31d8be4522b7e0e7461d0c0204d6480e6e6f1c31612c1c65fb2e8f1"
        "000000000000000000000000000000000000000000000000000000000dfca0a0"
        "000000000000000000000000000000000000000000000000000000000f8e8b40"
        "0000000000000000000000000000000000000000000000000000000000121150" + "00" * 64
    )


def test_a_minted_pair_is_encoded_with_each_side_its_own_token():
    # Polygon, transaction 0x2c91c2ec4cb24f43a94fddf84979aa6c86be90d5a08f8c37b4aad44674c25261.
    passive = events.words(
        0,
        114128626005444826307900448598991163696598115079038846124094065053259387128928,
        3_972_900,
        6_970_000,
        0,
        0,
        0,
    )

    assert passive == (
        "0x0000000000000000000000000000000000000000000000000000000000000000"
        "fc52835f7d2f53e9a6c7cc631414ac81be4a2f2e308d222bbe2c39e3cb784c60"
        "00000000000000000000000000000000000000000000000000000000003c9f24"
        "00000000000000000000000000000000000000000000000000000000006a5a90" + "00" * 96
    )


@given(values=st.lists(UINT, min_size=1, max_size=7))
def test_words_are_what_an_abi_library_encodes(values):
    expected = eth_abi.encode(["uint256"] * len(values), values)

    assert events.words(*values) == "0x" + expected.hex()


def test_topics_are_the_keccak_of_their_signatures():
    from copytrade.sandbox.digest import keccak256

    signatures = {
        contracts.ORDER_FILLED: "OrderFilled(bytes32,address,address,uint8,uint256,uint256,"
        "uint256,uint256,bytes32,bytes32)",
        contracts.ORDERS_MATCHED: "OrdersMatched(bytes32,address,uint8,uint256,uint256,uint256)",
        contracts.FEE_CHARGED: "FeeCharged(address,uint256)",
        contracts.TRANSFER: "Transfer(address,address,uint256)",
        contracts.TRANSFER_SINGLE: "TransferSingle(address,address,address,uint256,uint256)",
    }

    for topic, signature in signatures.items():
        assert topic == "0x" + keccak256(signature.encode()).hex()
