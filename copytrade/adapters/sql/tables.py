"""The tables, exactly as the migrations make them (a test compares the two).

Columns beyond the published ones: `leader_fill.awaits_decision` is true from the moment a fill to be copied is
stored until its attempt is, so that looking for work costs the same however much history there is;
`execution_fill.position_ordinal` and `settlement.position_ordinal` together number what moved one position from 0,
the order in which folding it gives the position; `notional_usdc` and `realized_pnl_usdc` are what one such row moved.
`leader_roll` has one row, whose number triggers raise whenever anything in `leader` is changed.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from copytrade.adapters.sql.columns import Id, Instant, JsonText, Micro

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# A partial index serves only a query that says its condition in the same words.
AWAITS_DECISION: Final = "awaits_decision"
IS_OPEN: Final = "status IN ('PENDING', 'SUBMITTED', 'PARTIAL')"
IS_UNSETTLED: Final = "settlement IN ('matched', 'mined', 'retrying')"
"""As the index of unsettled executions has it; a query must say the same words to be served by it."""


def _required(name: str, kind: Any, *constraints: Any) -> Column[Any]:
    return Column(name, kind, *constraints, nullable=False)


def _id() -> Column[Any]:
    return Column("id", Id, primary_key=True)


leader: Final = Table(
    "leader",
    metadata,
    _id(),
    _required("address", Text),
    _required("label", Text),
    _required("enabled", Boolean),
    Column("copy_ratio", Micro),
    Column("max_usdc_per_trade", Micro),
    _required("live_allowed", Boolean),
    _required("followed_since", Instant),
    _required("created_at", Instant),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("exit_only", Boolean, nullable=False, server_default=false()),
    Column("rules", JsonText),
    UniqueConstraint("address"),
)

leader_roll: Final = Table(
    "leader_roll",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _required("revision", BigInteger),
)

leader_fill: Final = Table(
    "leader_fill",
    metadata,
    _id(),
    _required("leader_id", Id, ForeignKey("leader.id")),
    _required("source", Text),
    Column("exchange_address", Text),
    Column("block_number", BigInteger),
    Column("block_hash", Text),
    _required("tx_hash", Text),
    Column("log_index", Integer),
    Column("order_hash", Text),
    Column("maker", Text),
    Column("taker", Text),
    _required("leader_role", Text),
    _required("token_id", Text),
    _required("side", Text),
    _required("leader_price", Micro),
    _required("leader_size", Micro),
    _required("leader_usdc", Micro),
    Column("leader_fee", Micro),
    _required("fill_ts", Instant),
    _required("detected_at", Instant),
    _required("dedupe_key", Text),
    Column("confirmed_at", Instant),
    Column("orphaned_at", Instant),
    _required("awaits_decision", Boolean),
    _required("created_at", Instant),
    UniqueConstraint("dedupe_key"),
    CheckConstraint("side IN ('BUY', 'SELL')", name="side"),
    CheckConstraint("leader_role IN ('maker', 'taker', 'unknown')", name="leader_role"),
)
Index("ix_leader_fill_tx_hash_order_hash", leader_fill.c.tx_hash, leader_fill.c.order_hash)
Index("ix_leader_fill_fill_ts", leader_fill.c.fill_ts)
Index("ix_leader_fill_leader_id_fill_ts", leader_fill.c.leader_id, leader_fill.c.fill_ts)
Index("ix_leader_fill_token_id_leader_id", leader_fill.c.token_id, leader_fill.c.leader_id, leader_fill.c.fill_ts)
Index(
    "ix_leader_fill_undecided",
    leader_fill.c.fill_ts,
    postgresql_where=text(AWAITS_DECISION),
    sqlite_where=text(AWAITS_DECISION),
)
Index(
    "ix_leader_fill_unconfirmed",
    leader_fill.c.block_number,
    postgresql_where=leader_fill.c.confirmed_at.is_(None),
    sqlite_where=leader_fill.c.confirmed_at.is_(None),
)

leader_fill_raw: Final = Table(
    "leader_fill_raw",
    metadata,
    _id(),
    _required("source", Text),
    _required("source_key", Text),
    Column("leader_fill_id", Id, ForeignKey("leader_fill.id")),
    _required("payload", JsonText),
    _required("received_at", Instant),
    _required("created_at", Instant),
    UniqueConstraint("source", "source_key"),
)
Index("ix_leader_fill_raw_leader_fill_id", leader_fill_raw.c.leader_fill_id)

execution_attempt: Final = Table(
    "execution_attempt",
    metadata,
    _id(),
    _required("strategy_id", Text),
    _required("account_id", Text),
    _required("leader_fill_id", Id, ForeignKey("leader_fill.id")),
    _required("mode", Text),
    _required("decision", Text),
    _required("decision_reason", JsonText),
    _required("ratio", Micro),
    _required("token_id", Text),
    _required("side", Text),
    _required("size_shares_target", Micro),
    _required("limit_price", Micro),
    _required("ttl_ms", BigInteger),
    _required("status", Text),
    Column("order_type", Text),
    Column("order_hash", Text),
    _required("decided_at", Instant),
    Column("placed_at", Instant),
    Column("first_fill_at", Instant),
    Column("done_at", Instant),
    _required("created_at", Instant),
    UniqueConstraint("leader_fill_id", "strategy_id", "account_id"),
    CheckConstraint("mode IN ('paper', 'live')", name="mode"),
    CheckConstraint("decision IN ('TRADE', 'SKIP')", name="decision"),
    CheckConstraint("side IN ('BUY', 'SELL')", name="side"),
    CheckConstraint(
        "status IN ('SKIPPED', 'PENDING', 'SUBMITTED', 'PARTIAL', 'FILLED', 'CANCELED', 'FAILED')", name="status"
    ),
)
Index(
    "ix_execution_attempt_open",
    execution_attempt.c.created_at,
    postgresql_where=text(IS_OPEN),
    sqlite_where=text(IS_OPEN),
)
Index("ix_execution_attempt_created_at", execution_attempt.c.created_at)
Index("ix_execution_attempt_order_hash", execution_attempt.c.order_hash)

execution_fill: Final = Table(
    "execution_fill",
    metadata,
    _id(),
    _required("attempt_id", Id, ForeignKey("execution_attempt.id")),
    _required("strategy_id", Text),
    _required("account_id", Text),
    _required("venue_trade_id", Text),
    _required("token_id", Text),
    _required("side", Text),
    _required("filled_shares", Micro),
    _required("fill_price", Micro),
    _required("fee_usdc", Micro),
    _required("notional_usdc", Micro),
    _required("realized_pnl_usdc", Micro),
    _required("liquidity", Text),
    _required("settlement", Text),
    _required("fill_at", Instant),
    _required("position_ordinal", Integer),
    UniqueConstraint("account_id", "venue_trade_id"),
    UniqueConstraint(
        "strategy_id", "account_id", "token_id", "position_ordinal", name="uq_execution_fill_position_ordinal"
    ),
    CheckConstraint("side IN ('BUY', 'SELL')", name="side"),
    CheckConstraint("filled_shares > 0", name="filled_shares"),
    CheckConstraint("liquidity IN ('taker', 'maker')", name="liquidity"),
    CheckConstraint("settlement IN ('matched', 'mined', 'confirmed', 'retrying', 'failed')", name="settlement"),
)
Index("ix_execution_fill_attempt_id", execution_fill.c.attempt_id)
Index("ix_execution_fill_fill_at", execution_fill.c.fill_at)
Index(
    "ix_execution_fill_unsettled",
    execution_fill.c.token_id,
    postgresql_where=text(IS_UNSETTLED),
    sqlite_where=text(IS_UNSETTLED),
)

carry: Final = Table(
    "carry",
    metadata,
    Column("strategy_id", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("leader_id", Id, ForeignKey("leader.id"), primary_key=True),
    Column("token_id", Text, primary_key=True),
    _required("side", Text),
    _required("shares", Micro),
    _required("leader_usdc", Micro),
    _required("fills", Integer),
    _required("since", Instant),
    _required("updated_at", Instant),
    CheckConstraint("side IN ('BUY', 'SELL')", name="side"),
    CheckConstraint("shares >= 0", name="shares"),
)

leader_event: Final = Table(
    "leader_event",
    metadata,
    _id(),
    _required("leader_id", Id, ForeignKey("leader.id")),
    _required("kind", Text),
    _required("condition_id", Text),
    Column("token_id", Text),
    _required("shares", Micro),
    _required("usdc", Micro),
    _required("tx_hash", Text),
    _required("event_ts", Instant),
    _required("detected_at", Instant),
    _required("dedupe_key", Text),
    _required("policy", Text),
    _required("payload", JsonText),
    _required("created_at", Instant),
    UniqueConstraint("dedupe_key"),
    CheckConstraint(
        "kind IN ('SPLIT', 'MERGE', 'REDEEM', 'CONVERSION', 'MIGRATION', 'DEPOSIT', 'WITHDRAWAL', 'SNAPSHOT')",
        name="kind",
    ),
    CheckConstraint("policy IN ('mirror', 'alert', 'ignore')", name="policy"),
)
Index("ix_leader_event_leader_id_event_ts", leader_event.c.leader_id, leader_event.c.event_ts)

polygon_cursor: Final = Table(
    "polygon_cursor",
    metadata,
    Column("exchange_address", Text, primary_key=True),
    Column("leader_address", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    _required("last_processed_block", BigInteger),
    Column("proved_block", BigInteger),
    _required("updated_at", Instant),
    CheckConstraint("proved_block <= last_processed_block", name="proved_block"),
)

proved_range: Final = Table(
    "proved_range",
    metadata,
    Column("exchange_address", Text, primary_key=True),
    Column("leader_address", Text, primary_key=True),
    Column("single_source", Boolean, primary_key=True),
    Column("from_block", BigInteger, primary_key=True),
    _required("to_block", BigInteger),
    _required("method", Text),
    _required("proved_at", Instant),
    CheckConstraint("from_block <= to_block", name="blocks"),
)

chain_head: Final = Table(
    "chain_head",
    metadata,
    Column("chain", Text, primary_key=True),
    _required("block_number", BigInteger),
    _required("updated_at", Instant),
)

market_registry: Final = Table(
    "market_registry",
    metadata,
    Column("condition_id", Text, primary_key=True),
    _required("version", Text),
    _required("title", Text),
    _required("slug", Text),
    _required("event_slug", Text),
    _required("category", Text),
    Column("end_date", Instant),
    _required("enable_order_book", Boolean),
    _required("accepting_orders", Boolean),
    _required("closed", Boolean),
    _required("neg_risk", Boolean),
    _required("tick_size", Micro),
    _required("min_order_size", Micro),
    _required("fee_rate", Micro),
    _required("fee_exponent", Integer),
    _required("taker_delay_ms", BigInteger),
    Column("payouts", JsonText),
    _required("updated_at", Instant),
    Column("resolution_status", Text),
)

market_token: Final = Table(
    "market_token",
    metadata,
    Column("token_id", Text, primary_key=True),
    _required("condition_id", Text, ForeignKey("market_registry.condition_id")),
    _required("outcome", Text),
    _required("outcome_index", Integer),
    Column("former_token_id", Text),
)
Index("ix_market_token_condition_id", market_token.c.condition_id)

registry_sync: Final = Table(
    "registry_sync",
    metadata,
    Column("listing", Text, primary_key=True),
    _required("cursor", Text),
    _required("started_at", Instant),
    _required("pages", Integer),
    _required("markets", Integer),
)

position: Final = Table(
    "position",
    metadata,
    Column("strategy_id", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("token_id", Text, primary_key=True),
    _required("shares", Micro),
    _required("cost_usdc", Micro),
    _required("realized_pnl_usdc", Micro),
    _required("fees_usdc", Micro),
    _required("updated_at", Instant),
    CheckConstraint("shares >= 0", name="shares"),
)


def _event_table(name: str) -> Table:
    columns = (_id(), _required("code", Text), _required("detail", JsonText), _required("at", Instant))
    table = Table(name, metadata, *columns)
    Index(f"ix_{name}_at", table.c.at)
    return table


risk_event: Final = _event_table("risk_event")
worker_event: Final = _event_table("worker_event")
