"""A sandbox, and a worker that has passed every gate of live mode there."""

from __future__ import annotations

import json
from pathlib import Path

from tests.processes import World, copytrade

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
WALLET = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
LIVE = {
    "EXECUTION_MODE": "live",
    "LIVE_PRIVATE_KEY": KEY,
    "LIVE_ACCEPT_ENV_KEY": "true",
    "LIVE_MAX_USDC_PER_ORDER": "20",
    "LIVE_MAX_USDC_PER_DAY": "1000",
    "RISK_MAX_OPEN_USDC": "1000",
    "RISK_MAX_USDC_PER_MARKET": "1000",
    "RISK_DAILY_DRAWDOWN_USDC": "1000",
    "SIZING_MODE": "fixed_usdc",
    "FIXED_USDC": "10",
}


def ready(world: World, folder: Path, database_url: str) -> dict[str, str]:
    """Do what a person does before real orders; return the variables of a worker that starts.

    The lock of the account is kept in `folder`: other tests trade the same account of other sandboxes.
    """
    node = world.urls["POLYGON_HTTP_URL"]
    addresses = [leader["address"] for leader in world.leaders]
    environment = world.environment(database_url, **LIVE) | {
        "TMPDIR": str(folder),
        "POLYGON_HTTP_URL": f"{node},{node.replace('127.0.0.1', 'localhost')}",
        "LIVE_LEADERS": ",".join(addresses),
    }
    for address in addresses:
        _do("leaders", "add", address, environment=environment, folder=folder)
        _do("leaders", "set", address, "--live-allowed", environment=environment, folder=folder)
    _do("reconcile", environment=environment, folder=folder)
    return environment | {"LIVE_CONFIRM": hash_of(environment, folder)}


def hash_of(environment: dict[str, str], folder: Path) -> str:
    """Return what a person would type to confirm a configuration."""
    seen = copytrade("live", "status", "--json", environment=environment, folder=folder)
    return str(json.loads(seen.stdout)["configuration_hash"])


def _do(*words: str, environment: dict[str, str], folder: Path) -> None:
    ended = copytrade(*words, environment=environment, folder=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
