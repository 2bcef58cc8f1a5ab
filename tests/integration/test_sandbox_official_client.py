"""The venue's official client, with nothing but its URLs changed, trades at the sandbox over real sockets."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from polymarket import AsyncSecureClient
from polymarket._internal.environment import with_environment_config
from polymarket.environments import PRODUCTION, Environment
from polymarket.errors import OrderHeartbeatMismatchError, RateLimitError, RequestRejectedError, TransportError
from polymarket.streams import UserSpec

from copytrade.sandbox.trading.wallets import deposit_wallets_of
from tests.unit.sandbox.trader import ADDRESS, KEY
from tests.unit.sandbox.venue_client import DEADLINE_S, ORDER_FILLED, Venue, run_venue

pytestmark = pytest.mark.timeout(30)

STANDARD, NEG_RISK, V3 = "lisbon-mayor-reelected", "fed-december-no-change", "lunar-cargo-lands"


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with run_venue(manual=True, block_ms=50) as venue:
        yield venue


def _environment(venue: Venue) -> Environment:
    urls = venue.sandbox.urls
    config = dataclasses.replace(
        PRODUCTION._config,
        clob_url=urls["CLOB_HTTP_URL"],
        clob_market_ws_url=urls["CLOB_MARKET_WS_URL"],
        clob_user_ws_url=urls["CLOB_USER_WS_URL"],
        gamma_url=urls["GAMMA_HTTP_URL"],
        data_url=urls["DATA_API_HTTP_URL"],
        rpc_url=urls["POLYGON_HTTP_URL"],
        relayer_url=urls["RELAYER_URL"],
    )
    return with_environment_config(PRODUCTION, config=config)


def _connect(venue: Venue, wallet: str | None = ADDRESS, **options):
    return AsyncSecureClient.create(private_key=KEY, wallet=wallet, environment=_environment(venue), **options)


async def _token(venue: Venue, slug: str = STANDARD) -> str:
    market = next(one for one in venue.sandbox.world.exchange.catalogue.all() if one.slug == slug)
    token = str(market.tokens[0])
    await venue.control("book", token=token, bids=[["0.4", "100"]], asks=[["0.5", "100"], ["0.51", "200"]])
    return token


async def test_it_makes_keys_places_matches_reads_and_cancels(venue):
    token = await _token(venue)
    await venue.control("account", wallet=ADDRESS, collateral="1000")
    async with await _connect(venue) as client, await _connect(venue) as again:
        assert await client.fetch_api_keys() == (again.credentials.key,)
        assert await client.get_closed_only_mode() is False
        heard = await client.subscribe(UserSpec())

        matched = await client.place_market_order(asset_id=token, side="BUY", amount="60", max_price="0.51")
        rested = await client.place_limit_order(asset_id=token, side="BUY", price="0.45", size="20")
        open_orders = await client.list_open_orders().first_page()
        looked_up = await client.get_order(order_id=rested.order_id)
        (tx_hash,) = await client.wait_for_order_fill_settlement(matched)
        trades = await client.list_account_trades().first_page()
        held = await client.get_balance_allowance(asset_type="CONDITIONAL", asset_id=token)
        cancelled = await client.cancel_order(order_id=rested.order_id)

        assert (matched.status, rested.status) == ("matched", "live")
        assert matched.taking_amount == Decimal("119.607843")
        assert [order.id for order in open_orders.items] == [rested.order_id] == [looked_up.id]
        assert [(trade.id, trade.transaction_hash) for trade in trades.items] == [(matched.trade_ids[0], tx_hash)]
        assert held.balance == 119_607_843
        assert cancelled.canceled == (rested.order_id,)
        said = []
        async with asyncio.timeout(DEADLINE_S):
            async for event in heard:
                said.append((event.type, str(event.payload.status)))
                if said[-1] == ("order", "CANCELED"):
                    break
        assert [status for kind, status in said if kind == "trade"] == ["MATCHED", "MINED", "CONFIRMED"]
        assert ("order", "MATCHED") in said

    topics = [ORDER_FILLED, matched.order_id]
    logs = await venue.rpc("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest", "topics": topics})
    assert [log["transactionHash"] for log in logs] == [tx_hash]


async def test_its_default_wallet_trades_at_each_exchange(venue):
    wallet = deposit_wallets_of(ADDRESS)[0]
    await venue.control("account", wallet=wallet, owner=ADDRESS, type=3, collateral="1000")
    async with await _connect(venue, None) as client:
        assert client.wallet.lower() == wallet
        bought = {}
        for slug in (STANDARD, NEG_RISK, V3):
            token = await _token(venue, slug)
            bought[token] = await client.place_market_order(asset_id=token, side="BUY", amount="10", max_price="0.5")
        for order in bought.values():
            assert order.status == "matched"
            assert await client.wait_for_order_fill_settlement(order)
        for token in bought:
            sold = await client.place_limit_order(asset_id=token, side="SELL", price="0.6", size="20")
            assert sold.status == "live"


async def test_it_understands_every_way_the_venue_says_no(venue):
    token = await _token(venue)
    await venue.control("account", wallet=ADDRESS, collateral="100")
    async with await _connect(venue) as client:

        async def refused(**window):
            if window:
                await venue.control("engine", **window)
            with pytest.raises(RequestRejectedError) as caught:
                await client.place_limit_order(asset_id=token, side="BUY", price="0.45", size="20")
            return caught.value

        restarting = await refused(mode="restarting", for_ms=60_000)
        post_only = await refused(mode="post_only", for_ms=60_000)
        cancel_only = await refused(mode="cancel_only")
        await venue.control("heal")
        await venue.control("trouble", kind="status", status=403, body="<html>Cloudflare</html>")
        forbidden = await refused()
        await venue.control("trouble", kind="status", status=429, retry_after=3, body={"error": "Too Many Requests"})
        with pytest.raises(RateLimitError) as limited:
            await client.place_limit_order(asset_id=token, side="BUY", price="0.45", size="20")
        await venue.control("trouble", kind="lost_response")
        with pytest.raises(TransportError):
            await client.place_limit_order(asset_id=token, side="BUY", price="0.45", size="20")
        await venue.control("answers", refusals_in_body=True)
        crossing = await client.place_limit_order(asset_id=token, side="BUY", price="0.5", size="20", post_only=True)
        first = await client.send_order_heartbeat()
        with pytest.raises(OrderHeartbeatMismatchError) as mismatch:
            await client.send_order_heartbeat(heartbeat_id="wrong")

        assert (restarting.restriction, restarting.status) == ("restarting", 425)
        assert (post_only.restriction, post_only.code) == ("post_only", "post_only_mode")
        assert cancel_only.restriction == "cancel_only"
        assert (forbidden.status, "Cloudflare" in str(forbidden)) == (403, True)
        assert limited.value.retry_after == 3
        assert (crossing.ok, crossing.code) == (False, "post_only_would_cross")
        assert mismatch.value.heartbeat_id == first.heartbeat_id
        assert len((await client.list_open_orders().first_page()).items) == 1
        posts = (await venue.client.get(venue.sandbox.urls["CONTROL_URL"] + "/posts")).json()
        assert [post["outcome"] for post in posts if post["outcome"] == "live"] == ["live"]


async def test_it_notices_that_its_key_is_gone_and_makes_another(venue):
    await venue.control("account", wallet=ADDRESS, collateral="100")
    async with await _connect(venue) as client:
        credentials = client.credentials
        await venue.control("credentials", revoke=True)
        with pytest.raises(RequestRejectedError) as caught:
            await client.fetch_api_keys()
        assert (caught.value.status, str(caught.value)) == (401, "Unauthorized/Invalid api key")
    async with await _connect(venue, credentials=credentials) as client:
        assert client.credentials != credentials
        assert await client.fetch_api_keys() == (client.credentials.key,)
        await client.delete_api_key()
        with pytest.raises(RequestRejectedError):
            await client.fetch_api_keys()
