"""`OrderFilled` logs as a node would send them, from exact values."""

from __future__ import annotations

from typing import Any

from copytrade.adapters.polygon import decode

STANDARD = "0xe111180000d2663c0091e4f400237545b87b996b"
NEG_RISK = "0xe2222d279d744050d28e00520010520000310f59"
V3 = "0xe3333700ca9d93003f00f0f71f8515005f6c00aa"
STANDARD_V1 = "0x4bfb41d5b3570defd03c39a9a4d8de6bd8b8982e"
NEG_RISK_V1 = "0xc5d563a36ae78145c45a50134d48a1215220f80a"
LIVE = (STANDARD, NEG_RISK, V3)
BEFORE = (STANDARD_V1, NEG_RISK_V1)
DECODERS = decode.registry(LIVE, BEFORE)

LEADER = "0x" + "a1" * 20
STRANGER = "0x" + "b2" * 20
TOKEN = 0xFC52835F7D2F53E9A6C7CC631414AC81BE4A2F2E308D222BBE2C39E3CB784C60


def word(value: int) -> str:
    return f"{value:064x}"


def data_v2(*, side: int = 0, token: int = TOKEN, given: int = 2_355_200, got: int = 2_560_000, fee: int = 0) -> str:
    return "0x" + "".join(map(word, (side, token, given, got, fee, 0, 0)))


def data_v1(*, given_asset: int, got_asset: int, given: int, got: int, fee: int = 0) -> str:
    return "0x" + "".join(map(word, (given_asset, got_asset, given, got, fee)))


def raw_log(**changes: Any) -> dict[str, Any]:
    """Return a maker BUY of 2.56 shares at 0.92; `maker`, `taker` and `order_hash` set the topics."""
    order_hash = changes.pop("order_hash", "0x" + "0d" * 32)
    maker, taker = changes.pop("maker", LEADER), changes.pop("taker", STRANGER)
    log = {
        "address": STANDARD,
        "topics": [decode.TOPIC_V2, order_hash, decode.maker_topic(maker), decode.maker_topic(taker)],
        "data": data_v2(),
        "blockNumber": "0x64",
        "blockHash": "0x" + "0b" * 32,
        "blockTimestamp": "0x6a772e03",
        "transactionHash": "0x" + "0c" * 32,
        "transactionIndex": "0x1",
        "logIndex": "0x7",
        "removed": False,
    }
    return log | changes
