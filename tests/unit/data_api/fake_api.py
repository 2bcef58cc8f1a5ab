"""A Data API behind a fake transport, with rows a test may add late, twice, or spoil."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.makers import LEADER, NOW_MS

NOW_S = NOW_MS // 1000
TOKEN = "114128626005444826307900448598991163696598115079038846124094065053259387128928"


def tx(name: int) -> str:
    return f"0x{name:064x}"


def a_row(**changes: Any) -> dict[str, Any]:
    row = {
        "proxy_wallet": LEADER,
        "side": "BUY",
        "token_id": TOKEN,
        "condition_id": "0x" + "c0" * 32,
        "size": 10,
        "price": 0.95,
        "timestamp": NOW_S,
        "title": "Will it rain?",
        "outcome": "Yes",
        "outcome_index": 0,
        "transaction_hash": tx(1),
    }
    return row | changes


@dataclass
class FakeApi:
    """Serves `rows` newest first, `page_rows` a page; `faults` may answer a request in its stead."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    page_rows: int = 500
    requests: list[httpx.URL] = field(default_factory=list)
    faults: Callable[[httpx.URL], httpx.Response | None] = lambda url: None

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.respond)

    def respond(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request.url)
        return self.faults(request.url) or httpx.Response(200, text=json.dumps(self.page(request.url)))

    def page(self, url: httpx.URL) -> dict[str, Any]:
        query = url.params
        wanted = [
            row
            for row in sorted(self.rows, key=lambda row: -row["timestamp"])
            if row["proxy_wallet"] == query["user"] and row["timestamp"] >= int(query["start"])
        ]
        at = int(query.get("cursor", "0"))
        more = len(wanted) > at + self.page_rows
        pagination = {"limit": self.page_rows, "offset": 0, "has_more": more}
        pagination["next_cursor"] = str(at + self.page_rows) if more else None
        return {"data": wanted[at : at + self.page_rows], "pagination": pagination}
