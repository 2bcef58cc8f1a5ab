"""The tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The kinds of columns as they were at this revision; copytrade/adapters/sql/columns.py says why.
ID = postgresql.UUID().with_variant(sa.CHAR(36), "sqlite")
MICRO = sa.Numeric(20, 6).with_variant(sa.REAL(), "sqlite")
INSTANT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON = postgresql.JSON().with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    _create_leader_fills()
    _create_attempts()
    _create_execution_fills()
    _create_markets()
    _create_accounts()
    _create_events()


def downgrade() -> None:
    for table in (
        "worker_event",
        "risk_event",
        "equity_point",
        "position",
        "market_token",
        "market_registry",
        "polygon_cursor",
        "execution_fill",
        "execution_attempt",
        "leader_fill_raw",
        "leader_fill",
        "leader",
    ):
        op.drop_table(table)


def _column(name: str, kind: object, *constraints: object) -> sa.Column:
    return sa.Column(name, kind, *constraints, nullable=False)


def _reference(name: str, table: str, target: str) -> sa.ForeignKey:
    return sa.ForeignKey(f"{target}", name=f"fk_{table}_{name}")


def _create_leader_fills() -> None:
    op.create_table(
        "leader",
        _column("id", ID),
        _column("address", sa.Text),
        _column("label", sa.Text),
        _column("enabled", sa.Boolean),
        sa.Column("copy_ratio", MICRO),
        sa.Column("max_usdc_per_trade", MICRO),
        _column("live_allowed", sa.Boolean),
        _column("followed_since", INSTANT),
        _column("created_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_leader"),
        sa.UniqueConstraint("address", name="uq_leader_address"),
    )
    op.create_table(
        "leader_fill",
        _column("id", ID),
        _column("leader_id", ID, _reference("leader_id", "leader_fill", "leader.id")),
        _column("source", sa.Text),
        sa.Column("exchange_address", sa.Text),
        sa.Column("block_number", sa.BigInteger),
        sa.Column("block_hash", sa.Text),
        _column("tx_hash", sa.Text),
        sa.Column("log_index", sa.Integer),
        sa.Column("order_hash", sa.Text),
        sa.Column("maker", sa.Text),
        sa.Column("taker", sa.Text),
        _column("leader_role", sa.Text),
        _column("token_id", sa.Text),
        _column("side", sa.Text),
        _column("leader_price", MICRO),
        _column("leader_size", MICRO),
        _column("leader_usdc", MICRO),
        sa.Column("leader_fee", MICRO),
        _column("fill_ts", INSTANT),
        _column("detected_at", INSTANT),
        _column("dedupe_key", sa.Text),
        sa.Column("confirmed_at", INSTANT),
        sa.Column("orphaned_at", INSTANT),
        _column("awaits_decision", sa.Boolean),
        _column("created_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_leader_fill"),
        sa.UniqueConstraint("dedupe_key", name="uq_leader_fill_dedupe_key"),
        sa.CheckConstraint("side IN ('BUY', 'SELL')", name="ck_leader_fill_side"),
        sa.CheckConstraint("leader_role IN ('maker', 'taker', 'unknown')", name="ck_leader_fill_leader_role"),
    )
    op.create_index("ix_leader_fill_tx_hash_order_hash", "leader_fill", ["tx_hash", "order_hash"])
    op.create_index("ix_leader_fill_fill_ts", "leader_fill", ["fill_ts"])
    op.create_index("ix_leader_fill_leader_id_fill_ts", "leader_fill", ["leader_id", "fill_ts"])
    _create_partial_index("ix_leader_fill_undecided", "leader_fill", "fill_ts", where="awaits_decision")
    _create_partial_index("ix_leader_fill_unconfirmed", "leader_fill", "block_number", where="confirmed_at IS NULL")
    op.create_table(
        "leader_fill_raw",
        _column("id", ID),
        _column("source", sa.Text),
        _column("source_key", sa.Text),
        sa.Column("leader_fill_id", ID, _reference("leader_fill_id", "leader_fill_raw", "leader_fill.id")),
        _column("payload", JSON),
        _column("received_at", INSTANT),
        _column("created_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_leader_fill_raw"),
        sa.UniqueConstraint("source", "source_key", name="uq_leader_fill_raw_source_source_key"),
    )
    op.create_index("ix_leader_fill_raw_leader_fill_id", "leader_fill_raw", ["leader_fill_id"])
    op.create_table(
        "polygon_cursor",
        _column("exchange_address", sa.Text),
        _column("leader_address", sa.Text),
        _column("role", sa.Text),
        _column("last_processed_block", sa.BigInteger),
        sa.Column("proved_block", sa.BigInteger),
        _column("updated_at", INSTANT),
        sa.PrimaryKeyConstraint("exchange_address", "leader_address", "role", name="pk_polygon_cursor"),
        sa.CheckConstraint("proved_block <= last_processed_block", name="ck_polygon_cursor_proved_block"),
    )


def _create_attempts() -> None:
    op.create_table(
        "execution_attempt",
        _column("id", ID),
        _column("strategy_id", sa.Text),
        _column("account_id", sa.Text),
        _column("leader_fill_id", ID, _reference("leader_fill_id", "execution_attempt", "leader_fill.id")),
        _column("mode", sa.Text),
        _column("decision", sa.Text),
        _column("decision_reason", JSON),
        _column("ratio", MICRO),
        _column("token_id", sa.Text),
        _column("side", sa.Text),
        _column("size_shares_target", MICRO),
        _column("limit_price", MICRO),
        _column("ttl_ms", sa.BigInteger),
        _column("status", sa.Text),
        sa.Column("order_hash", sa.Text),
        _column("decided_at", INSTANT),
        sa.Column("placed_at", INSTANT),
        sa.Column("first_fill_at", INSTANT),
        sa.Column("done_at", INSTANT),
        _column("created_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_execution_attempt"),
        sa.UniqueConstraint(
            "leader_fill_id",
            "strategy_id",
            "account_id",
            name="uq_execution_attempt_leader_fill_id_strategy_id_account_id",
        ),
        sa.CheckConstraint("mode IN ('paper', 'live')", name="ck_execution_attempt_mode"),
        sa.CheckConstraint("decision IN ('TRADE', 'SKIP')", name="ck_execution_attempt_decision"),
        sa.CheckConstraint("side IN ('BUY', 'SELL')", name="ck_execution_attempt_side"),
        sa.CheckConstraint(
            "status IN ('SKIPPED', 'PENDING', 'SUBMITTED', 'PARTIAL', 'FILLED', 'CANCELED', 'FAILED')",
            name="ck_execution_attempt_status",
        ),
    )
    is_open = "status IN ('PENDING', 'SUBMITTED', 'PARTIAL')"
    _create_partial_index("ix_execution_attempt_open", "execution_attempt", "created_at", where=is_open)
    op.create_index("ix_execution_attempt_created_at", "execution_attempt", ["created_at"])
    op.create_index("ix_execution_attempt_order_hash", "execution_attempt", ["order_hash"])


def _create_execution_fills() -> None:
    op.create_table(
        "execution_fill",
        _column("id", ID),
        _column("attempt_id", ID, _reference("attempt_id", "execution_fill", "execution_attempt.id")),
        _column("strategy_id", sa.Text),
        _column("account_id", sa.Text),
        _column("venue_trade_id", sa.Text),
        _column("token_id", sa.Text),
        _column("side", sa.Text),
        _column("filled_shares", MICRO),
        _column("fill_price", MICRO),
        _column("fee_usdc", MICRO),
        _column("notional_usdc", MICRO),
        _column("realized_pnl_usdc", MICRO),
        _column("liquidity", sa.Text),
        _column("settlement", sa.Text),
        _column("fill_at", INSTANT),
        _column("position_ordinal", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_execution_fill"),
        sa.UniqueConstraint("account_id", "venue_trade_id", name="uq_execution_fill_account_id_venue_trade_id"),
        sa.UniqueConstraint(
            "strategy_id",
            "account_id",
            "token_id",
            "position_ordinal",
            name="uq_execution_fill_position_ordinal",
        ),
        sa.CheckConstraint("side IN ('BUY', 'SELL')", name="ck_execution_fill_side"),
        sa.CheckConstraint("filled_shares > 0", name="ck_execution_fill_filled_shares"),
        sa.CheckConstraint("liquidity IN ('taker', 'maker')", name="ck_execution_fill_liquidity"),
        sa.CheckConstraint(
            "settlement IN ('matched', 'mined', 'confirmed', 'retrying', 'failed')",
            name="ck_execution_fill_settlement",
        ),
    )
    op.create_index("ix_execution_fill_attempt_id", "execution_fill", ["attempt_id"])
    op.create_index("ix_execution_fill_fill_at", "execution_fill", ["fill_at"])


def _create_markets() -> None:
    op.create_table(
        "market_registry",
        _column("condition_id", sa.Text),
        _column("version", sa.Text),
        _column("title", sa.Text),
        _column("slug", sa.Text),
        _column("event_slug", sa.Text),
        _column("category", sa.Text),
        sa.Column("end_date", INSTANT),
        _column("enable_order_book", sa.Boolean),
        _column("accepting_orders", sa.Boolean),
        _column("closed", sa.Boolean),
        _column("neg_risk", sa.Boolean),
        _column("tick_size", MICRO),
        _column("min_order_size", MICRO),
        _column("fee_rate", MICRO),
        _column("fee_exponent", sa.Integer),
        _column("taker_delay_ms", sa.BigInteger),
        sa.Column("payouts", JSON),
        _column("updated_at", INSTANT),
        sa.PrimaryKeyConstraint("condition_id", name="pk_market_registry"),
    )
    op.create_table(
        "market_token",
        _column("token_id", sa.Text),
        _column("condition_id", sa.Text, _reference("condition_id", "market_token", "market_registry.condition_id")),
        _column("outcome", sa.Text),
        _column("outcome_index", sa.Integer),
        sa.PrimaryKeyConstraint("token_id", name="pk_market_token"),
    )
    op.create_index("ix_market_token_condition_id", "market_token", ["condition_id"])


def _create_accounts() -> None:
    op.create_table(
        "position",
        _column("strategy_id", sa.Text),
        _column("account_id", sa.Text),
        _column("token_id", sa.Text),
        _column("shares", MICRO),
        _column("cost_usdc", MICRO),
        _column("realized_pnl_usdc", MICRO),
        _column("fees_usdc", MICRO),
        _column("updated_at", INSTANT),
        sa.PrimaryKeyConstraint("strategy_id", "account_id", "token_id", name="pk_position"),
        sa.CheckConstraint("shares >= 0", name="ck_position_shares"),
    )
    op.create_table(
        "equity_point",
        _column("account_id", sa.Text),
        _column("at", INSTANT),
        _column("cash_usdc", MICRO),
        _column("marked_value_usdc", MICRO),
        _column("realized_pnl_usdc", MICRO),
        _column("unrealized_pnl_usdc", MICRO),
        sa.PrimaryKeyConstraint("account_id", "at", name="pk_equity_point"),
    )


def _create_events() -> None:
    for table in ("risk_event", "worker_event"):
        op.create_table(
            table,
            _column("id", ID),
            _column("code", sa.Text),
            _column("detail", JSON),
            _column("at", INSTANT),
            sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        )
        op.create_index(f"ix_{table}_at", table, ["at"])


def _create_partial_index(name: str, table: str, column: str, *, where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, [column], postgresql_where=condition, sqlite_where=condition)
