"""Our orders and trades at the CLOB: placed, cancelled, looked up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from copytrade.adapters.live.credentials import BadCredentialsError
from copytrade.adapters.live.pace import (
    CANCELS_BURST,
    CANCELS_PER_S,
    ORDERS_BURST,
    ORDERS_PER_S,
    READS_BURST,
    READS_PER_S,
    Bucket,
)
from copytrade.adapters.live.rows import MalformedRowError, OrderRow, OwnTrade, read_order, read_trade
from copytrade.adapters.live.transport import NeverLeft, NoAnswer
from copytrade.adapters.live.typed_data import checksummed
from copytrade.domain.orders import OrderType
from copytrade.ports.signer import SigningRefusedError
from copytrade.ports.venue_account import VenueAccount, VenueTrade, VenueUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copytrade.adapters.live.transport import Answer, Transport
    from copytrade.domain.units import Millis
    from copytrade.domain.venue_orders import Account, VenueOrder
    from copytrade.ports.clock import Clock

PAGES_MAX: Final = 200
"""Pages of orders or trades that are read for one question; more is an error, never a part of the truth."""
LAST_CURSOR: Final = "LTE="
REST_MS: Final[Millis] = 1_000
"""How long nothing of a kind is asked after HTTP 429, where the venue does not say how long."""
REST_MS_MAX: Final[Millis] = 60_000
LEAD_MS: Final[Millis] = 60_000
"""How much earlier than asked trades are read from: the venue's clock is not ours, and it counts in seconds."""
_TOO_MANY: Final = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What came of a heartbeat: whether it was the one awaited, and which one is now."""

    next_id: str
    is_taken: bool


class ClobAccount(VenueAccount):
    """One wallet at the CLOB."""

    def __init__(self, *, account: Account, account_id: str, transport: Transport, clock: Clock) -> None:
        self._account = account
        self._account_id = account_id
        self._transport = transport
        self._orders = Bucket(per_s=ORDERS_PER_S, burst=ORDERS_BURST, clock=clock)
        self._cancels = Bucket(per_s=CANCELS_PER_S, burst=CANCELS_BURST, clock=clock)
        self._reads = Bucket(per_s=READS_PER_S, burst=READS_BURST, clock=clock)

    @property
    def account_id(self) -> str:
        return self._account_id

    @property
    def account(self) -> Account:
        """Whose money it is."""
        return self._account

    def may_post(self) -> bool:
        """Take the right to post one order now; False if that would be too fast."""
        return self._orders.take()

    def rest(self, wait_ms: Millis) -> None:
        """Post no order for so long."""
        self._orders.drain(wait_ms)

    async def post(self, order: VenueOrder, signature: bytes) -> Answer:
        """Post a signed order, once; the same order and signature are the same bytes but for the API key.

        :raises NeverLeft, NoAnswer, BadCredentialsError, SigningRefusedError: as `Transport.call`.
        """
        return await self._transport.call("POST", "/order", body=lambda owner: post_body(order, signature, owner))

    async def cancel(self, order_hash: str) -> bool:
        """Ask for an order to be cancelled; False if it is not open, or not yet to be cancelled.

        :raises VenueUnavailableError: nobody knows whether it is.
        """
        body = msgspec.json.encode({"orderID": order_hash})
        answer = await self._call("DELETE", "/order", body=body, bucket=self._cancels)
        canceled = answer.body.get("canceled") if isinstance(answer.body, dict) else None
        return isinstance(canceled, list) and order_hash in {str(one).lower() for one in canceled}

    async def cancel_all(self, order_hashes: Sequence[str]) -> None:
        """Ask for orders to be cancelled at once.

        :raises VenueUnavailableError: nobody knows whether they are.
        """
        body = msgspec.json.encode(list(order_hashes))
        await self._call("DELETE", "/orders", body=body, bucket=self._cancels)

    async def beat(self, heartbeat_id: str) -> Beat:
        """Send a heartbeat, "" for the first one; from then on the venue waits for the next.

        :raises VenueUnavailableError: nobody knows whether it was taken.
        """
        body = msgspec.json.encode({"heartbeat_id": heartbeat_id})
        answer = await self._call("POST", "/v1/heartbeats", body=body, accepts=frozenset({400}))
        following = answer.body.get("heartbeat_id") if isinstance(answer.body, dict) else None
        if not isinstance(following, str):
            raise VenueUnavailableError(f"POST /v1/heartbeats: HTTP {answer.status} {answer.text}")
        return Beat(next_id=following, is_taken=answer.status == 200)

    async def order(self, order_hash: str) -> OrderRow | None:
        """Return an order, None where the venue says that there is none.

        :raises VenueUnavailableError: it says nothing.
        """
        answer = await self._read(f"/data/order/{order_hash}", accepts=frozenset({404}))
        if answer.status == 404 or answer.body in (None, {}):
            return None
        try:
            return read_order(answer.body)
        except MalformedRowError as error:
            raise VenueUnavailableError(f"an order that cannot be read: {error}") from None

    async def open_order_rows(self) -> tuple[OrderRow, ...]:
        """Return every open order of the account.

        :raises VenueUnavailableError: or some of them.
        """
        try:
            return tuple(read_order(row) for row in await self._pages("/data/orders", ""))
        except MalformedRowError as error:
            raise VenueUnavailableError(f"an order that cannot be read: {error}") from None

    async def open_orders(self) -> tuple[str, ...]:
        return tuple(row.order_hash for row in await self.open_order_rows())

    async def own_trades(self, since_ms: Millis, *, condition_id: str | None = None) -> tuple[OwnTrade, ...]:
        """Return what each trade since then did to each order of ours, in no order.

        :raises VenueUnavailableError: or some of them.
        """
        after_s = max(0, since_ms - LEAD_MS) // 1_000
        market = "" if condition_id is None else f"&market={condition_id}"
        query = f"&maker_address={checksummed(self._account.wallet)}&after={after_s}{market}"
        rows = await self._pages("/data/trades", query)
        try:
            api_key = (await self._transport.api_key()).key
            return tuple(part for row in rows for part in read_trade(row, wallet=self._account.wallet, api_key=api_key))
        except MalformedRowError as error:
            raise VenueUnavailableError(f"a trade that cannot be read: {error}") from None

    async def trades_since(self, since_ms: Millis) -> tuple[VenueTrade, ...]:
        return tuple(
            VenueTrade(
                venue_trade_id=trade.key,
                order_hash=trade.order_hash,
                shares=trade.shares,
                settlement=trade.settlement,
                matched_ms=trade.matched_ms,
            )
            for trade in await self.own_trades(since_ms)
            if trade.matched_ms >= since_ms
        )

    async def _pages(self, path: str, query: str) -> list[Any]:
        rows: list[Any] = []
        cursor = ""
        for _ in range(PAGES_MAX):
            answer = await self._read(path, query=f"?next_cursor={cursor}{query}" if cursor else f"?{query[1:]}")
            page = answer.body
            if not isinstance(page, dict) or not isinstance(page.get("data"), list):
                raise VenueUnavailableError(f"{path}: not a page")
            rows += page["data"]
            following = str(page.get("next_cursor") or LAST_CURSOR)
            if following in {LAST_CURSOR, cursor}:
                return rows
            cursor = following
        raise VenueUnavailableError(f"{path}: more than {PAGES_MAX} pages")

    async def _read(self, path: str, *, query: str = "", accepts: frozenset[int] = frozenset()) -> Answer:
        return await self._call("GET", path, query=query, accepts=accepts, bucket=self._reads)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: bytes | None = None,
        accepts: frozenset[int] = frozenset(),
        bucket: Bucket | None = None,
    ) -> Answer:
        if bucket is not None:
            await bucket.wait()
        try:
            answer = await self._transport.call(
                method, path, query="" if query == "?" else query, body=None if body is None else lambda _: body
            )
        except (NeverLeft, NoAnswer, BadCredentialsError, SigningRefusedError) as error:
            raise VenueUnavailableError(str(error)) from None
        if bucket is not None and answer.status == _TOO_MANY:
            bucket.drain(min(answer.retry_after_ms or REST_MS, REST_MS_MAX))
        if not answer.is_json or (answer.status != 200 and answer.status not in accepts):
            raise VenueUnavailableError(f"{method} {path.partition('/0x')[0]}: HTTP {answer.status} {answer.text}")
        return answer


def post_body(order: VenueOrder, signature: bytes, owner: str) -> bytes:
    """Return what is posted of a signed order, as the official client writes it."""
    kind = OrderType.GTC if order.order_type is OrderType.POST_ONLY else order.order_type
    posted: dict[str, Any] = {
        "deferExec": False,
        "order": {
            "builder": order.builder,
            "expiration": str(order.expiration_s),
            "maker": checksummed(order.maker),
            "makerAmount": str(order.maker_amount),
            "metadata": order.metadata,
            "salt": order.salt,
            "side": order.side.value,
            "signature": f"0x{signature.hex()}",
            "signatureType": int(order.signature_type),
            "signer": checksummed(order.signer),
            "takerAmount": str(order.taker_amount),
            "timestamp": str(order.timestamp_ms),
            "tokenId": order.token_id,
        },
        "orderType": kind.value,
        "owner": owner,
    }
    if order.order_type is OrderType.POST_ONLY:
        posted["postOnly"] = True
    return msgspec.json.encode(posted)
