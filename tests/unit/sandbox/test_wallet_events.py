"""What wallets do other than trade, as the sandbox's Data API tells it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any
from urllib.parse import urlencode

import pytest

from copytrade.sandbox.data_api import DataApiService
from copytrade.sandbox.http_message import BadRequestError, Request, split_target
from copytrade.sandbox.world import World, WorldConfig

WALLET = "0x" + "5a" * 20
DELAY_MS = 2_000


@cache
def a_world() -> World:
    """Return one world for all: events are kept beside it."""
    return World(WorldConfig(seed=3, start_ms=1_790_000_000_000))


class Told:
    """A Data API over a small world whose hands the test moves."""

    def __init__(self) -> None:
        self.world = a_world()
        self.now_ms = self.world.now_ms
        self.api = DataApiService(
            exchange=self.world.exchange, ledger=self.world.ledger, now_ms=lambda: self.now_ms, delay_ms=DELAY_MS
        )
        self.market = self.world.exchange.catalogue.all()[0]

    def add(self, **body: Any) -> None:
        event = {"wallet": WALLET, "condition": self.market.condition, "size": "10", **body}
        self.api.wallet_events.add(event, now_ms=self.now_ms)

    def get(self, path: str, **params: object) -> list[dict[str, Any]]:
        inner, query = split_target(f"{path}?{urlencode({'user': WALLET, **params})}")
        answer: dict[str, Any] = json.loads(self.api.respond(Request(method="GET", path=inner, query=query)).body)
        rows: list[dict[str, Any]] = answer["data"]
        return rows

    def sizes(self) -> list[float]:
        return [row["current_size"] for row in self.get("/v2/positions")]


def test_a_row_has_no_token_and_comes_after_the_delay_of_every_row() -> None:
    told = Told()
    told.add(type="SPLIT")

    assert told.get("/v2/activity") == []
    told.now_ms += DELAY_MS
    row = told.get("/v2/activity")[0]
    assert (row["type"], row["token_id"], row["side"], row["outcome_index"]) == ("SPLIT", "", "", 999)
    assert (row["size"], row["condition_id"]) == (10, told.market.condition)


def test_rows_are_chosen_by_type_and_paged() -> None:
    told = Told()
    for kind in ("SPLIT", "MERGE", "SPLIT", "REDEEM"):
        told.add(type=kind)
    told.now_ms += DELAY_MS

    assert [row["type"] for row in told.get("/v2/activity", type="MERGE,REDEEM")] == ["REDEEM", "MERGE"]
    assert told.get("/v2/activity", type="TRADE") == []
    assert [row["type"] for row in told.get("/v2/activity", limit=2)] == ["REDEEM", "SPLIT"]


def test_events_change_what_is_listed() -> None:
    told = Told()
    told.add(type="SPLIT", size="50")
    assert told.sizes() == [50, 50]

    told.add(type="MERGE", size="20.5")
    assert told.sizes() == [29.5, 29.5]

    told.add(type="WITHDRAWAL", size="9.5", token=str(told.market.tokens[0]))
    assert told.sizes() == [20, 29.5]

    told.add(type="REDEEM", size="29.5")
    assert told.sizes() == []


@pytest.mark.parametrize("body", [{"type": "TELEPORT"}, {"type": "MERGE", "wallet": "Ann"}])
def test_what_is_no_event_is_refused(body: dict[str, str]) -> None:
    with pytest.raises(BadRequestError):
        Told().add(**body)
