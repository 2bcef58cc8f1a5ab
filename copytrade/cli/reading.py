"""`copytrade status` and `attempts`: what the database says."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copytrade import app
from copytrade.cli.following import AsJson
from copytrade.cli.naming import address_of
from copytrade.cli.output import print_json, print_pairs, print_table
from copytrade.cli.redeeming import print_redeemable, redeemable_document
from copytrade.domain.attempts import AttemptStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

ATTEMPTS_SHOWN: Final = 20
ATTEMPTS_SHOWN_MAX: Final = 10_000
_STATUSES: Final = ", ".join(AttemptStatus)


def status(as_json: AsJson = False) -> None:
    """Show counts, what is halted, the health gates, what to redeem, which source was first and the last events."""
    asyncio.run(_status(as_json=as_json))


def attempts(
    limit: Annotated[int, typer.Option(min=1, max=ATTEMPTS_SHOWN_MAX, help="How many, newest first.")] = ATTEMPTS_SHOWN,
    leader: Annotated[str, typer.Option(help="Only on fills of this leader: address or label.")] = "",
    only: Annotated[str, typer.Option("--status", help=f"Only with this status: {_STATUSES}.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what was decided and what became of it, newest first."""
    if only and only.upper() not in set(AttemptStatus):
        raise typer.BadParameter(f"{only} is none of {_STATUSES}", param_hint="--status")
    asyncio.run(_attempts(limit=limit, leader=leader.strip(), only=only, as_json=as_json))


async def _status(*, as_json: bool) -> None:
    settings = app.load_settings()
    async with app.open_reports(settings) as reports:
        found = await reports.status(now_ms=app.system_clock().now_ms())
        waiting = await app.look_for_redeemable(settings, reports)
    if as_json:
        print_json(found | redeemable_document(waiting))
        return
    for title in ("leaders", "fills", "fills_by_first_source", "reports_by_source", "leader_events_by_kind",
                  "attempts_by_decision", "attempts_by_status", "reasons", "registry", "books"):  # fmt: skip
        print_pairs(title.replace("_", " "), found[title] or {"none": ""})
    for title in ("halts", "gates", "days"):
        _print_rows(title, found[title])
    polling = found["polling"]
    slowest = polling.pop("slowest", {})
    print_pairs("polling of the Data API", polling or {"none": ""})
    _print_rows("slowest polled", [{"leader": one, "real interval ms": real_ms} for one, real_ms in slowest.items()])
    print_pairs("open positions", {"count": found["open_positions"], **found["positions_by_state"]})
    print_redeemable(waiting)
    _print_rows("race of the sources", found["race"])
    _print_rows("cursors", found["cursors"])
    _print_rows("comparisons with the chain", found["reconciliations"])
    events = [{**row, "detail": json.dumps(row["detail"], default=str)[:100]} for row in found["events"]]
    _print_rows("last events", [{name: row[name] for name in ("at", "code", "detail")} for row in events])


def _print_rows(title: str, rows: list[dict[str, Any]]) -> None:
    columns = list(rows[0]) if rows else []
    print_table(title, columns, ([row[column] for column in columns] for row in rows))


async def _attempts(*, limit: int, leader: str, only: str, as_json: bool) -> None:
    settings = app.load_settings()
    address = await address_of(settings, leader) if leader else None
    async with app.open_reports(settings) as reports:
        rows = await reports.attempts(limit=limit, leader=address, status=only or None)
    if as_json:
        print_json({"attempts": rows})
        return
    columns = "decided|leader|side|market|leader price|status|filled / target|avg|fee|slip bps|detect ms|reasons"
    print_table("attempts", columns.split("|"), (_attempt_cells(row) for row in rows), right="avg fee")


def _attempt_cells(row: Mapping[str, Any]) -> list[object]:
    codes = [one["code"] for one in row["decision_reason"]]
    return [
        str(row["decided_at"])[:19],
        row["leader_label"] or f"{row['leader_address'][:6]}..{row['leader_address'][-4:]}",
        row["side"],
        f"{(row['title'] or 'unknown market')[:40]} [{row['outcome'] or '?'}]",
        row["leader_price"],
        row["status"],
        "" if row["decision"] == "SKIP" else f"{row['filled_shares']} / {row['size_shares_target']}",
        row["avg_fill_price"],
        row["fee_usdc"],
        row["slippage_bps"],
        row["detect_ms"],
        ", ".join(codes),
    ]
