"""Orders as the exchanges match them, and what each `OrderFilled` must be read as: by another ABI library than ours."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from eth_abi import decode, encode

STANDARD = "0xe111180000d2663c0091e4f400237545b87b996b"
NEG_RISK = "0xe2222d279d744050d28e00520010520000310f59"
V3 = "0xe3333700ca9d93003f00f0f71f8515005f6c00aa"
STANDARD_V1 = "0x4bfb41d5b3570defd03c39a9a4d8de6bd8b8982e"
NEG_RISK_V1 = "0xc5d563a36ae78145c45a50134d48a1215220f80a"
LIVE = (STANDARD, NEG_RISK, V3)
BEFORE = (STANDARD_V1, NEG_RISK_V1)
FILLED = "0xd543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee"
FILLED_V1 = "0xd0a08e8c493f9c94f29311604c9de1b4e8c8d4c06bd0c789af57f2d65bfec0f6"

COMPILED = json.loads((Path(__file__).parent / "contract" / "exchanges.json").read_text())["contracts"]
CODE = {address: COMPILED["Exchange" if address in LIVE else "ExchangeV1"]["code"] for address in (*LIVE, *BEFORE)}

YES = 0xFC52835F7D2F53E9A6C7CC631414AC81BE4A2F2E308D222BBE2C39E3CB784C60
NO = 0x46B89B6DD3F43C4302023CE5EDBC6FC41EDE70F9D065D8021495196AD3F16502
BUY, SELL = 0, 1

_TYPE = "(bytes32,address,uint8,uint256,uint256,uint256,uint256,bytes32,bytes32)"
_TYPE_V1 = "(bytes32,address,uint256,uint256,uint256,uint256,uint256)"
_order_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order of `maker` that is filled: `shares` for `usdc`."""

    maker: str
    side: int = BUY
    token: int = YES
    shares: int
    usdc: int
    fee: int = 0
    order_hash: str

    @property
    def amounts(self) -> tuple[int, int]:
        """Return what it gave and what it got."""
        return (self.usdc, self.shares) if self.side == BUY else (self.shares, self.usdc)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A crossing order and the resting ones it met."""

    taker: Order
    makers: tuple[Order, ...]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Row:
    """A fill of a leader as it is stored, or must be."""

    block_number: int
    log_index: int
    block_hash: str
    tx_hash: str
    order_hash: str
    exchange: str
    maker: str
    taker: str
    role: str
    side: str
    token_id: str
    shares: int
    usdc: int
    fee: int | None
    ts_ms: int


def an_order(maker: str, *, shares: int = 2_560_000, usdc: int = 2_355_200, **changes: Any) -> Order:
    """Return an order with a hash of its own."""
    order_hash = "0x" + hashlib.sha256(f"order {next(_order_numbers)}".encode()).hexdigest()
    return Order(**{"maker": maker, "shares": shares, "usdc": usdc, "order_hash": order_hash} | changes)


def call(exchange: str, matches: tuple[Match, ...]) -> str:
    """Return the calldata that settles these matches in one transaction."""
    is_live = exchange not in BEFORE
    kind, pack = (_TYPE, _packed) if is_live else (_TYPE_V1, _packed_v1)
    (selector,) = COMPILED["Exchange" if is_live else "ExchangeV1"]["functions"].values()
    packed = [(pack(match.taker), [pack(maker) for maker in match.makers]) for match in matches]
    return "0x" + selector + encode([f"({kind},{kind}[])[]"], [packed]).hex()


def row(log: dict[str, Any]) -> Row:
    """Return what a raw `OrderFilled` log must be stored as."""
    words = bytes.fromhex(log["data"][2:])
    if log["topics"][0] == FILLED:
        kinds = ["uint8", "uint256", "uint256", "uint256", "uint256", "bytes32", "bytes32"]
        side, token, given, got, fee, _, _ = decode(kinds, words)
        known_fee = fee
    else:
        given_asset, got_asset, given, got, fee = decode(["uint256"] * 5, words)
        side, token = (BUY, got_asset) if given_asset == 0 else (SELL, given_asset)
        # The fee of a V1 BUY is in shares; as money it is not known.
        known_fee = None if side == BUY and fee else fee
    maker, taker = ("0x" + topic[26:] for topic in log["topics"][2:])
    return Row(
        block_number=int(log["blockNumber"], 16),
        log_index=int(log["logIndex"], 16),
        block_hash=log["blockHash"],
        tx_hash=log["transactionHash"],
        order_hash=log["topics"][1],
        exchange=log["address"],
        maker=maker,
        taker=taker,
        role="taker" if taker == log["address"] else "maker",
        side="BUY" if side == BUY else "SELL",
        token_id=str(token),
        shares=got if side == BUY else given,
        usdc=given if side == BUY else got,
        fee=known_fee,
        ts_ms=int(log["blockTimestamp"], 16) * 1000,
    )


def _packed(order: Order) -> tuple[Any, ...]:
    order_hash = bytes.fromhex(order.order_hash[2:])
    return order_hash, order.maker, order.side, order.token, *order.amounts, order.fee, bytes(32), bytes(32)


def _packed_v1(order: Order) -> tuple[Any, ...]:
    order_hash = bytes.fromhex(order.order_hash[2:])
    assets = (0, order.token) if order.side == BUY else (order.token, 0)
    return order_hash, order.maker, *assets, *order.amounts, order.fee
