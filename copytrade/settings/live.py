"""Real orders: whose money, which key, how much of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode

from copytrade.domain.fills import Side
from copytrade.domain.venue_orders import SignatureType
from copytrade.settings.values import Address, Addresses, Money, as_micro

ACCEPTED: Final[dict[str, str]] = {
    "live_signature_type": "0 (the key's own address), 1 (proxy), 2 (Safe), 3 (deposit wallet)",
    "live_wallet": "0x and 40 hex digits",
    "live_keystore": "the path of a keystore v3 file",
    "live_passphrase_fd": "the number of an open file descriptor, from 0 to 1023",
    "live_signer_socket": "the path of the socket that copytrade signer listens at",
    "live_signer_sides": "BUY, SELL, or both with a comma",
    "live_signer_price_min": "a decimal from 0 to 1, or nothing",
    "live_signer_price_max": "a decimal from 0 to 1, or nothing",
    "live_private_key": "0x and 64 hex digits",
    "live_accept_env_key": "true, false",
    "live_cancel_on_stop": "true, false",
    "live_heartbeat": "true, false",
    "live_max_usdc_per_order": "a decimal above 0",
    "live_max_usdc_per_day": "a decimal above 0",
    "live_leaders": "comma-separated addresses of 0x and 40 hex digits",
    "live_confirm": "the hash that copytrade live status prints",
}


def _kind(value: object) -> object:
    return SignatureType(int(value)) if isinstance(value, str) and value.isdecimal() else value


def _or_nothing(value: object) -> object:
    """Take a variable that is set to nothing for one that is not set."""
    return None if isinstance(value, str) and not value.strip() else value


def _sides(value: object) -> object:
    return frozenset(Side(word.strip()) for word in value.split(",")) if isinstance(value, str) else value


def _stripped(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


_Nothing = BeforeValidator(_or_nothing)
_MaybePrice = Annotated[Annotated[int, BeforeValidator(as_micro), Field(ge=0, le=10**6)] | None, _Nothing]


class LiveSettings(BaseSettings):
    """The account and its key; caps are on what buys may cost at their limits."""

    live_wallet: Annotated[Address | None, _Nothing] = None
    live_signature_type: Annotated[SignatureType, BeforeValidator(_kind)] = SignatureType.EOA
    live_keystore: Annotated[Path | None, _Nothing] = None
    live_passphrase_fd: Annotated[Annotated[int, Field(ge=0, le=1023)] | None, _Nothing] = None
    live_signer_socket: Annotated[Path | None, _Nothing] = None
    live_signer_sides: Annotated[frozenset[Side], NoDecode, BeforeValidator(_sides)] = frozenset(Side)
    live_signer_price_min: _MaybePrice = None
    live_signer_price_max: _MaybePrice = None
    live_private_key: Annotated[SecretStr | None, _Nothing] = None
    live_accept_env_key: bool = False
    live_cancel_on_stop: bool = True
    live_heartbeat: bool = False
    live_max_usdc_per_order: Annotated[Money | None, _Nothing] = None
    live_max_usdc_per_day: Annotated[Money | None, _Nothing] = None
    live_leaders: Addresses = ()
    live_confirm: Annotated[str, BeforeValidator(_stripped)] = ""
