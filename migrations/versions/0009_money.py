"""Cash, resolutions and settlements, whole equity points, and PnL views that count settlements."""

from __future__ import annotations

from string import Template

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = postgresql.UUID().with_variant(sa.CHAR(36), "sqlite")
MICRO = sa.Numeric(20, 6).with_variant(sa.REAL(), "sqlite")
INSTANT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON = postgresql.JSON().with_variant(sa.Text(), "sqlite")

EQUITY_BEFORE = ("cash_usdc", "marked_value_usdc", "realized_pnl_usdc", "unrealized_pnl_usdc")

KEEP_POINTS = "INSERT INTO equity_point ($columns) SELECT $values FROM equity_point_before"

CASH_SO_FAR = """
INSERT INTO account_balance (strategy_id, account_id, start_cash_usdc, cash_usdc, updated_at)
SELECT strategy_id, account_id, 0, $cash, max(updated_at)
FROM position
GROUP BY strategy_id, account_id
"""

TAKE_BACK = """
UPDATE position
SET shares = round(position.shares + s.left_shares, 6),
    cost_usdc = round(position.cost_usdc + s.left_cost, 6),
    realized_pnl_usdc = round(position.realized_pnl_usdc - s.realized, 6)
FROM (
    SELECT
        strategy_id,
        account_id,
        token_id,
        sum(CASE WHEN kind = 'migration_in' THEN -shares ELSE shares END) AS left_shares,
        sum(CASE WHEN kind = 'migration_in' THEN -cost_usdc ELSE cost_usdc END) AS left_cost,
        sum(realized_pnl_usdc) AS realized
    FROM settlement
    GROUP BY strategy_id, account_id, token_id
) s
WHERE s.strategy_id = position.strategy_id AND s.account_id = position.account_id AND s.token_id = position.token_id
"""

PNL_BY_LEADER = """
CREATE VIEW pnl_by_leader AS
SELECT
    a.strategy_id,
    a.account_id,
    l.id AS leader_id,
    l.address AS leader_address,
    l.label AS leader_label,
    a.attempts,
    a.trades,
    a.skips,
    $filled_shares AS filled_shares,
    $filled_usdc AS filled_usdc,
    $bought_usdc AS bought_usdc,
    $sold_usdc AS sold_usdc,
    $settled_usdc AS settled_usdc,
    $fees_usdc AS fees_usdc,
    $realized_pnl_usdc AS realized_pnl_usdc,
    $net_pnl_usdc AS net_pnl_usdc
FROM (
    SELECT
        a.strategy_id,
        a.account_id,
        f.leader_id,
        count(*) AS attempts,
        sum(CASE WHEN a.decision = 'TRADE' THEN 1 ELSE 0 END) AS trades,
        sum(CASE WHEN a.decision = 'SKIP' THEN 1 ELSE 0 END) AS skips,
        sum(x.shares) AS shares,
        sum(x.bought) AS bought,
        sum(x.sold) AS sold,
        sum(x.fees) AS fees,
        sum(x.realized) AS realized
    FROM execution_attempt a
    JOIN leader_fill f ON f.id = a.leader_fill_id
    LEFT JOIN (
        SELECT
            attempt_id,
            sum(filled_shares) AS shares,
            sum(CASE WHEN side = 'BUY' THEN notional_usdc ELSE 0 END) AS bought,
            sum(CASE WHEN side = 'SELL' THEN notional_usdc ELSE 0 END) AS sold,
            sum(fee_usdc) AS fees,
            sum(realized_pnl_usdc) AS realized
        FROM execution_fill
        WHERE settlement <> 'failed'
        GROUP BY attempt_id
    ) x ON x.attempt_id = a.id
    GROUP BY a.strategy_id, a.account_id, f.leader_id
) a
JOIN leader l ON l.id = a.leader_id
LEFT JOIN (
    SELECT
        s.strategy_id,
        s.account_id,
        p.leader_id,
        sum(p.proceeds_usdc) AS proceeds,
        sum(p.realized_pnl_usdc) AS realized
    FROM settlement_part p
    JOIN settlement s ON s.id = p.settlement_id
    GROUP BY s.strategy_id, s.account_id, p.leader_id
) s ON s.strategy_id = a.strategy_id AND s.account_id = a.account_id AND s.leader_id = a.leader_id
"""

PNL_BY_DAY = """
CREATE VIEW pnl_by_day AS
SELECT
    day,
    strategy_id,
    account_id,
    CAST(sum(fills) AS bigint) AS fills,
    CAST(sum(settlements) AS bigint) AS settlements,
    $bought_usdc AS bought_usdc,
    $sold_usdc AS sold_usdc,
    $settled_usdc AS settled_usdc,
    $fees_usdc AS fees_usdc,
    $realized_pnl_usdc AS realized_pnl_usdc,
    $net_pnl_usdc AS net_pnl_usdc
FROM (
    SELECT
        $fill_day AS day,
        strategy_id,
        account_id,
        count(*) AS fills,
        0 AS settlements,
        sum(CASE WHEN side = 'BUY' THEN notional_usdc ELSE 0 END) AS bought,
        sum(CASE WHEN side = 'SELL' THEN notional_usdc ELSE 0 END) AS sold,
        0 AS settled,
        sum(fee_usdc) AS fees,
        sum(realized_pnl_usdc) AS realized
    FROM execution_fill
    WHERE settlement <> 'failed'
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT
        $settled_day,
        strategy_id,
        account_id,
        0,
        count(*),
        0,
        0,
        sum(proceeds_usdc),
        0,
        sum(realized_pnl_usdc)
    FROM settlement
    GROUP BY 1, 2, 3
) d
GROUP BY day, strategy_id, account_id
"""

PNL_BY_MARKET = """
CREATE VIEW pnl_by_market AS
SELECT
    p.strategy_id,
    p.account_id,
    t.condition_id,
    m.title,
    m.slug,
    m.event_slug,
    coalesce(m.category, 'unknown') AS category,
    coalesce(m.closed, $no) AS closed,
    sum(CASE WHEN p.shares > 0 THEN 1 ELSE 0 END) AS open_positions,
    $cost_usdc AS cost_usdc,
    $fees_usdc AS fees_usdc,
    $realized_pnl_usdc AS realized_pnl_usdc,
    $net_pnl_usdc AS net_pnl_usdc
FROM position p
LEFT JOIN market_token t ON t.token_id = p.token_id
LEFT JOIN market_registry m ON m.condition_id = t.condition_id
GROUP BY p.strategy_id, p.account_id, t.condition_id, m.title, m.slug, m.event_slug, m.category, m.closed
"""

PNL_BY_CATEGORY = """
CREATE VIEW pnl_by_category AS
SELECT
    strategy_id,
    account_id,
    category,
    count(*) AS markets,
    CAST(sum(open_positions) AS bigint) AS open_positions,
    $cost_usdc AS cost_usdc,
    $fees_usdc AS fees_usdc,
    $realized_pnl_usdc AS realized_pnl_usdc,
    $net_pnl_usdc AS net_pnl_usdc
FROM pnl_by_market p
GROUP BY strategy_id, account_id, category
"""

ACCOUNT_MONEY = """
CREATE VIEW account_money AS
SELECT
    b.strategy_id,
    b.account_id,
    b.start_cash_usdc,
    b.cash_usdc,
    sum(CASE WHEN p.shares > 0 THEN 1 ELSE 0 END) AS open_positions,
    $cost_usdc AS exposure_usdc,
    $fees_usdc AS fees_usdc,
    $realized_pnl_usdc AS realized_pnl_usdc,
    $net_pnl_usdc AS net_pnl_usdc
FROM account_balance b
LEFT JOIN position p ON p.strategy_id = b.strategy_id AND p.account_id = b.account_id
GROUP BY b.strategy_id, b.account_id, b.start_cash_usdc, b.cash_usdc
"""

LEADER_BEFORE = """
CREATE VIEW pnl_by_leader AS
SELECT
    a.strategy_id,
    a.account_id,
    l.id AS leader_id,
    l.address AS leader_address,
    l.label AS leader_label,
    count(*) AS attempts,
    sum(CASE WHEN a.decision = 'TRADE' THEN 1 ELSE 0 END) AS trades,
    sum(CASE WHEN a.decision = 'SKIP' THEN 1 ELSE 0 END) AS skips,
    $filled_shares AS filled_shares,
    $filled_usdc AS filled_usdc,
    $bought_usdc AS bought_usdc,
    $sold_usdc AS sold_usdc,
    $fees_usdc AS fees_usdc,
    $realized_pnl_usdc AS realized_pnl_usdc,
    $net_pnl_usdc AS net_pnl_usdc
FROM execution_attempt a
JOIN leader_fill f ON f.id = a.leader_fill_id
JOIN leader l ON l.id = f.leader_id
LEFT JOIN (
    SELECT
        attempt_id,
        sum(filled_shares) AS shares,
        sum(CASE WHEN side = 'BUY' THEN notional_usdc ELSE 0 END) AS bought,
        sum(CASE WHEN side = 'SELL' THEN notional_usdc ELSE 0 END) AS sold,
        sum(fee_usdc) AS fees,
        sum(realized_pnl_usdc) AS realized
    FROM execution_fill
    WHERE settlement <> 'failed'
    GROUP BY attempt_id
) x ON x.attempt_id = a.id
GROUP BY a.strategy_id, a.account_id, l.id, l.address, l.label
"""

DAY_BEFORE = """
CREATE VIEW pnl_by_day AS
SELECT
    $day AS day,
    strategy_id,
    account_id,
    count(*) AS fills,
    $bought_usdc AS bought_usdc,
    $sold_usdc AS sold_usdc,
    $fees_usdc AS fees_usdc,
    $realized_pnl_usdc AS realized_pnl_usdc,
    $net_pnl_usdc AS net_pnl_usdc
FROM execution_fill
WHERE settlement <> 'failed'
GROUP BY $day, strategy_id, account_id
"""


def upgrade() -> None:
    op.add_column("market_registry", sa.Column("resolution_status", sa.Text))
    op.add_column("market_token", sa.Column("former_token_id", sa.Text))
    _create_balances()
    _create_settlements()
    _create_marks()
    _remake_equity_points()
    for view in ("pnl_by_day", "pnl_by_leader"):
        op.execute(f"DROP VIEW {view}")
    _create_views()


def downgrade() -> None:
    """Give positions back what settlements took: the version before knows of none, and settles nothing."""
    op.execute(TAKE_BACK)
    for view in ("account_money", "pnl_by_category", "pnl_by_market", "pnl_by_day", "pnl_by_leader"):
        op.execute(f"DROP VIEW {view}")
    _create_views_of_before()
    _remake_equity_points_of_before()
    for table in ("token_mark", "settlement_part", "settlement", "resolution", "account_balance"):
        op.drop_table(table)
    op.drop_column("market_token", "former_token_id")
    op.drop_column("market_registry", "resolution_status")


def _create_balances() -> None:
    op.create_table(
        "account_balance",
        _column("strategy_id", sa.Text),
        _column("account_id", sa.Text),
        _column("start_cash_usdc", MICRO),
        _column("cash_usdc", MICRO),
        _column("updated_at", INSTANT),
        sa.PrimaryKeyConstraint("strategy_id", "account_id", name="pk_account_balance"),
    )
    op.execute(Template(CASH_SO_FAR).substitute(cash=_exact("sum(realized_pnl_usdc - fees_usdc - cost_usdc)")))


def _create_marks() -> None:
    op.create_table(
        "token_mark",
        _column("token_id", sa.Text),
        sa.Column("price", MICRO),
        _column("marked_at", INSTANT),
        sa.PrimaryKeyConstraint("token_id", name="pk_token_mark"),
    )


def _create_settlements() -> None:
    op.create_table(
        "resolution",
        _column("condition_id", sa.Text),
        _column("payouts", JSON),
        _column("source", sa.Text),
        _column("resolved_at", INSTANT),
        sa.PrimaryKeyConstraint("condition_id", name="pk_resolution"),
    )
    op.create_table(
        "settlement",
        _column("id", ID),
        _column("strategy_id", sa.Text),
        _column("account_id", sa.Text),
        _column("token_id", sa.Text),
        _column("condition_id", sa.Text),
        _column("kind", sa.Text),
        _column("shares", MICRO),
        _column("proceeds_usdc", MICRO),
        _column("cost_usdc", MICRO),
        _column("realized_pnl_usdc", MICRO),
        _column("source", sa.Text),
        _column("settled_at", INSTANT),
        _column("position_ordinal", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_settlement"),
        sa.UniqueConstraint(
            "strategy_id", "account_id", "token_id", "position_ordinal", name="uq_settlement_position_ordinal"
        ),
        sa.CheckConstraint(
            "kind IN ('resolution', 'merge', 'migration_out', 'migration_in')", name="ck_settlement_kind"
        ),
        sa.CheckConstraint("shares > 0", name="ck_settlement_shares"),
    )
    op.create_index("ix_settlement_settled_at", "settlement", ["settled_at"])
    op.create_table(
        "settlement_part",
        _column("settlement_id", ID),
        _column("leader_id", ID),
        _column("shares", MICRO),
        _column("proceeds_usdc", MICRO),
        _column("cost_usdc", MICRO),
        _column("realized_pnl_usdc", MICRO),
        sa.PrimaryKeyConstraint("settlement_id", "leader_id", name="pk_settlement_part"),
        sa.ForeignKeyConstraint(["settlement_id"], ["settlement.id"], name="fk_settlement_part_settlement_id"),
        sa.ForeignKeyConstraint(["leader_id"], ["leader.id"], name="fk_settlement_part_leader_id"),
    )


def _remake_equity_points() -> None:
    """Make the table anew: SQLite adds no column without a default to one that has rows."""
    amounts = ["cash_usdc", "marked_value_usdc", "marked_cost_usdc", "unmarked_cost_usdc"]
    counts = ["open_positions", "unmarked_positions"]
    earned = ["realized_pnl_usdc", "unrealized_pnl_usdc", "fees_usdc"]
    _remake(
        *(_column(name, MICRO) for name in amounts),
        *(_column(name, sa.Integer) for name in counts),
        *(_column(name, MICRO) for name in earned),
        filled=dict.fromkeys((*amounts[2:], *counts, "fees_usdc"), "0"),
    )


def _remake_equity_points_of_before() -> None:
    _remake(*(_column(name, MICRO) for name in EQUITY_BEFORE), filled={})


def _remake(*columns: sa.Column, filled: dict[str, str]) -> None:
    op.rename_table("equity_point", "equity_point_before")
    if not _is_sqlite():
        op.execute("ALTER INDEX pk_equity_point RENAME TO pk_equity_point_before")
    op.create_table(
        "equity_point",
        _column("account_id", sa.Text),
        _column("at", INSTANT),
        *columns,
        sa.PrimaryKeyConstraint("account_id", "at", name="pk_equity_point"),
    )
    kept = ("account_id", '"at"', *EQUITY_BEFORE)
    into, values = ", ".join((*kept, *filled)), ", ".join((*kept, *filled.values()))
    op.execute(Template(KEEP_POINTS).substitute(columns=into, values=values))
    op.drop_table("equity_point_before")


def _create_views() -> None:
    _create(
        PNL_BY_LEADER,
        filled_shares=_sum_or_none("a.shares"),
        filled_usdc=_exact("coalesce(a.bought, 0) + coalesce(a.sold, 0)"),
        bought_usdc=_sum_or_none("a.bought"),
        sold_usdc=_sum_or_none("a.sold"),
        settled_usdc=_sum_or_none("s.proceeds"),
        fees_usdc=_sum_or_none("a.fees"),
        realized_pnl_usdc=_exact("coalesce(a.realized, 0) + coalesce(s.realized, 0)"),
        net_pnl_usdc=_exact("coalesce(a.realized, 0) + coalesce(s.realized, 0) - coalesce(a.fees, 0)"),
    )
    _create(
        PNL_BY_DAY,
        fill_day=_day("fill_at"),
        settled_day=_day("settled_at"),
        bought_usdc=_exact("sum(bought)"),
        sold_usdc=_exact("sum(sold)"),
        settled_usdc=_exact("sum(settled)"),
        fees_usdc=_exact("sum(fees)"),
        realized_pnl_usdc=_exact("sum(realized)"),
        net_pnl_usdc=_exact("sum(realized - fees)"),
    )
    totals = {
        "cost_usdc": _exact("coalesce(sum(p.cost_usdc), 0)"),
        "fees_usdc": _exact("coalesce(sum(p.fees_usdc), 0)"),
        "realized_pnl_usdc": _exact("coalesce(sum(p.realized_pnl_usdc), 0)"),
        "net_pnl_usdc": _exact("coalesce(sum(p.realized_pnl_usdc - p.fees_usdc), 0)"),
    }
    _create(PNL_BY_MARKET, no="0" if _is_sqlite() else "false", **totals)
    _create(PNL_BY_CATEGORY, **totals)
    _create(ACCOUNT_MONEY, **totals)


def _create_views_of_before() -> None:
    _create(
        LEADER_BEFORE,
        filled_shares=_exact("coalesce(sum(x.shares), 0)"),
        filled_usdc=_exact("coalesce(sum(x.bought + x.sold), 0)"),
        bought_usdc=_exact("coalesce(sum(x.bought), 0)"),
        sold_usdc=_exact("coalesce(sum(x.sold), 0)"),
        fees_usdc=_exact("coalesce(sum(x.fees), 0)"),
        realized_pnl_usdc=_exact("coalesce(sum(x.realized), 0)"),
        net_pnl_usdc=_exact("coalesce(sum(x.realized - x.fees), 0)"),
    )
    _create(
        DAY_BEFORE,
        day=_day("fill_at"),
        bought_usdc=_exact("sum(CASE WHEN side = 'BUY' THEN notional_usdc ELSE 0 END)"),
        sold_usdc=_exact("sum(CASE WHEN side = 'SELL' THEN notional_usdc ELSE 0 END)"),
        fees_usdc=_exact("sum(fee_usdc)"),
        realized_pnl_usdc=_exact("sum(realized_pnl_usdc)"),
        net_pnl_usdc=_exact("sum(realized_pnl_usdc - fee_usdc)"),
    )


def _column(name: str, kind: object) -> sa.Column:
    return sa.Column(name, kind, nullable=False)


def _create(view: str, **parts: str) -> None:
    op.execute(Template(view).substitute(parts))


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _exact(number: str) -> str:
    """Take off what adding doubles leaves behind on SQLite."""
    return f"round({number}, 6)"


def _sum_or_none(number: str) -> str:
    return _exact(f"coalesce({number}, 0)")


def _day(moment: str) -> str:
    return f"substr({moment}, 1, 10)" if _is_sqlite() else f"(({moment} AT TIME ZONE 'UTC')::date)"
