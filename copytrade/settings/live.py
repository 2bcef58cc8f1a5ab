"""Real orders: whose money, which key, how much of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from copytrade.domain.venue_orders import SignatureType
from copytrade.settings.values import Address, Money

ACCEPTED: Final[dict[str, str]] = {
    "live_signature_type": "0 (the key's own address), 1 (proxy), 2 (Safe), 3 (deposit wallet)",
    "live_wallet": "0x and 40 hex digits",
    "live_keystore": "the path of a keystore v3 file",
    "live_passphrase_fd": "the number of an open file descriptor, from 0 to 1023",
    "live_private_key": "0x and 64 hex digits",
    "live_accept_env_key": "true, false",
    "live_cancel_on_stop": "true, false",
    "live_max_usdc_per_order": "a decimal above 0",
    "live_max_usdc_per_day": "a decimal above 0",
}


def _kind(value: object) -> object:
    return SignatureType(int(value)) if isinstance(value, str) and value.isdecimal() else value


class LiveSettings(BaseSettings):
    """The account and its key; caps are on what buys may cost at their limits."""

    live_wallet: Address | None = None
    live_signature_type: Annotated[SignatureType, BeforeValidator(_kind)] = SignatureType.EOA
    live_keystore: Path | None = None
    live_passphrase_fd: Annotated[int | None, Field(ge=0, le=1023)] = None
    live_private_key: SecretStr | None = None
    live_accept_env_key: bool = False
    live_cancel_on_stop: bool = True
    live_max_usdc_per_order: Money | None = None
    live_max_usdc_per_day: Money | None = None
