"""Rows of the Data API: snake_case, sizes and prices as JSON doubles, times in seconds."""

from __future__ import annotations

from typing import Any

from copytrade.sandbox import digest
from copytrade.sandbox.events import BUY
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.happening import SettlementSent
from copytrade.sandbox.ledger import FillLedger, FillRecord, Holding
from copytrade.sandbox.micro import ONE, json_number
from copytrade.sandbox.settlement import Fill

DUST = ONE // 10
"""Positions below 0.1 shares are not listed by default."""
UNKNOWN_OUTCOME = 999
PRICE_DECIMALS = 10


def trade(exchange: Exchange, record: FillRecord) -> dict[str, Any]:
    """Return a trade row. It has no log index, role, fee or order hash."""
    fill = record.fill
    return {
        "proxy_wallet": fill.owner,
        "side": "BUY" if fill.side == BUY else "SELL",
        "token_id": str(fill.token),
        "condition_id": fill.condition,
        "size": json_number(fill.size),
        "price": round(fill.collateral / fill.size, PRICE_DECIMALS),
        "timestamp": record.timestamp,
        **_described(exchange, fill.token),
        "icon": "",
        "name": "",
        "pseudonym": "",
        "bio": "",
        "profile_image": "",
        "profile_image_optimized": "",
        "transaction_hash": record.tx_hash,
    }


def activity(exchange: Exchange, record: FillRecord) -> dict[str, Any]:
    """Return an activity row; `usdc_size` includes the fee of a taker's BUY."""
    fill = record.fill
    paid = fill.collateral + (fill.fee if fill.side == BUY else 0)
    return {
        **trade(exchange, record),
        "type": "TRADE",
        "usdc_size": json_number(paid),
        "is_combo": False,
    }


def stream_row(exchange: Exchange, fill: Fill, sent: SettlementSent) -> dict[str, Any]:
    """Return the payload of the live stream: camel case, a checksummed wallet, the second of the match."""
    described = _described(exchange, fill.token)
    return {
        "asset": str(fill.token),
        "bio": "",
        "conditionId": fill.condition,
        "eventSlug": described["event_slug"],
        "icon": "",
        "name": "",
        "outcome": described["outcome"],
        "outcomeIndex": described["outcome_index"],
        "price": round(fill.collateral / fill.size, PRICE_DECIMALS),
        "profileImage": "",
        "proxyWallet": digest.checksummed(fill.owner),
        "pseudonym": "",
        "side": "BUY" if fill.side == BUY else "SELL",
        "size": json_number(fill.size),
        "slug": described["slug"],
        "timestamp": sent.at_ms // 1_000,
        "title": described["title"],
        "transactionHash": sent.tx_hash,
    }


def position(exchange: Exchange, user: str, token: int, holding: Holding) -> dict[str, Any] | None:
    """Return an open position, or None for dust."""
    if holding.shares < DUST:
        return None
    market = exchange.catalogue.by_token(token)
    return {
        "proxy_wallet": user,
        "token_id": str(token),
        "condition_id": "" if market is None else market.condition,
        "current_size": json_number(holding.shares),
        "total_size": json_number(holding.bought),
        "avg_price": holding.cost / max(1, holding.bought),
        "current_price": mark(exchange, token, holding) / holding.shares,
        "entry_cost_usdc": json_number(holding.cost),
        "entry_fees_usdc": json_number(holding.fees),
        "status": "OPEN",
        **_described(exchange, token),
    }


def mark(exchange: Exchange, token: int, holding: Holding) -> int:
    """Return what the shares would fetch at the best bid, micro-pUSD."""
    market = exchange.catalogue.by_token(token)
    if market is None or holding.shares <= 0:
        return 0
    outcome = market.outcome_of(token)
    if market.payouts is not None:
        return holding.shares * market.payouts[outcome] // ONE
    bids, _ = exchange.book(market).view(outcome)
    return holding.shares * bids[-1].price // ONE if bids else 0


def rank(exchange: Exchange, ledger: FillLedger, address: str, name: str) -> dict[str, Any]:
    """Return a leaderboard row."""
    canonical = [record for record in ledger.of_owner(address) if record.canonical]
    volume = sum(record.fill.collateral for record in canonical)
    cash = sum(_cash(record) for record in canonical)
    value = sum(mark(exchange, token, holding) for token, holding in ledger.holdings(address).items())
    return {
        "proxy_wallet": address,
        "user_name": name,
        "volume": volume / ONE,
        "pnl": (cash + value) / ONE,
        "profile_image": "",
        "verified_badge": False,
    }


def _cash(record: FillRecord) -> int:
    fill = record.fill
    return (-fill.collateral if fill.side == BUY else fill.collateral) - fill.fee


def _described(exchange: Exchange, token: int) -> dict[str, Any]:
    market = exchange.catalogue.by_token(token)
    if market is None:
        return {
            "title": "",
            "slug": "",
            "event_slug": "",
            "outcome": "",
            "outcome_index": UNKNOWN_OUTCOME,
        }
    outcome = market.outcome_of(token)
    return {
        "title": market.question,
        "slug": market.slug,
        "event_slug": market.group.slug,
        "outcome": market.outcomes[outcome],
        "outcome_index": outcome,
    }
