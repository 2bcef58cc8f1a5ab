"""The views people query: trade, attempt_summary, pnl_by_leader, pnl_by_day."""

from __future__ import annotations

from string import Template

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TRADE = """
CREATE VIEW trade AS
SELECT
    f.id AS leader_fill_id,
    l.address AS leader_address,
    l.label AS leader_label,
    m.title,
    t.outcome,
    m.slug,
    m.event_slug,
    m.category,
    m.condition_id,
    f.token_id,
    f.side,
    f.leader_role AS role,
    f.leader_price AS price,
    f.leader_size AS size,
    f.leader_usdc AS usdc,
    f.leader_fee AS fee,
    f.fill_ts,
    f.detected_at,
    $detect_ms AS detect_ms,
    f.tx_hash,
    f.block_number,
    f.source,
    (f.confirmed_at IS NOT NULL AND f.orphaned_at IS NULL) AS confirmed,
    (f.orphaned_at IS NOT NULL) AS orphaned
FROM leader_fill f
JOIN leader l ON l.id = f.leader_id
LEFT JOIN market_token t ON t.token_id = f.token_id
LEFT JOIN market_registry m ON m.condition_id = t.condition_id
"""

ATTEMPT_SUMMARY = """
CREATE VIEW attempt_summary AS
SELECT
    s.*,
    $avg_fill_price AS avg_fill_price,
    $slippage AS slippage,
    $slippage_bps AS slippage_bps
FROM (
    SELECT
        a.id AS attempt_id,
        a.leader_fill_id,
        a.strategy_id,
        a.account_id,
        l.address AS leader_address,
        l.label AS leader_label,
        m.title,
        t.outcome,
        a.token_id,
        a.mode,
        a.decision,
        a.decision_reason,
        a.status,
        a.side,
        a.ratio,
        a.size_shares_target,
        a.limit_price,
        a.ttl_ms,
        a.order_hash,
        f.leader_role,
        f.leader_price,
        f.leader_size,
        $filled_shares AS filled_shares,
        $filled_value AS filled_value,
        $fee_usdc AS fee_usdc,
        $realized_pnl_usdc AS realized_pnl_usdc,
        f.fill_ts,
        f.detected_at,
        a.decided_at,
        a.placed_at,
        a.first_fill_at,
        a.done_at,
        a.created_at,
        $detect_ms AS detect_ms,
        $decide_ms AS decide_ms,
        $place_ms AS place_ms,
        $first_fill_ms AS first_fill_ms,
        $done_ms AS done_ms,
        $total_ms AS total_ms
    FROM execution_attempt a
    JOIN leader_fill f ON f.id = a.leader_fill_id
    JOIN leader l ON l.id = f.leader_id
    LEFT JOIN market_token t ON t.token_id = a.token_id
    LEFT JOIN market_registry m ON m.condition_id = t.condition_id
) s
"""

PNL_BY_LEADER = """
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

PNL_BY_DAY = """
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

SUM_OF_FILLS = """coalesce(
            (SELECT sum($amount) FROM execution_fill x WHERE x.attempt_id = a.id AND x.settlement <> 'failed'), 0)"""


def upgrade() -> None:
    _create(TRADE, detect_ms=_ms("f.detected_at", "f.fill_ts"))
    _create_attempt_summary()
    _create(
        PNL_BY_LEADER,
        filled_shares=_exact("coalesce(sum(x.shares), 0)"),
        filled_usdc=_exact("coalesce(sum(x.bought + x.sold), 0)"),
        bought_usdc=_exact("coalesce(sum(x.bought), 0)"),
        sold_usdc=_exact("coalesce(sum(x.sold), 0)"),
        fees_usdc=_exact("coalesce(sum(x.fees), 0)"),
        realized_pnl_usdc=_exact("coalesce(sum(x.realized), 0)"),
        net_pnl_usdc=_exact("coalesce(sum(x.realized - x.fees), 0)"),
    )
    _create(
        PNL_BY_DAY,
        day=_day("fill_at"),
        bought_usdc=_exact("sum(CASE WHEN side = 'BUY' THEN notional_usdc ELSE 0 END)"),
        sold_usdc=_exact("sum(CASE WHEN side = 'SELL' THEN notional_usdc ELSE 0 END)"),
        fees_usdc=_exact("sum(fee_usdc)"),
        realized_pnl_usdc=_exact("sum(realized_pnl_usdc)"),
        net_pnl_usdc=_exact("sum(realized_pnl_usdc - fee_usdc)"),
    )


def downgrade() -> None:
    for view in ("pnl_by_day", "pnl_by_leader", "attempt_summary", "trade"):
        op.execute(f"DROP VIEW {view}")


def _create_attempt_summary() -> None:
    average = "(s.filled_value / nullif(s.filled_shares, 0))"
    worse = f"(CASE WHEN s.side = 'BUY' THEN {average} - s.leader_price ELSE s.leader_price - {average} END)"
    _create(
        ATTEMPT_SUMMARY,
        avg_fill_price=_exact(average),
        slippage=_exact(worse),
        slippage_bps=_exact(f"({worse} * 10000 / nullif(s.leader_price, 0))", decimals=2),
        filled_shares=_sum_of_fills("filled_shares"),
        filled_value=_sum_of_fills("filled_shares * fill_price", decimals=12),
        fee_usdc=_sum_of_fills("fee_usdc"),
        realized_pnl_usdc=_sum_of_fills("realized_pnl_usdc"),
        detect_ms=_ms("f.detected_at", "f.fill_ts"),
        decide_ms=_ms("a.decided_at", "f.detected_at"),
        place_ms=_ms("a.placed_at", "a.decided_at"),
        first_fill_ms=_ms("a.first_fill_at", "a.placed_at"),
        done_ms=_ms("a.done_at", "a.placed_at"),
        total_ms=_ms("a.first_fill_at", "f.fill_ts"),
    )


def _create(view: str, **parts: str) -> None:
    op.execute(Template(view).substitute(parts))


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _exact(number: str, *, decimals: int = 6) -> str:
    """Take off what adding doubles leaves behind on SQLite, and what dividing does on both."""
    return f"round({number}, {decimals})"


def _sum_of_fills(amount: str, *, decimals: int = 6) -> str:
    """Sum over one attempt's executions, by its index, so that a page of attempts costs a page."""
    return _exact(Template(SUM_OF_FILLS).substitute(amount=amount), decimals=decimals)


def _day(moment: str) -> str:
    return f"substr({moment}, 1, 10)" if _is_sqlite() else f"(({moment} AT TIME ZONE 'UTC')::date)"


def _ms(later: str, earlier: str) -> str:
    """Subtract two times in whole milliseconds; negative when `later` is earlier, NULL when either is."""
    if _is_sqlite():
        return f"({_unix_ms(later)} - {_unix_ms(earlier)})"
    return f"(round(extract(epoch FROM ({later} - {earlier})) * 1000)::bigint)"


def _unix_ms(moment: str) -> str:
    """Count in integers: the date functions of SQLite compute in doubles."""
    seconds = f"CAST(strftime('%s', substr({moment}, 1, 19)) AS INTEGER)"
    return f"({seconds} * 1000 + CAST(substr({moment}, 21, 3) AS INTEGER))"
