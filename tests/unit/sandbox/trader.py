"""A trader at a sandbox in the same process, on virtual time. Signs with a library that is not the sandbox's own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data

from copytrade.sandbox import contracts
from copytrade.sandbox.http_message import Response
from copytrade.sandbox.inprocess import LocalSocket, LocalVenue
from copytrade.sandbox.market import Market
from copytrade.sandbox.micro import parse_micro
from copytrade.sandbox.server import SandboxConfig, serve_in_process
from copytrade.sandbox.trading.wallets import SignatureType, derived_wallet
from copytrade.sandbox.world import World
from tests.virtual_time import run_virtual

START_MS = 1_795_000_000_000
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
OTHER_KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
ADDRESS = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
ATTESTATION = "This message attests that I control the given wallet"
ZERO = "0x" + "00" * 32

STANDARD, NEG_RISK, V3 = "lisbon-mayor-reelected", "fed-december-no-change", "lunar-cargo-lands"
SPORTS, CRYPTO = "epl-porto-leeds-porto", "btc-updown-15m-1795000000"
"""Markets of each exchange, and of each delay."""

ORDER_FIELDS = [
    ("salt", "uint256"),
    ("maker", "address"),
    ("signer", "address"),
    ("tokenId", "uint256"),
    ("makerAmount", "uint256"),
    ("takerAmount", "uint256"),
    ("side", "uint8"),
    ("signatureType", "uint8"),
    ("timestamp", "uint256"),
    ("metadata", "bytes32"),
    ("builder", "bytes32"),
]
NESTED_FIELDS = [
    ("contents", "Order"),
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
]
ORDER_TYPE = "Order(" + ",".join(f"{kind} {name}" for name, kind in ORDER_FIELDS) + ")"

Answer = tuple[int, Any]


class Floor:
    """A sandbox without invented flow: books are set by hand, blocks come every 1.5 s."""

    def __init__(self, venue: LocalVenue, world: World) -> None:
        self.venue = venue
        self.world = world
        self.markets = {market.slug: market for market in world.exchange.catalogue.all()}

    async def control(self, command: str, **body: Any) -> Any:
        answer = await self.venue.request("POST", f"/control/{command}", json.dumps(body).encode())
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    async def read(self, name: str) -> Any:
        return json.loads((await self.venue.request("GET", f"/control/{name}")).body)

    async def set_book(self, token: int, *, bids: list[list[str]] = (), asks: list[list[str]] = ()) -> None:
        await self.control("book", token=str(token), bids=list(bids), asks=list(asks))

    async def quote(self, slug: str = STANDARD) -> int:
        """Give a market's first token a little book, and return the token."""
        token = self.markets[slug].tokens[0]
        await self.set_book(token, bids=[["0.4", "100"]], asks=[["0.5", "100"], ["0.51", "100"]])
        return token

    def elapse(self, ms: int) -> None:
        """Let the world live on, ahead of the clock."""
        self.world.advance(self.world.now_ms + ms)

    def book(self, market: Market, outcome: int = 0) -> tuple[list, list]:
        return self.world.exchange.book(market).view(outcome)

    async def trader(self, key: str = KEY, *, kind: int = 0, **account: Any) -> Trader:
        """Sign a trader in whose wallet has money, unless told otherwise."""
        trader = Trader(self, key, kind=kind)
        given = {"collateral": "1000", "owner": trader.address, "type": kind} | account
        await self.control("account", wallet=trader.wallet, **given)
        await trader.sign_in()
        return trader

    def logs_of(self, order_id: str) -> list:
        return [
            log
            for block in self.world.chain.between(0, self.world.chain.head.number)
            for log in block.logs
            if log.topics[0] == contracts.ORDER_FILLED and log.topics[1] == order_id
        ]


class Trader:
    """One key, one wallet, one API key."""

    def __init__(self, floor: Floor, key: str = KEY, *, kind: int = 0) -> None:
        self.floor = floor
        self._key = key
        self.kind = SignatureType(kind)
        self.address = Account.from_key(key).address.lower()
        self.wallet = derived_wallet(self.address, self.kind)
        self.api: dict[str, str] = {}
        self._salt = 1_000

    @property
    def now_s(self) -> int:
        return self.floor.world.now_ms // 1_000

    def attest(self, *, nonce: int = 0, timestamp: int | None = None) -> dict[str, str]:
        stamp = str(self.now_s if timestamp is None else timestamp)
        message = {"address": self.address, "timestamp": stamp, "nonce": nonce, "message": ATTESTATION}
        signed = Account.sign_typed_data(
            self._key,
            {"name": "ClobAuthDomain", "version": "1", "chainId": 137},
            {
                "ClobAuth": [
                    {"name": "address", "type": "address"},
                    {"name": "timestamp", "type": "string"},
                    {"name": "nonce", "type": "uint256"},
                    {"name": "message", "type": "string"},
                ]
            },
            message,
        )
        return {
            "POLY_ADDRESS": self.address,
            "POLY_SIGNATURE": "0x" + signed.signature.hex(),
            "POLY_TIMESTAMP": stamp,
            "POLY_NONCE": str(nonce),
        }

    async def sign_in(self, *, nonce: int = 0) -> None:
        answer = await self.floor.venue.request("POST", "/clob/auth/api-key", headers=self.attest(nonce=nonce))
        assert answer.status == 200, answer.body
        self.api = json.loads(answer.body)

    def proof(self, method: str, path: str, body: str, *, timestamp: int | None = None) -> dict[str, str]:
        stamp = str(self.now_s if timestamp is None else timestamp)
        secret = base64.urlsafe_b64decode(self.api["secret"])
        signature = hmac.new(secret, f"{stamp}{method}{path}{body}".encode(), hashlib.sha256).digest()
        return {
            "POLY_ADDRESS": self.address,
            "POLY_API_KEY": self.api["apiKey"],
            "POLY_PASSPHRASE": self.api["passphrase"],
            "POLY_TIMESTAMP": stamp,
            "POLY_SIGNATURE": base64.urlsafe_b64encode(signature).decode(),
        }

    async def respond(self, method: str, path: str, body: object = None, *, query: str = "") -> Response:
        text = "" if body is None else json.dumps(body, separators=(",", ":"))
        headers = self.proof(method, path, text)
        return await self.floor.venue.request(method, f"/clob{path}{query}", text.encode(), headers=headers)

    async def call(self, method: str, path: str, body: object = None, *, query: str = "") -> Answer:
        answer = await self.respond(method, path, body, query=query)
        return answer.status, json.loads(answer.body)

    def order(self, token: int, side: str, price: str, shares: str, kind: str = "GTC", **changes: Any) -> dict:
        """Make and sign a post; a FAK or FOK buyer offers price x shares, cut to cents."""
        limit, size = parse_micro(price), parse_micro(shares)
        collateral = limit * size // 1_000_000
        amounts = (collateral, size) if side == "BUY" else (size, collateral)
        return self.post_body(token, side, amounts, kind, **changes)

    def post_body(self, token: int, side: str, amounts: tuple[int, int], kind: str = "GTC", **changes: Any) -> dict:
        self._salt += 1
        owner_signs = self.wallet if self.kind is SignatureType.POLY_1271 else self.address
        order = {
            "salt": self._salt,
            "maker": self.wallet,
            "signer": owner_signs,
            "tokenId": str(token),
            "makerAmount": str(amounts[0]),
            "takerAmount": str(amounts[1]),
            "side": side,
            "signatureType": int(self.kind),
            "timestamp": str(self.floor.world.now_ms),
            "metadata": ZERO,
            "builder": ZERO,
            "expiration": "0",
        }
        body = {"owner": self.api["apiKey"], "orderType": kind, "deferExec": False}
        market = self.floor.world.exchange.catalogue.by_token(token)
        exchange = contracts.EXCHANGE_STANDARD if market is None else market.exchange
        domain = {"exchange": exchange, "version": "3" if exchange == contracts.EXCHANGE_V3 else "2"}
        for name, value in changes.items():
            target = order if name in order else domain if name in domain else body
            target[name] = value
        order.setdefault("signature", self.sign(order, **domain))
        return {"order": order, **body}

    def sign(self, order: dict, *, exchange: str, version: str) -> str:
        """Sign an order as its wallet's kind demands (EIP-712, or ERC-7739 for a deposit wallet)."""
        message = {name: order[name] for name, _ in ORDER_FIELDS}
        message |= {"side": 0 if order["side"] == "BUY" else 1}
        message |= {name: int(order[name]) for name in ("tokenId", "makerAmount", "takerAmount", "timestamp")}
        domain = {
            "name": "Polymarket CTF Exchange",
            "version": version,
            "chainId": 137,
            "verifyingContract": exchange,
        }
        types = {"Order": _fields(ORDER_FIELDS)}
        if self.kind is not SignatureType.POLY_1271:
            return "0x" + Account.sign_typed_data(self._key, domain, types, message).signature.hex()
        nested = {
            "contents": message,
            "name": "DepositWallet",
            "version": "1",
            "chainId": 137,
            "verifyingContract": order["signer"],
            "salt": bytes(32),
        }
        types["TypedDataSign"] = _fields(NESTED_FIELDS)
        signed = Account.sign_typed_data(self._key, domain, types, nested)
        plain = encode_typed_data(domain, {"Order": _fields(ORDER_FIELDS)}, message)
        trailer = plain.header + plain.body + ORDER_TYPE.encode() + len(ORDER_TYPE).to_bytes(2)
        return "0x" + signed.signature.hex() + trailer.hex()

    async def post(self, body: dict) -> Answer:
        return await self.call("POST", "/order", body)

    async def place(self, token: int, side: str, price: str, shares: str, kind: str = "GTC", **changes: Any) -> Answer:
        return await self.post(self.order(token, side, price, shares, kind, **changes))

    def listen(self, *markets: str) -> Ear:
        """Open the user socket."""
        shown = {name: self.api[name] for name in ("apiKey", "secret", "passphrase")}
        frame = {"type": "user", "auth": shown} | ({"markets": list(markets)} if markets else {})
        socket = self.floor.venue.connect("/ws/user")
        socket.send_to_venue(json.dumps(frame))
        return Ear(socket)


class Ear:
    """What a user socket heard."""

    def __init__(self, socket: LocalSocket) -> None:
        self.socket = socket

    def heard(self) -> list[dict]:
        """Return everything heard since the last time."""
        inbox = self.socket._inbox
        texts = [inbox.get_nowait() for _ in range(inbox.qsize())]
        return [json.loads(text) for text in texts if text not in (None, "PONG")]

    def said(self) -> list[str]:
        """Return it in short: kind and status."""
        return [f"{one['event_type']} {one['status']}" for one in self.heard()]


def on_floor(story: Callable[[Floor], Awaitable[None]], **config: Any) -> None:
    """Play a story at a fresh sandbox in virtual time."""
    defaults = {"manual": True, "history_blocks": 3, "filler_markets": 0, "seed": 3, "start_ms": START_MS}

    async def play() -> None:
        async with serve_in_process(SandboxConfig(**(defaults | config))) as (venue, world):
            await story(Floor(venue, world))

    run_virtual(play, epoch_ms=START_MS)


def _fields(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in pairs]


def refuses(text: str, make: Callable[[Trader, int], object], *, named: bool = False, **account: Any) -> None:
    """Post what `make` returns for a trader and a token; the answer is 400 with the text."""

    async def story(floor):
        token = await floor.quote()
        trader = await floor.trader(**account)
        body = make(trader, token)
        status, answer = await trader.post(body)
        posted = (await floor.read("posts"))[-1:]

        order_id = posted[0]["order_id"] if posted else ""
        expected = text.replace("ORDER", order_id).replace("WALLET", trader.wallet).replace("TOKEN", str(token))
        assert (status, answer) == (400, {"error": expected} | ({"orderID": order_id} if named else {}))
        assert all(one["outcome"] == expected for one in posted)
        assert (await floor.read("accounts"))[0]["reserved"] == 0

    on_floor(story)
