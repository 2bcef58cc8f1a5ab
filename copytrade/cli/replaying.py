"""`copytrade replay`: a recorded session again, with settings changed or not, and what came out differently."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copytrade import app
from copytrade.cli.following import AsJson
from copytrade.cli.output import print_json, print_line, print_table
from copytrade.cli.since import utc
from copytrade.cli.tables import Shape
from copytrade.domain.attempts import Decision, ExecutionMode
from copytrade.domain.units import format_micro
from copytrade.engine.what_if import totals

if TYPE_CHECKING:
    from copytrade.domain.units import Price
    from copytrade.engine.what_if import Compared, Copied, Totals

EXIT_FOUND: Final = 1
SHOWN_MAX: Final = 50
MONEY: Final = ("bought", "sold", "fees", "gained")


def replay(
    file: Annotated[Path, typer.Argument(help="What `run --record` wrote.")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting to change; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Play a recorded session again and compare; unchanged it must be the same byte for byte, else exit 1."""
    wanted = dict(_change(text) for text in changes or ())
    size = file.stat().st_size if file.is_file() else 0
    found = app.replay(file, wanted, tell=lambda done: _progress(done, size))
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    is_equal = found.recorded_digest == found.replayed_digest
    if as_json:
        print_json(_document(found, is_equal=is_equal))
    else:
        _print(found, is_equal=is_equal)
    if found.must_be_equal and not is_equal:
        raise typer.Exit(EXIT_FOUND)


def _change(text: str) -> tuple[str, str]:
    name, is_there, value = text.partition("=")
    if not is_there or not name.strip():
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--set")
    return name.strip().upper(), value.strip()


def _progress(done: int, size: int) -> None:
    if sys.stderr.isatty() and size:
        sys.stderr.write(f"\rread {100 * done // size}% ")
        sys.stderr.flush()


def _print(found: app.Replayed, *, is_equal: bool) -> None:
    began = found.began
    print_line(f"recorded {utc(began.at_ms)} to {utc(found.until_ms)}, {began.mode}, {len(found.copies)} attempts")
    for name, after in found.changed.items():
        print_line(f"changed {name}: {found.settings.get(name) or 'not set'} -> {after}")
    if is_equal:
        print_line(f"the replay equals the recording byte for byte (sha256 {found.replayed_digest})")
    elif found.began.mode != ExecutionMode.PAPER:
        print_line("real orders were sent then; what is replayed is what paper would have made of them")
    different = [one for one in found.copies if one.differs]
    if found.must_be_equal and not is_equal:
        _print_mistake(found.began.program, is_any_different=bool(different))
    columns = ["attempt", "side", "decision", "size", "filled", "price", "fee", "status", "PnL effect"]
    shape = Shape(stacks=("decision", "size", "filled", "price", "fee", "status"), drops=("fee", "size", "side"))
    print_table(f"{len(different)} attempts differ", columns, map(_cells, different[:SHOWN_MAX]), shape)
    if len(different) > SHOWN_MAX:
        print_line(f"and {len(different) - SHOWN_MAX} more; --json has them all")
    recorded, replayed = _both_totals(found)
    rows = [
        [name.replace("_", " "), before, after, difference]
        for name, before, after, difference in _total_rows(recorded, replayed)
    ]
    print_table("in all", ["", "recorded", "replayed", "difference"], rows)
    print_line("gained: the cash that moved, and shares at the last recorded mid; fees are taken off.")


def _print_mistake(program: str, *, is_any_different: bool) -> None:
    print_line("nothing was changed, and yet the replay differs from the recording")
    if not is_any_different:
        print_line("no attempt came out otherwise: what differs are numbers in reasons, or the order of what happened")
    if program != (ours := version("copytrade")):
        print_line(f"it was recorded by copytrade {program}, and this is {ours}, which may decide otherwise")


def _cells(one: Compared) -> list[object]:
    before, after = _told(one.recorded), _told(one.replayed)
    changed = [before[name] if before[name] == after[name] else f"{before[name] or '-'} -> {after[name] or '-'}"
               for name in ("decision", "size", "filled", "price", "fee", "status")]  # fmt: skip
    either = one.recorded or one.replayed
    effect = "unknown" if one.effect is None else format_micro(one.effect)
    return [str(one.attempt_id)[:8], either.attempt.side if either else "", *changed, effect]


def _told(copied: Copied | None) -> dict[str, str]:
    """Return what the table and the document tell of one attempt on one side, all of it text."""
    if copied is None:
        return dict.fromkeys(("decision", "size", "limit", "filled", "price", "fee", "status"), "")
    attempt = copied.attempt
    codes = ", ".join(reason.code for reason in attempt.reasons)
    is_trade = attempt.decision is Decision.TRADE
    return {
        "decision": str(attempt.decision) if is_trade else f"{attempt.decision} {codes}",
        "size": format_micro(attempt.size_shares_target) if is_trade else "",
        "limit": format_micro(attempt.limit_price) if is_trade else "",
        "filled": format_micro(copied.shares) if is_trade else "",
        "price": "" if copied.price is None else format_micro(copied.price),
        "fee": format_micro(copied.fee) if copied.fills else "",
        "status": str(copied.status),
    }


def _both_totals(found: app.Replayed) -> tuple[Totals, Totals]:
    recorded = totals((one.recorded, one.mid) for one in found.copies)
    return recorded, totals((one.replayed, one.mid) for one in found.copies)


def _total_rows(recorded: Totals, replayed: Totals) -> list[tuple[str, object, object, object]]:
    rows: list[tuple[str, object, object, object]] = []
    for name in ("trades", "skips", "filled_attempts", "executions", *MONEY, "unmarked"):
        before, after = getattr(recorded, name), getattr(replayed, name)
        numbers = (before, after, after - before)
        shown = [format_micro(number) for number in numbers] if name in MONEY else numbers
        rows.append((name, *shown))
    return rows


def _document(found: app.Replayed, *, is_equal: bool) -> dict[str, Any]:
    return {
        "began_at": utc(found.began.at_ms),
        "until": utc(found.until_ms),
        "program": found.began.program,
        "mode": found.began.mode,
        "settings": dict(found.settings),
        "changed": dict(found.changed),
        "equal": is_equal,
        "recorded_sha256": found.recorded_digest,
        "replayed_sha256": found.replayed_digest,
        "attempts": [_one(one) for one in found.copies],
        "totals": {
            name: {"recorded": before, "replayed": after, "difference": difference}
            for name, before, after, difference in _total_rows(*_both_totals(found))
        },
    }


def _one(one: Compared) -> dict[str, Any]:
    either = one.recorded or one.replayed
    return {
        "attempt_id": str(one.attempt_id),
        "leader_fill_id": str(either.attempt.leader_fill_id) if either else None,
        "token_id": either.attempt.token_id if either else None,
        "side": either.attempt.side if either else None,
        "differs": one.differs,
        "recorded": _side(one.recorded, one.mid),
        "replayed": _side(one.replayed, one.mid),
        "pnl_effect": None if one.effect is None else format_micro(one.effect),
    }


def _side(copied: Copied | None, mid: Price | None) -> dict[str, Any] | None:
    if copied is None:
        return None
    gain = copied.gain(mid)
    return {
        **_told(copied),
        "reasons": [reason.as_json() for reason in copied.attempt.reasons],
        "executions": [
            {"shares": format_micro(fill.shares), "price": format_micro(fill.price), "fee": format_micro(fill.fee_usdc),
             "liquidity": fill.liquidity, "fill_at_ms": fill.fill_at_ms}
            for fill in copied.fills
        ],
        "gained": None if gain is None else format_micro(gain),
    }  # fmt: skip
