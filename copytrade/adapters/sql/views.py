"""The views as tables to select from; migrations define them."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, Table, Text

from copytrade.adapters.sql.columns import Id, Instant, JsonText, Micro

_views: Final = MetaData()


def _columns(kind: Any, names: str) -> list[Column[Any]]:
    return [Column(name, kind) for name in names.split()]


trade: Final = Table(
    "trade",
    _views,
    *_columns(Id, "leader_fill_id"),
    *_columns(Text, "leader_address leader_label title outcome slug event_slug category condition_id token_id"),
    *_columns(Text, "side role"),
    *_columns(Micro, "price size usdc fee"),
    *_columns(Instant, "fill_ts detected_at"),
    *_columns(BigInteger, "detect_ms block_number"),
    *_columns(Text, "tx_hash source"),
    *_columns(Boolean, "confirmed orphaned"),
)

attempt_summary: Final = Table(
    "attempt_summary",
    _views,
    *_columns(Id, "attempt_id leader_fill_id"),
    *_columns(Text, "strategy_id account_id leader_address leader_label title outcome token_id"),
    *_columns(Text, "mode decision status side order_hash leader_role"),
    *_columns(JsonText, "decision_reason"),
    *_columns(Micro, "ratio size_shares_target limit_price leader_price leader_size"),
    *_columns(Micro, "filled_shares avg_fill_price fee_usdc realized_pnl_usdc slippage slippage_bps"),
    *_columns(Instant, "fill_ts detected_at decided_at placed_at first_fill_at done_at created_at"),
    *_columns(BigInteger, "ttl_ms detect_ms decide_ms place_ms first_fill_ms done_ms total_ms"),
)

pnl_by_leader: Final = Table(
    "pnl_by_leader",
    _views,
    *_columns(Text, "strategy_id account_id"),
    *_columns(Id, "leader_id"),
    *_columns(Text, "leader_address leader_label"),
    *_columns(Integer, "attempts trades skips"),
    *_columns(
        Micro, "filled_shares filled_usdc bought_usdc sold_usdc settled_usdc fees_usdc realized_pnl_usdc net_pnl_usdc"
    ),
)

pnl_by_day: Final = Table(
    "pnl_by_day",
    _views,
    *_columns(Text, "day strategy_id account_id"),
    *_columns(Integer, "fills settlements"),
    *_columns(Micro, "bought_usdc sold_usdc settled_usdc fees_usdc realized_pnl_usdc net_pnl_usdc"),
)

pnl_by_market: Final = Table(
    "pnl_by_market",
    _views,
    *_columns(Text, "strategy_id account_id condition_id title slug event_slug category"),
    *_columns(Boolean, "closed"),
    *_columns(Integer, "open_positions"),
    *_columns(Micro, "cost_usdc fees_usdc realized_pnl_usdc net_pnl_usdc"),
)

pnl_by_category: Final = Table(
    "pnl_by_category",
    _views,
    *_columns(Text, "strategy_id account_id category"),
    *_columns(Integer, "markets open_positions"),
    *_columns(Micro, "cost_usdc fees_usdc realized_pnl_usdc net_pnl_usdc"),
)

account_money: Final = Table(
    "account_money",
    _views,
    *_columns(Text, "strategy_id account_id"),
    *_columns(Integer, "open_positions"),
    *_columns(Micro, "start_cash_usdc cash_usdc exposure_usdc fees_usdc realized_pnl_usdc net_pnl_usdc"),
)
