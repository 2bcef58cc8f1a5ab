"""Where things are."""

from __future__ import annotations

from pydantic_settings import BaseSettings

from copytrade.settings.values import Address, HttpUrl, HttpUrls, WsUrl, WsUrls


class PlaceSettings(BaseSettings):
    """Contracts and URLs; those of the venue are its public ones."""

    polygon_ws_url: WsUrls = ()
    polygon_http_url: HttpUrls = ()
    poly_exchange_ctf: Address = "0xe111180000d2663c0091e4f400237545b87b996b"
    poly_exchange_negrisk: Address = "0xe2222d279d744050d28e00520010520000310f59"
    poly_exchange_v3: Address = "0xe3333700ca9d93003f00f0f71f8515005f6c00aa"
    poly_exchange_ctf_v1: Address = "0x4bfb41d5b3570defd03c39a9a4d8de6bd8b8982e"
    poly_exchange_negrisk_v1: Address = "0xc5d563a36ae78145c45a50134d48a1215220f80a"
    poly_conditional_tokens: Address = "0x4d97dcd97ec945f40cf65f87097ace5ea0476045"
    clob_http_url: HttpUrl = "https://clob.polymarket.com"
    clob_market_ws_url: WsUrl = "wss://ws-subscriptions-clob.polymarket.com/ws/market"
    clob_user_ws_url: WsUrl = "wss://ws-subscriptions-clob.polymarket.com/ws/user"
    gamma_http_url: HttpUrl = "https://gamma-api.polymarket.com"
    data_api_http_url: HttpUrl = "https://data-api.polymarket.com"
    geoblock_url: HttpUrl = "https://polymarket.com/api/geoblock"
    rtds_ws_url: WsUrl = "wss://ws-live-data.polymarket.com"
