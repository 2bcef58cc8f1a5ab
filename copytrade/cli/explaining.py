"""`copytrade explain`: one fill's whole story, from the first source that saw it to what the market did after."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copytrade import app
from copytrade.cli.following import AsJson
from copytrade.cli.output import complain, print_json, print_line
from copytrade.domain.markouts import NOT_WATCHED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXIT_USAGE: Final = 2
LEVELS_SHOWN: Final = 5
_STRETCHES: Final = {
    "decision_delay": "delay, until we decided",
    "spread": "spread, mid to touch",
    "placement_delay": "delay, until it was placed",
    "depth": "depth, beyond the touch",
    "rest": "waiting at our limit",
    "unknown": "not known where",
    "fee": "fee",
    "total": "in all",
}


def explain(
    name: Annotated[str, typer.Argument(help="Id of a fill, attempt or execution, tx hash, or dedupe key; its start.")],
    as_json: AsJson = False,
) -> None:
    """Tell one fill's story: who saw it, the decision and its reasons, the books, the order, what it cost."""
    story = asyncio.run(_story(name))
    if as_json:
        print_json(story)
        return
    for line in _lines(story):
        print_line(line)


async def _story(name: str) -> dict[str, Any]:
    async with app.open_stories(app.load_settings()) as stories:
        try:
            found = await stories.find(name)
        except ValueError as error:
            complain(f"{name!r} is {error}")
            raise typer.Exit(EXIT_USAGE) from None
        if not found:
            complain(f"{name!r} names no fill, attempt or execution in this database")
            raise typer.Exit(EXIT_USAGE)
        if len(found) > 1:
            complain(f"{name!r} is ambiguous; one of")
            for match in found:
                complain(f"  {match.fill_id}  ({match.what})")
            raise typer.Exit(EXIT_USAGE)
        return await stories.story(found[0].fill_id, now_ms=app.system_clock().now_ms())


def _lines(story: Mapping[str, Any]) -> Iterator[str]:
    fill = story["fill"]
    yield f"fill {fill['id']}"
    yield f"  {fill['label'] or fill['leader']} {fill['side']} {fill['size']} @ {fill['price']} as {fill['role']}"
    yield f"  for {fill['usdc']} USDC, his fee {'not known' if fill['fee'] is None else fill['fee']}"
    yield f"  market    {fill['title'] or 'unknown market'} [{fill['outcome'] or '?'}]"
    yield f"  token     {fill['token_id']}"
    yield f"  chain     {_place(fill)}"
    yield f"  block at  {fill['fill_ts']}, seen {fill['detect_ms']} ms after by {fill['first_source']}"
    yield f"  state     {_state(fill)}"
    yield "seen by"
    for one in story["sources"]:
        late = f"{one['behind_block_ms']} ms after the block's stamp, {one['behind_first_ms']} ms after the first"
        yield f"  {one['source']:<9} {one['received_at']}, {late}"
    if story["no_attempt"]:
        yield f"not decided: {story['no_attempt']}"
    for attempt in story["attempts"]:
        yield from _attempt(attempt)


def _place(fill: Mapping[str, Any]) -> str:
    where = "no log seen yet" if fill["block_number"] is None else f"block {fill['block_number']}"
    log = "" if fill["log_index"] is None else f", log {fill['log_index']}"
    return f"{where}{log}, transaction {fill['tx_hash']}"


def _state(fill: Mapping[str, Any]) -> str:
    if fill["state"] == "orphaned":
        return f"orphaned {fill['orphaned_at']}: a reorg took its block away"
    return f"confirmed {fill['confirmed_at']}" if fill["state"] == "confirmed" else "not confirmed yet"


def _attempt(attempt: Mapping[str, Any]) -> Iterator[str]:
    yield f"attempt {attempt['id']} ({attempt['mode']}, {attempt['strategy_id']} on {attempt['account_id']})"
    yield f"  {attempt['decision']} at {attempt['decided_at']}, {attempt['latency_ms']['decide']} ms after it was seen"
    for reason in attempt["reasons"]:
        yield f"  because   {_numbers(reason)}"
    yield from _verdicts(attempt["verdicts"])
    if attempt["decision"] == "SKIP":
        return
    noted = attempt["attribution"]
    yield from _books(noted)
    yield from _order(attempt)
    if noted is not None and noted["lost_usdc"] is not None:
        yield from _loss(noted)
    for marks in attempt["markouts"]:
        yield f"  after the fill of {marks['shares']} at {marks['fill_at']}"
        for horizon in ("1s", "10s", "1m", "10m", "resolution"):
            yield f"    {horizon:<10} {_mark(marks[horizon])}"


def _verdicts(verdicts: list[dict[str, str]]) -> Iterator[str]:
    """Tell each rule that spoke on a line of its own, those that did not together."""
    silent: dict[str, list[str]] = {}
    for said in verdicts:
        if "code" not in said:
            silent.setdefault(said["verdict"], []).append(said["rule"])
            continue
        numbers = {key: value for key, value in said.items() if key not in {"rule", "verdict"}}
        yield f"  rule      {said['rule']} {said['verdict']}: {_numbers(numbers)}"
    for verdict, rules in silent.items():
        yield f"  rules     {verdict}: {', '.join(rules)}"


def _numbers(numbers: Mapping[str, str]) -> str:
    return " ".join(value if key == "code" else f"{key}={value}" for key, value in numbers.items())


def _books(noted: Mapping[str, Any] | None) -> Iterator[str]:
    for name, when in (("book_at_decision", "the decision"), ("book_at_placement", "its placement")):
        book = noted and noted[name]
        if book:
            yield f"  book at {when}, standing since {book['standing_since']}"
            for side in ("asks", "bids"):
                levels = ", ".join(f"{size} @ {price}" for price, size in book[side][:LEVELS_SHOWN])
                yield f"    {side}  {levels or 'none'}"
        else:
            why = noted["missing"].get(name, "not looked up yet") if noted else "not noted"
            yield f"  book at {when}: not known ({_why(why)})"


def _order(attempt: Mapping[str, Any]) -> Iterator[str]:
    wanted = f"{attempt['size_shares_target']} at {attempt['limit_price']} or better, for {attempt['ttl_ms']} ms"
    yield f"  order     {wanted}, placed {attempt['placed_at'] or 'never'}"
    yield f"  became    {attempt['status']} with {attempt['filled_shares']}, {_ending(attempt)}"
    for one in attempt["executions"]:
        before, after = one["position_before"], one["position_after"]
        yield (
            f"  execution {one['side']} {one['shares']} @ {one['price']} as {one['liquidity']} at {one['fill_at']}, "
            f"fee {one['fee_usdc']}, slippage {one['slippage']} ({one['slippage_bps']} bps), {one['settlement']}"
        )
        yield (
            f"            position {before['shares']} -> {after['shares']}, cost {before['cost_usdc']} -> "
            f"{after['cost_usdc']}, realised {before['realized_pnl_usdc']} -> {after['realized_pnl_usdc']}"
        )


def _ending(attempt: Mapping[str, Any]) -> str:
    if attempt["done_at"]:
        return f"ended {attempt['done_at']}"
    return "not ended yet; left by a worker that stopped, the next start ends it" if attempt["is_left"] else "open"


def _loss(noted: Mapping[str, Any]) -> Iterator[str]:
    way = " -> ".join(f"{name.replace('_', ' ')} {price or '?'}" for name, price in noted["way"].items())
    yield f"  way       {way}"
    yield "  lost against the leader (plus is worse for us)       USDC      per share"
    for name, words in _STRETCHES.items():
        usdc, price = noted["lost_usdc"][name], noted["lost_per_share"][name]
        if name != "unknown" or usdc != "0.00":
            yield f"    {words:<44} {usdc or '?':>12} {price or '?':>12}"


def _why(code: str) -> str:
    return "no worker was looking then" if code == NOT_WATCHED else code


def _mark(mark: Mapping[str, str]) -> str:
    if "unknown" in mark:
        return f"not known ({_why(mark['unknown'])})"
    if "due" in mark:
        return f"to come ({mark['due']})"
    return f"{mark.get('mid') or mark.get('payout')}, gained {mark['gained_usdc']} USDC"
