"""`copytrade pnl`: what the account has, what it earned, and by whom."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from copytrade import app
from copytrade.cli.following import AsJson
from copytrade.cli.output import print_json, print_line, print_table
from copytrade.cli.tables import Shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROWS_SHOWN: Final = 20
"""Of each table but the open positions; `--json` has all."""
_NUMBERS: Final = (
    "shares cost_usdc mark value_usdc unrealized_pnl_usdc realized_pnl_usdc fees_usdc net_pnl_usdc cash_usdc "
    "bought_usdc sold_usdc settled_usdc exposure_usdc"
)
_SHAPE: Final = Shape(
    right=tuple(name.removesuffix("_usdc").replace("_", " ") for name in _NUMBERS.split()),
    wraps=("title", "leader", "category"),
    drops=("skips", "settled", "settlements", "category", "open positions", "fees", "cost", "sold"),
)
_SHAPES: Final = {"positions": replace(_SHAPE, drops=("state", "value", "fees", "realized pnl", "cost"))}
_COLUMNS: Final = {
    "positions": "title outcome state shares cost_usdc mark value_usdc unrealized_pnl_usdc realized_pnl_usdc fees_usdc",
    "by_leader": "leader trades skips bought_usdc sold_usdc settled_usdc fees_usdc realized_pnl_usdc net_pnl_usdc",
    "by_market": "title category open_positions cost_usdc fees_usdc realized_pnl_usdc net_pnl_usdc",
    "by_category": "category markets open_positions cost_usdc fees_usdc realized_pnl_usdc net_pnl_usdc",
    "by_day": "day fills settlements bought_usdc sold_usdc settled_usdc fees_usdc realized_pnl_usdc net_pnl_usdc",
}


def pnl(as_json: AsJson = False) -> None:
    """Show cash, positions with their marks, and PnL by leader, market, category and day."""
    asyncio.run(_pnl(as_json=as_json))


async def _pnl(*, as_json: bool) -> None:
    async with app.open_reports(app.load_settings()) as reports:
        found = {
            "accounts": await reports.accounts(),
            "positions": await reports.positions(),
            "by_leader": await reports.pnl_by_leader(),
            "by_market": await reports.pnl_by_market(),
            "by_category": await reports.pnl_by_category(),
            "by_day": await reports.pnl_by_day(),
        }
    if as_json:
        print_json(found)
        return
    for account in found["accounts"]:
        _print_account(account)
    for title, columns in _COLUMNS.items():
        _print_rows(title.replace("_", " "), columns.split(), _shown(title, found[title]))
    print_line("Realised PnL is at average cost, net is less fees. What has no mark is unmarked: nothing is guessed.")


def _print_account(account: Mapping[str, Any]) -> None:
    print_line(
        f"{account['strategy_id']} on {account['account_id']}: cash {account['cash_usdc']}"
        f" of {account['start_cash_usdc']} at the start, at stake {account['exposure_usdc']}"
        f" in {account['open_positions']} positions, realised {account['realized_pnl_usdc']}"
        f" less fees {account['fees_usdc']}"
    )
    valued = account["last_valued"]
    if valued is None:
        print_line("  not valued yet: a running worker does every EQUITY_INTERVAL_MS")
        return
    unmarked = ""
    if valued["unmarked_positions"]:
        unmarked = f", {valued['unmarked_positions']} unmarked that cost {valued['unmarked_cost_usdc']}"
    print_line(
        f"  at {valued['at']}: marked value {valued['marked_value_usdc']},"
        f" unrealised {valued['unrealized_pnl_usdc']}{unmarked}"
    )


def _shown(title: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    if title == "by_leader":
        rows = [{**row, "leader": row["leader_label"] or row["leader_address"]} for row in rows]
    if title != "positions":
        return rows[:ROWS_SHOWN]
    return [{**row, "mark": row["mark"] or "unmarked"} for row in rows if row["state"] != "closed"]


def _print_rows(title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    cells = ([row[column] for column in columns] for row in rows)
    print_table(
        title, [column.removesuffix("_usdc").replace("_", " ") for column in columns], cells, _SHAPES.get(title, _SHAPE)
    )
