"""`copytrade reconcile`: the chain against the Data API and our tables, and what can be put right."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copytrade import app
from copytrade.cli.following import AsJson
from copytrade.cli.naming import leader_called
from copytrade.cli.output import print_json, print_line, print_table
from copytrade.cli.since import utc
from copytrade.cli.tables import Shape
from copytrade.domain.reconciliation import Kind, Severity
from copytrade.engine.verify import DAY_MS
from copytrade.ports.leader_fills import SourceUnusableError
from copytrade.ports.witnesses import WitnessUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copytrade.domain.leaders import Leader
    from copytrade.domain.reconciliation import DayCount, Discrepancy, LeaderCount, Reconciliation
    from copytrade.domain.units import Millis
    from copytrade.engine.repair import Repaired

EXIT_FOUND: Final = 1
SHOWN_MAX: Final = 100
"""Differences that are printed; `--json` has all."""
PENDING_SHOWN_MAX: Final = 5
"""Of what is only late, which nobody has to do anything about."""


def reconcile(
    leader: Annotated[str, typer.Option(help="One leader's address or label; else all that are enabled.")] = "",
    day: Annotated[str, typer.Option(help="One UTC day, YYYY-MM-DD; else since followed, seven days at most.")] = "",
    repair: Annotated[bool, typer.Option("--repair", help="Put right what can be, then compare again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the chain, the Data API and our tables; exit 1 when they differ. Without --repair nothing is changed.

    What a comparison of everything found is kept: live mode starts only after one without a difference.
    """
    window = _day(day, now_ms=app.system_clock().now_ms()) if day else (None, None)
    try:
        found, repaired = asyncio.run(_reconcile(leader.strip(), window, repair=repair))
    except WitnessUnavailableError as error:
        raise SourceUnusableError(str(error)) from error
    if as_json:
        print_json(_as_json(found, repaired))
    else:
        _print(found, repaired)
    if not found.is_ok:
        raise typer.Exit(EXIT_FOUND)


def _day(text: str, *, now_ms: Millis) -> tuple[Millis, Millis]:
    """Return when a day begins and when the next one does."""
    try:
        begins = datetime.combine(date.fromisoformat(text.strip()), datetime.min.time(), tzinfo=UTC)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; write 2026-11-01", param_hint="--day") from None
    from_ms = int(begins.timestamp()) * 1_000
    if from_ms > now_ms:
        raise typer.BadParameter(f"{text} is still to come", param_hint="--day")
    return from_ms, from_ms + DAY_MS


async def _reconcile(
    wanted: str, window: tuple[Millis | None, Millis | None], *, repair: bool
) -> tuple[Reconciliation, Repaired | None]:
    settings = app.load_settings()
    from_ms, to_ms = window
    async with (
        app.open_ledger(settings) as ledger,
        app.open_reconciler(settings, ledger, tell=_progress) as reconciler,
    ):
        leaders = _chosen(await ledger.leaders(), wanted)
        found = await reconciler.reconcile.run(leaders, from_ms=from_ms, to_ms=to_ms, others=not wanted)
        repaired = await reconciler.repair.run(found) if repair and not found.is_ok else None
        if repaired is not None and repaired.done:
            found = await reconciler.reconcile.run(leaders, from_ms=from_ms, to_ms=to_ms, others=not wanted)
        if not wanted and window == (None, None):
            await ledger.keep_summary(found.summary(at_ms=app.system_clock().now_ms()))
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    return found, repaired


def _chosen(leaders: Sequence[Leader], wanted: str) -> list[Leader]:
    enabled = [one for one in leaders if one.enabled]
    if not wanted:
        return enabled
    chosen = leader_called(leaders, wanted)
    if not chosen.enabled:
        raise typer.BadParameter(f"{wanted} is no longer followed; see `leaders list`", param_hint="--leader")
    return [chosen]


def _progress(done: int, left: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\rread {done} blocks, {left} to go ({100 * done // max(1, done + left)}%) ")
        sys.stderr.flush()


def _print(found: Reconciliation, repaired: Repaired | None) -> None:
    columns = ["leader", "day", "blocks", "chain", "data api", "ledger", "providers"]
    rows = (_cells(leader, day) for leader in found.leaders for day in leader.days)
    shape = Shape(right=("chain", "data api", "ledger"), wraps=("leader",), stacks=("providers",), drops=("blocks",))
    print_table(f"fills from {utc(found.from_ms)} to {utc(found.to_ms)}", columns, rows, shape)
    if repaired is not None:
        for done in repaired.done:
            print_line(f"repaired: {done}")
        for left in repaired.left:
            print_line(f"left: {left}")
    pending = [one for one in found.discrepancies if one.severity is Severity.PENDING]
    for some, most in ((found.errors, SHOWN_MAX), (pending, PENDING_SHOWN_MAX)):
        for one in some[:most]:
            print_line(_sentence(one))
        if (more := len(some) - most) > 0:
            print_line(f"and {more} more {'pending ' if some is pending else ''}(--json has all)")
    late = f", {len(pending)} pending" if pending else ""
    print_line(f"OK: nothing differs{late}" if found.is_ok else f"DIFFERS: {len(found.errors)} differences{late}")


def _sentence(one: Discrepancy) -> str:
    told = " ".join(f"{name}={value}" for name, value in one.detail)
    if one.kind is Kind.INTERRUPTED_ORDER:
        return f"pending: a paper order was open when the worker stopped; the next start ends it: {told}"
    where = f"{one.kind} in {one.where_missing}: {one.leader or '-'} {one.tx_hash or '-'} {told}"
    return f"pending: {where}" if one.severity is Severity.PENDING else where


def _cells(leader: LeaderCount, day: DayCount) -> list[object]:
    return [
        leader.label or leader.address,
        utc(day.from_ms),
        f"{day.from_block}-{day.to_block}",
        day.chain,
        day.data_api,
        day.ledger,
        "two agree" if day.is_agreed else "single source",
    ]


def _as_json(found: Reconciliation, repaired: Repaired | None) -> dict[str, Any]:
    document = {
        "ok": found.is_ok,
        "window": {"from": utc(found.from_ms), "to": utc(found.to_ms)},
        "leaders": [
            {
                "address": leader.address,
                "label": leader.label,
                "from": utc(leader.from_ms),
                "days": [_day_json(day) for day in leader.days],
            }
            for leader in found.leaders
        ],
        "differences": [one.as_json() for one in found.discrepancies],
    }
    if repaired is not None:
        document["repaired"] = {"done": repaired.done, "left": repaired.left}
    return document


def _day_json(day: DayCount) -> dict[str, Any]:
    return {
        "from": utc(day.from_ms),
        "from_block": day.from_block,
        "to_block": day.to_block,
        "chain": day.chain,
        "data_api": day.data_api,
        "ledger": day.ledger,
        "providers_agree": day.is_agreed,
    }
