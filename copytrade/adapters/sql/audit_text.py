"""The statements of the audit, for both databases; each column is one of a row type in `ports.audit`, in its order."""

from __future__ import annotations

from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one database says what the other says otherwise."""

    is_sqlite: bool

    def micro(self, column: str) -> str:
        """Return an amount as an integer."""
        whole = f"round({column} * 1000000)"
        return f"CAST({whole} AS INTEGER)" if self.is_sqlite else f"CAST({column} * 1000000 AS bigint)"

    def id(self, column: str) -> str:
        """Return an id as text."""
        return column if self.is_sqlite else f"CAST({column} AS text)"

    def at(self, column: str) -> str:
        """Return a time that compares with others of the same database."""
        return column if self.is_sqlite else self.ms(column)

    def ms(self, column: str) -> str:
        """Return a time in Unix milliseconds."""
        if not self.is_sqlite:
            return f"CAST(extract(epoch FROM {column}) * 1000 AS bigint)"
        seconds = f"CAST(strftime('%s', substr({column}, 1, 19)) AS INTEGER)"
        return f"({seconds} * 1000 + CAST(substr({column}, 21, 3) AS INTEGER))"

    def number(self, document: str, name: str) -> str:
        """Return the first number of a name in a list of reasons, as text; null if there is none.

        The numbers of a reason are texts in one form, and a regular expression takes ten times as long.
        """
        mark = f'"{name}": "'
        if not self.is_sqlite:
            return f"""nullif(split_part(split_part(CAST({document} AS text), '{mark}', 2), '"', 1), '')"""
        after = f"substr({document}, instr({document}, '{mark}') + {len(mark)}, 20)"
        return f"CASE WHEN instr({document}, '{mark}') > 0 THEN substr({after}, 1, instr({after}, '\"') - 1) END"

    def total(self, column: str) -> str:
        """Return the sum of an amount over a group, exactly."""
        return f"coalesce(sum({self.micro(column)}), 0)"

    def whole(self, number: str) -> str:
        """Return a count or a sum as the driver's own integer."""
        return f"CAST({number} AS bigint)"


_ATTEMPTS: Final = """
SELECT $id, $fill_id, f.id IS NOT NULL, a.decision, a.status, a.order_hash,
       CASE WHEN a.decision = 'TRADE' THEN $book_age END, $decided_at, $placed_at, $first_fill_at
FROM execution_attempt a
LEFT JOIN leader_fill f ON f.id = a.leader_fill_id
"""

_REPEATED: Final = """
SELECT 'attempt', $fill_id, $times FROM execution_attempt
GROUP BY leader_fill_id, strategy_id, account_id HAVING count(*) > 1
UNION ALL
SELECT 'order_hash', order_hash, $times FROM execution_attempt
WHERE order_hash IS NOT NULL GROUP BY order_hash HAVING count(*) > 1
UNION ALL
SELECT 'trade', account_id || '|' || venue_trade_id, $times FROM execution_fill
GROUP BY account_id, venue_trade_id HAVING count(*) > 1
"""

_ENTRIES: Final = """
SELECT f.strategy_id AS strategy_id, f.account_id AS account_id, f.token_id AS token_id,
       f.position_ordinal AS position_ordinal, f.venue_trade_id, f.side, $filled_shares, $fill_price, $fee_usdc,
       $notional_usdc, $fill_realized, 0, f.settlement = 'failed', $fill_at, $attempt_id,
       a.strategy_id = f.strategy_id AND a.account_id = f.account_id AND a.token_id = f.token_id AND a.side = f.side,
       $target, $limit_price, a.mode = 'paper', $placed_at,
       CASE WHEN a.status IN ('FILLED', 'CANCELED', 'FAILED') THEN $done_at END, a.order_type IN ('FAK', 'FOK')
FROM execution_fill f
LEFT JOIN execution_attempt a ON a.id = f.attempt_id
UNION ALL
SELECT s.strategy_id, s.account_id, s.token_id, s.position_ordinal, $settlement_id, s.kind, $shares, 0, 0,
       $proceeds_usdc, $realized, $cost_usdc, $no, $settled_at, NULL, $no, 0, 0, $no, NULL, NULL, $no
FROM settlement s
ORDER BY strategy_id, account_id, token_id, position_ordinal
"""

_POSITIONS: Final = """
SELECT strategy_id, account_id, token_id, $shares, $cost_usdc, $realized, $fees_usdc FROM position
"""

_BALANCES: Final = "SELECT strategy_id, account_id, $start_cash_usdc, $cash_usdc FROM account_balance"

_SETTLEMENTS: Final = """
SELECT $settlement_id, s.strategy_id, s.account_id, s.condition_id, $settled_at, s.kind, $shares, $proceeds_usdc,
       $cost_usdc, $realized, $parts_shares, $parts_proceeds, $parts_cost, $parts_realized,
       CAST(r.payouts AS text), t.outcome_index
FROM settlement s
LEFT JOIN (
    SELECT settlement_id, $sum_shares AS shares, $sum_proceeds AS proceeds, $sum_cost AS cost, $sum_realized AS realized
    FROM settlement_part GROUP BY settlement_id
) p ON p.settlement_id = s.id
LEFT JOIN resolution r ON r.condition_id = s.condition_id
LEFT JOIN market_token t ON t.token_id = s.token_id
"""

_WAITING: Final = """
SELECT $id, f.tx_hash, f.confirmed_at IS NOT NULL, f.awaits_decision, $stored_ms
FROM leader_fill f
JOIN leader l ON l.id = f.leader_id
WHERE f.orphaned_at IS NULL AND $fill_second >= $since_second
  AND NOT EXISTS (SELECT 1 FROM execution_attempt a WHERE a.leader_fill_id = f.id)
"""

_CURSORS: Final = "SELECT exchange_address, leader_address, last_processed_block, proved_block FROM polygon_cursor"

_RANGES: Final = """
SELECT exchange_address, leader_address, from_block, to_block, $proved_ms FROM proved_range
ORDER BY exchange_address, leader_address, from_block
"""

_UNCONFIRMED: Final = """
SELECT $id, f.tx_hash, f.block_number, $stored_ms
FROM leader_fill f
WHERE f.confirmed_at IS NULL AND f.orphaned_at IS NULL
  AND f.block_number <= (
      SELECT proved_block FROM polygon_cursor WHERE exchange_address = '*' AND leader_address = '*'
  )
"""

_DANGLING: Final = """
SELECT 'a fill without any report', $fill_id FROM leader_fill f
WHERE NOT EXISTS (SELECT 1 FROM leader_fill_raw r WHERE r.leader_fill_id = f.id)
UNION ALL
SELECT 'a report whose fill is gone', $raw_id FROM leader_fill_raw r
WHERE r.leader_fill_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM leader_fill f WHERE f.id = r.leader_fill_id)
"""


def statements(say: Dialect) -> Mapping[str, str]:
    """Return each statement by the name of its stream."""
    settled = {
        "settlement_id": say.id("s.id"),
        "shares": say.micro("s.shares"),
        "proceeds_usdc": say.micro("s.proceeds_usdc"),
        "cost_usdc": say.micro("s.cost_usdc"),
        "realized": say.micro("s.realized_pnl_usdc"),
        "settled_at": say.at("s.settled_at"),
    }
    texts: dict[str, str] = {
        "attempts": _filled(
            _ATTEMPTS,
            id=say.id("a.id"),
            fill_id=say.id("a.leader_fill_id"),
            book_age=say.number("a.decision_reason", "book_age_ms"),
            **{name: say.at(f"a.{name}") for name in ("decided_at", "placed_at", "first_fill_at")},
        ),
        "repeated": _filled(_REPEATED, fill_id=say.id("leader_fill_id"), times=say.whole("count(*)")),
        "entries": _filled(
            _ENTRIES,
            **{name: say.micro(f"f.{name}") for name in ("filled_shares", "fill_price", "fee_usdc", "notional_usdc")},
            fill_realized=say.micro("f.realized_pnl_usdc"),
            fill_at=say.at("f.fill_at"),
            attempt_id=say.id("a.id"),
            target=say.micro("a.size_shares_target"),
            limit_price=say.micro("a.limit_price"),
            placed_at=say.at("a.placed_at"),
            done_at=say.at("a.done_at"),
            no="0" if say.is_sqlite else "false",
            **settled,
        ),
        "positions": _filled(
            _POSITIONS,
            realized=say.micro("realized_pnl_usdc"),
            **{name: say.micro(name) for name in ("shares", "cost_usdc", "fees_usdc")},
        ),
        "balances": _filled(_BALANCES, **{name: say.micro(name) for name in ("start_cash_usdc", "cash_usdc")}),
        "settlements": _filled(
            _SETTLEMENTS,
            **settled,
            **{f"parts_{name}": say.whole(f"coalesce(p.{name}, 0)") for name in _PARTS},
            **{f"sum_{name}": say.total(column) for name, column in _PARTS.items()},
        ),
    }
    return texts | _of_fills(say)


_PARTS: Final = {
    "shares": "shares",
    "proceeds": "proceeds_usdc",
    "cost": "cost_usdc",
    "realized": "realized_pnl_usdc",
}


def _of_fills(say: Dialect) -> dict[str, str]:
    second = (lambda column: f"substr({column}, 1, 19)") if say.is_sqlite else _second
    return {
        "waiting": _filled(
            _WAITING,
            id=say.id("f.id"),
            stored_ms=say.ms("f.created_at"),
            fill_second=second("f.fill_ts"),
            since_second=second("l.followed_since"),
        ),
        "cursors": _CURSORS,
        "ranges": _filled(_RANGES, proved_ms=say.ms("proved_at")),
        "unconfirmed": _filled(_UNCONFIRMED, id=say.id("f.id"), stored_ms=say.ms("f.created_at")),
        "dangling": _filled(_DANGLING, fill_id=say.id("f.id"), raw_id=say.id("r.id")),
    }


def _second(column: str) -> str:
    return f"date_trunc('second', {column})"


def _filled(statement: str, **parts: str) -> str:
    return Template(statement).substitute(parts)
