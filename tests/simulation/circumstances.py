"""How a seed's worker is set up and what its venue is like, drawn before anything happens."""

from __future__ import annotations

import random
from dataclasses import dataclass

from copytrade.cli.demonstration import demo_settings
from copytrade.domain.orders import OrderType
from copytrade.domain.sizing import ExitMode
from copytrade.domain.units import MICRO, format_micro
from copytrade.sandbox.server import SandboxConfig, urls_of
from copytrade.settings import Settings
from copytrade.settings.values import BookstoreMode, TriggerMode

START_MS = 1_795_000_000_000
URLS = urls_of("127.0.0.1", 1)
SECRET = "the-key-of-a-provider"
"""Part of every node's address; whatever is told or stored must not have it."""
NODE_URL, SECOND_NODE_URL = (f"{URLS['POLYGON_HTTP_URL']}{number}?apikey={SECRET}" for number in ("", "2"))
NODE_WS_URL = f"{URLS['POLYGON_WS_URL']}?apikey={SECRET}"
MODES = ("data_api", "polygon", "both", "rtds", "all")
MODE_WEIGHTS = (2, 4, 6, 1, 5)
BOOKS = ("ws+snapshot", "ws", "rest")
BOOK_WEIGHTS = (6, 2, 2)
LIMITS = {
    "risk_max_usdc_per_trade": 15 * MICRO,
    "risk_max_usdc_per_leader": 40 * MICRO,
    "risk_max_usdc_per_market": 30 * MICRO,
    "risk_max_usdc_per_event": 45 * MICRO,
    "risk_max_open_usdc": 90 * MICRO,
    "risk_max_open_positions": 7,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What stays the same through all lives of a run."""

    trigger_mode: str = "both"
    bookstore_mode: str = "ws+snapshot"
    has_second_node: bool = False
    is_sqlite: bool = False
    order_type: OrderType = OrderType.GTC
    copy_ratio: int = MICRO
    exit_mode: ExitMode = ExitMode.FRACTION
    page_rows_max: int = 1_000
    """The Data API gives no longer pages, whatever is asked for."""
    is_limited: bool = False
    """Whether limits are in force, near enough to be met."""

    def settings(self) -> Settings:
        """Return what an operator would have set."""
        known = demo_settings(URLS, "sqlite:///never-opened.db")
        nodes = (NODE_URL, SECOND_NODE_URL) if self.has_second_node else (NODE_URL,)
        changes = {
            "trigger_mode": TriggerMode(self.trigger_mode),
            "bookstore_mode": BookstoreMode(self.bookstore_mode),
            "polygon_http_url": nodes,
            "polygon_ws_url": (NODE_WS_URL,),
            "order_type": self.order_type,
            "copy_ratio": self.copy_ratio,
            "exit_mode": self.exit_mode,
            **(LIMITS if self.is_limited else {}),
        }
        return known.model_copy(update=changes)

    @property
    def reads_the_chain(self) -> bool:
        """Whether every fill is owed to us, at its place in its block."""
        return self.trigger_mode in {"polygon", "both", "all"}

    @property
    def is_complete(self) -> bool:
        """Whether every fill is owed to us at all: the live stream alone cannot be asked again."""
        return self.trigger_mode != "rtds"

    def __str__(self) -> str:
        nodes = 2 if self.has_second_node else 1
        ledger = "sqlite" if self.is_sqlite else "memory"
        copying = f"{self.order_type} at {format_micro(self.copy_ratio)}, exits by {self.exit_mode}"
        rows = f"pages of {self.page_rows_max} rows"
        limited = ", limited" if self.is_limited else ""
        return f"{self.trigger_mode}, books {self.bookstore_mode}, {nodes} nodes, {ledger}, {copying}, {rows}{limited}"


PLAIN = Circumstances()


def circumstances_of(seed: int) -> Circumstances:
    """Return the circumstances of a seed."""
    rng = random.Random(f"{seed}:circumstances")
    return Circumstances(
        trigger_mode=rng.choices(MODES, MODE_WEIGHTS)[0],
        bookstore_mode=rng.choices(BOOKS, BOOK_WEIGHTS)[0],
        has_second_node=rng.random() < 0.5,
        is_sqlite=rng.random() < 0.4,
        order_type=rng.choice((OrderType.GTC, OrderType.GTC, OrderType.FAK, OrderType.FOK)),
        copy_ratio=rng.choice((MICRO, 290_000, 290_000, 20_000)),
        exit_mode=rng.choice(tuple(ExitMode)),
        page_rows_max=rng.choice((3, 10, 1_000)),
        is_limited=rng.random() < 0.4,
    )


def world_of(seed: int) -> SandboxConfig:
    """Return the world of a seed: small, so that a run is quick, with a past longer than a run looks back."""
    return SandboxConfig(seed=seed, start_ms=START_MS, history_blocks=80, filler_markets=2)
