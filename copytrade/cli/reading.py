"""`copytrade status` and `attempts`: what the database says."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copytrade import app
from copytrade.cli.following import AsJson
from copytrade.cli.naming import address_of
from copytrade.cli.output import print_json, print_line, print_pairs, print_table
from copytrade.cli.redeeming import print_redeemable, redeemable_document
from copytrade.cli.tables import Shape
from copytrade.domain.attempts import AttemptStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SHAPES: Final = {
    "halts": Shape(wraps=("why",), drops=("by",)),
    "gates": Shape(wraps=("value", "limit")),
    "days": Shape(right=("gain usdc",), drops=("updated",)),
    "race of the sources": Shape(drops=("behind first p95 ms", "behind block p95 ms")),
    "cursors": Shape(drops=("updated at", "role", "moved ms ago")),
    "last events": Shape(wraps=("detail",)),
}
ATTEMPTS_SHOWN: Final = 20
ATTEMPTS_SHOWN_MAX: Final = 10_000
ID_SHOWN: Final = 8
WORKER_SILENT_S_MAX: Final = 15
"""A worker that runs keeps its gates every five seconds; one that keeps none for so long has stopped, or hangs."""
BOOKS_ALWAYS: Final = frozenset({"tracked", "fresh"})
"""Of what was counted of the books, what is shown even if it is nothing."""
DETAIL_MAX: Final = 200
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
    print_line(worker_line(found["gates"]))
    _print_rows("halts", found["halts"])
    _print_rows("gates", [_gate_row(gate) for gate in found["gates"]])
    _print_rows("days", found["days"])
    found["books"] = {name: count for name, count in found["books"].items() if count or name in BOOKS_ALWAYS}
    for title in ("leaders", "fills", "fills_by_first_source", "reports_by_source", "leader_events_by_kind",
                  "attempts_by_decision", "attempts_by_status", "reasons", "registry", "books"):  # fmt: skip
        print_pairs(title.replace("_", " "), found[title] or {"none": ""})
    polling = found["polling"]
    slowest = polling.pop("slowest", {})
    print_pairs("polling of the Data API", polling or {"none": ""})
    _print_rows("slowest polled", [{"leader": one, "real interval ms": real_ms} for one, real_ms in slowest.items()])
    print_pairs("open positions", {"count": found["open_positions"], **found["positions_by_state"]})
    print_redeemable(waiting)
    _print_rows("race of the sources", found["race"])
    _print_rows("cursors", found["cursors"])
    _print_rows("comparisons with the chain", found["reconciliations"])
    events = [{"at": row["at"], "code": row["code"], "detail": _detail(row["detail"])} for row in found["events"]]
    _print_rows("last events", events)


def worker_line(gates: Sequence[Mapping[str, Any]]) -> str:
    """Tell whether a worker runs, by when it last kept what its gates say."""
    if not gates:
        return "worker: none has run on this database yet"
    seconds = max(0, min(gate["checked_ms_ago"] for gate in gates)) // 1000
    if seconds <= WORKER_SILENT_S_MAX:
        return f"worker: running, seen {seconds} s ago"
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    ago = f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"
    return f"worker: NOT RUNNING for {ago}; what follows is as it left it"


def _gate_row(gate: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in gate.items() if name not in {"healthy", "checked_ms_ago"}}
    return {"gate": shown.pop("gate"), "state": "open" if gate["healthy"] else "CLOSED", **shown}


def _print_rows(title: str, rows: list[dict[str, Any]]) -> None:
    columns = [name.replace("_", " ") for name in rows[0]] if rows else []
    print_table(title, columns, ([*row.values()] for row in rows), _SHAPES.get(title))


def _detail(detail: Mapping[str, Any]) -> str:
    """Return what an event says of itself, as words."""
    text = " ".join(f"{name}={json.dumps(value, default=str)}" for name, value in detail.items())
    return text.replace('"', "")[:DETAIL_MAX]


async def _attempts(*, limit: int, leader: str, only: str, as_json: bool) -> None:
    settings = app.load_settings()
    address = await address_of(settings, leader) if leader else None
    async with app.open_reports(settings) as reports:
        rows = await reports.attempts(limit=limit, leader=address, status=only or None)
    if as_json:
        print_json({"attempts": rows})
        return
    columns = ("decided, id", "leader, market", "his fill", "our order")
    print_table("attempts", columns, map(_attempt_cells, rows), Shape(wraps=("leader, market", "our order")))
    if rows:
        print_line("`copytrade explain ID` tells its whole story; the start of the id is enough")


def _attempt_cells(row: Mapping[str, Any]) -> list[object]:
    """Return a few lines for each column: his fill on the left, what became of ours on the right."""
    return [
        f"{row['decided_at']}\n{row['attempt_id'][:ID_SHOWN]}",
        f"{row['leader_label'] or row['leader_address']}\n{row['title'] or 'unknown market'} [{row['outcome'] or '?'}]",
        f"{row['side']} {row['leader_size']}\n@ {row['leader_price']}",
        "\n".join(_ours(row)),
    ]


def _ours(row: Mapping[str, Any]) -> Iterator[str]:
    codes = ", ".join(one["code"] for one in row["decision_reason"])
    if row["decision"] == "SKIP":
        yield f"SKIP {codes}"
        return
    yield f"{row['status']} {row['filled_shares']} of {row['size_shares_target']}"
    if row["avg_fill_price"] is not None:
        yield f"@ {row['avg_fill_price']}, fee {row['fee_usdc']}, slip {row['slippage_bps']} bps"
    yield codes
