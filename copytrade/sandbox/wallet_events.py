"""What wallets do other than trade, as the Data API tells it: splits, merges, redemptions and the like.

They come from the control endpoint, are no transactions of this chain, and change what `/v2/positions`
lists; the leaders of this world do not notice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from copytrade.sandbox import digest
from copytrade.sandbox.data_rows import UNKNOWN_OUTCOME
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.http_message import BadRequestError
from copytrade.sandbox.ledger import FillLedger, Holding
from copytrade.sandbox.micro import json_number, parse_micro

SIGNS = {"SPLIT": 1, "DEPOSIT": 1, "MERGE": -1, "WITHDRAWAL": -1, "REDEEM": 0, "CONVERSION": 0, "MIGRATION": 0}
"""What a type does to each token it is about; a redemption takes all of them, others are not acted out."""
MILLISECONDS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletEvent:
    """One row to be; sizes in micro-units, `timestamp` in seconds. `token` is empty for all of the condition's."""

    number: int
    owner: str
    kind: str
    condition: str
    token: str
    size: int
    usdc: int
    timestamp: int
    happened_ms: int
    tx_hash: str


class WalletEvents:
    """Every event so far, in the order made."""

    def __init__(self, exchange: Exchange) -> None:
        """Start with none."""
        self._exchange = exchange
        self._events: list[WalletEvent] = []

    def add(self, body: dict[str, Any], *, now_ms: int) -> WalletEvent:
        """Make an event of `wallet`, `type`, `condition`, `size` and perhaps `usdc` and `token`."""
        kind, owner = str(body.get("type", "")).upper(), str(body.get("wallet", "")).lower()
        if kind not in SIGNS:
            raise BadRequestError({"error": f"type: one of {list(SIGNS)}"})
        if not owner.startswith("0x"):
            raise BadRequestError({"error": "wallet: an address"})
        number = len(self._events) + 1
        event = WalletEvent(
            number=number,
            owner=owner,
            kind=kind,
            condition=str(body.get("condition", "")).lower(),
            token=str(body.get("token", "")),
            size=parse_micro(str(body.get("size", "0"))),
            usdc=parse_micro(str(body.get("usdc", body.get("size", "0")))),
            timestamp=now_ms // MILLISECONDS,
            happened_ms=now_ms,
            tx_hash=digest.derive_hash("wallet-event", owner, number),
        )
        self._events.append(event)
        return event

    def of_owner(self, owner: str, *, until_ms: int) -> list[WalletEvent]:
        """Return one wallet's events that happened by then, in the order made."""
        return [event for event in self._events if event.owner == owner and event.happened_ms <= until_ms]

    def holdings(self, ledger: FillLedger, owner: str, *, until_ms: int) -> dict[int, Holding]:
        """Return what the wallet holds by its fills and these events; a redemption takes what is held by now."""
        held = ledger.holdings(owner)
        for event in self.of_owner(owner, until_ms=until_ms):
            for token in self._tokens(event):
                holding = held.setdefault(token, Holding())
                added = SIGNS[event.kind] * event.size
                holding.shares = 0 if event.kind == "REDEEM" else holding.shares + added
                holding.bought += max(0, added)
        return held

    def _tokens(self, event: WalletEvent) -> tuple[int, ...]:
        if event.token:
            return (int(event.token),)
        market = self._exchange.catalogue.by_condition(event.condition)
        return () if market is None else tuple(market.tokens)


def activity_row(event: WalletEvent) -> dict[str, Any]:
    """Return the row: no token, no side and an unknown outcome, unless the event names a token."""
    return {
        "proxy_wallet": event.owner,
        "type": event.kind,
        "side": "",
        "token_id": event.token,
        "condition_id": event.condition,
        "size": json_number(event.size),
        "usdc_size": json_number(event.usdc),
        "price": 0,
        "timestamp": event.timestamp,
        "title": "",
        "slug": "",
        "event_slug": "",
        "outcome": "",
        "outcome_index": UNKNOWN_OUTCOME,
        "is_combo": False,
        "transaction_hash": event.tx_hash,
    }
