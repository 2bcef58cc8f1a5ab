"""The signer process, wired: a key, a policy from the settings, a socket."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from copytrade.app.outside import system_clock
from copytrade.domain.signing_policy import SigningPolicy
from copytrade.domain.units import MICRO
from copytrade.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from copytrade.settings import Settings


@asynccontextmanager
async def open_signer_process(settings: Settings) -> AsyncIterator[str]:
    """Listen at LIVE_SIGNER_SOCKET; yields what is signed there, in words.

    :raises ConfigurationError: a key, a cap or the socket is missing, or cannot be had.
    """
    from copytrade.adapters.live.keys import harden_process
    from copytrade.adapters.live.signer import BadKeyError
    from copytrade.adapters.live.signing_desk import SigningDesk, open_desk
    from copytrade.app.live import open_own_key

    path = _required_socket(settings)
    try:
        harden_process()
    except BadKeyError as error:
        raise ConfigurationError(str(error)) from None
    signer = await open_own_key(settings)
    policy = _policy(settings, wallet=settings.live_wallet or signer.address)
    try:
        async with open_desk(SigningDesk(signer=signer, policy=policy, clock=system_clock()), path):
            yield f"signs for {policy.wallet} with {signer.address} at {path}"
    except OSError as error:
        raise ConfigurationError(f"LIVE_SIGNER_SOCKET={path}: {error.strerror or error}") from None


async def serve_until_cancelled() -> None:
    """Do nothing, until cancelled: what is open serves."""
    await asyncio.Event().wait()


def _required_socket(settings: Settings) -> Path:
    if settings.live_signer_socket is None:
        raise ConfigurationError("LIVE_SIGNER_SOCKET is not set; the signer needs the path of its socket")
    return settings.live_signer_socket


def _policy(settings: Settings, *, wallet: str) -> SigningPolicy:
    per_order, per_day = settings.live_max_usdc_per_order, settings.live_max_usdc_per_day
    if per_order is None or per_day is None:
        raise ConfigurationError("LIVE_MAX_USDC_PER_ORDER and LIVE_MAX_USDC_PER_DAY are not set; the signer needs both")
    return SigningPolicy(
        wallet=wallet,
        exchanges=frozenset({settings.poly_exchange_ctf, settings.poly_exchange_negrisk, settings.poly_exchange_v3}),
        sides=settings.live_signer_sides,
        price_min=settings.live_signer_price_min or 0,
        price_max=settings.live_signer_price_max or MICRO,
        usdc_per_order=per_order,
        usdc_per_day=per_day,
    )
