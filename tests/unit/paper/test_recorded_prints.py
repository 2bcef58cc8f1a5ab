"""Recorded prints are found in the recorded book, and only shorten the queue by what was traded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from copytrade.adapters.paper.place import Place
from copytrade.domain.book import Level
from copytrade.domain.fills import Side
from copytrade.domain.matching import decreases
from tests.makers import micro

pytestmark = pytest.mark.recorded
OPENTAPE = Path("ws", "opentape_polymarket_ws_20260907.jsonl")

Levels = tuple[Level, ...]


def messages(folder: Path) -> Iterator[dict[str, Any]]:
    for line in (folder / OPENTAPE).read_text("utf-8").splitlines():
        if line.strip():
            decoded = json.loads(line)
            yield from decoded if isinstance(decoded, list) else [decoded]


def told_of(side: Side, token_id: str, folder: Path) -> Iterator[tuple[int, Levels | dict[str, Any]]]:
    """Give, with the venue's stamps, each new state of one side of a token's book, and each print of the token."""
    name = "bids" if side is Side.BUY else "asks"
    sizes: dict[int, int] = {}
    for message in messages(folder):
        stamp = int(message["timestamp"])
        if message["event_type"] == "last_trade_price" and message["asset_id"] == token_id:
            yield stamp, message
            continue
        if message["event_type"] == "book" and message["asset_id"] == token_id:
            sizes = {micro(level["price"]): micro(level["size"]) for level in message[name]}
        elif message["event_type"] == "price_change":
            for change in message["price_changes"]:
                if (change["asset_id"], change["side"]) == (token_id, side):
                    sizes[micro(change["price"])] = micro(change["size"])
        yield stamp, tuple(Level(price, size) for price, size in sizes.items() if size)


@pytest.mark.parametrize(
    ("side", "limit", "traded", "left"),
    [(Side.BUY, "0.62", "31.74", "35150.79"), (Side.SELL, "0.63", "7.56", "290.72")],
)
def test_an_order_that_joined_the_first_book_has_those_ahead_that_were_left(
    recorded_data: Path, side: Side, limit: str, traded: str, left: str
) -> None:
    token_id = next(iter(messages(recorded_data)))["asset_id"]
    before: Levels = ()
    place: Place | None = None
    ahead: list[tuple[int, int]] = []
    for stamp, told in told_of(side, token_id, recorded_data):
        if isinstance(told, dict):
            if place is not None and told["side"] != side:
                assert abs(micro(told["size"]) - micro(traded)) < 10_000
                explained = place.reached(price=micro(told["price"]), shares=micro(told["size"]), given=0, at_ms=stamp)
                ahead.append((explained, place.ahead))
            continue
        displayed = dict(told).get(micro(limit), 0)
        if place is None:
            place = Place(side=side, limit=micro(limit), ahead=displayed)
        else:
            place.observe(decreases(before, told), displayed=displayed, venue_ts_ms=stamp, at_ms=stamp)
        before = told

    assert ahead == [(0, micro(left))]


def test_an_order_with_nobody_ahead_would_have_had_the_recorded_trades(recorded_data: Path) -> None:
    token_id = next(iter(messages(recorded_data)))["asset_id"]
    had = {}
    for side, limit in ((Side.BUY, "0.62"), (Side.SELL, "0.63")):
        place, before = Place(side=side, limit=micro(limit), ahead=0), ()
        for stamp, told in told_of(side, token_id, recorded_data):
            if not isinstance(told, dict):
                place.observe(
                    decreases(before, told), displayed=dict(told).get(micro(limit), 0), venue_ts_ms=stamp, at_ms=stamp
                )
                before = told
            elif told["side"] != side:
                had[side] = place.reached(price=micro(told["price"]), shares=micro(told["size"]), given=0, at_ms=stamp)

    assert had == {Side.BUY: micro("31.74"), Side.SELL: micro("7.555554")}
