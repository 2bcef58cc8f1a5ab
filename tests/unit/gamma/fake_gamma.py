"""A Gamma and a CLOB over a mock transport, with faults on demand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from copytrade.adapters.gamma.registry import GammaRegistry
from copytrade.domain.market import Market
from copytrade.ports.clock import Clock
from copytrade.ports.ledger import LedgerUnavailableError
from copytrade.ports.markets import RegistrySync

GAMMA_URL = "http://gamma.test"
CLOB_URL = "http://clob.test"
DATA_API_URL = "http://data.test"
Answer = Callable[[httpx.Request], httpx.Response | None]


def condition(number: int) -> str:
    return "0x" + f"{number:064x}"


def tokens(number: int) -> tuple[str, str]:
    """Two v1 token ids: some reserved bits are set."""
    return str((number << 200) | (1 << 50)), str((number << 200) | (1 << 50) | 1)


def row(number: int, **changes: Any) -> dict[str, Any]:
    yes, no = tokens(number)
    return {
        "id": str(number),
        "question": f"Question {number}?",
        "conditionId": condition(number),
        "slug": f"question-{number}",
        "endDate": "2026-12-31T12:00:00Z",
        "outcomes": '["Yes", "No"]',
        "outcomePrices": '["0.4", "0.6"]',
        "clobTokenIds": json.dumps([yes, no]),
        "active": True,
        "closed": False,
        "archived": False,
        "enableOrderBook": True,
        "acceptingOrders": True,
        "negRisk": False,
        "orderPriceMinTickSize": 0.01,
        "orderMinSize": 5,
        "feesEnabled": True,
        "feeType": "crypto_fees_v2",
        "feeSchedule": {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2},
        "events": [{"slug": f"event-{number // 2}"}],
        "tags": [{"label": "Crypto", "slug": "crypto"}],
        "version": "v1",
        **changes,
    }


def v2_row(number: int, **changes: Any) -> dict[str, Any]:
    position = (1 << 248) | (number << 120)
    return row(
        number,
        conditionId=f"0x{position >> 8:062x}",
        clobTokenIds=None,
        positionIds=[str(position), str(position | 1)],
        version="v2",
        **changes,
    )


def details(number: int, **changes: Any) -> dict[str, Any]:
    yes, no = tokens(number)
    return {
        "t": [{"t": yes, "o": "Yes"}, {"t": no, "o": "No"}],
        "c": condition(number),
        "mos": 5,
        "mts": 0.01,
        "ao": True,
        "itode": True,
        "fd": {"r": 0.07, "e": 1, "to": True},
        "v": "v1",
        **changes,
    }


@dataclass
class FakeHosts:
    """What Gamma lists, the CLOB knows and the Data API tells of payouts; `intercept` may answer instead.

    Pages are cut by id, as a keyset does: the cursor names the last one shown.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, dict[str, Any]] = field(default_factory=dict)
    payouts: dict[str, list[int]] = field(default_factory=dict)
    page_size: int = 3
    requests: list[httpx.Request] = field(default_factory=list)
    intercept: Answer = lambda request: None

    def paths(self) -> list[str]:
        return [f"{request.url.host} {request.url.path}" for request in self.requests]

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        intercepted = self.intercept(request)
        if intercepted is not None:
            return intercepted
        if request.url.host == "gamma.test":
            return self._gamma(request)
        if request.url.host == "data.test":
            return self._resolution(request)
        return self._clob(request.url.path)

    def _gamma(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        if request.url.path != "/markets/keyset" or query.get_list("version") != ["v1", "v2"]:
            return httpx.Response(200, json={"markets": []})
        closed = query["closed"] == "true"
        found = [one for one in self.rows if one.get("closed", False) == closed]
        for key, name in (("condition_ids", "conditionId"), ("clob_token_ids", "clobTokenIds")):
            if asked := query.get_list(key):
                found = [one for one in found if any(item in (one.get(name) or "") for item in asked)]
        if asked := query.get_list("position_ids"):
            found = [one for one in found if set(asked) & set(one.get("positionIds") or [])]
        found.sort(key=lambda one: int(one["id"]), reverse=query.get("ascending") == "false")
        ids = [int(one["id"]) for one in found]
        if last := query.get("after_cursor"):
            beyond = [one < int(last) if query.get("ascending") == "false" else one > int(last) for one in ids]
            start = beyond.index(True) if any(beyond) else len(ids)
        else:
            start = 0
        end = start + min(self.page_size, int(query["limit"]))
        after = {"next_cursor": str(ids[end - 1])} if end < len(found) else {}
        return httpx.Response(200, json={"markets": found[start:end], **after})

    def _resolution(self, request: httpx.Request) -> httpx.Response:
        payouts = self.payouts.get(request.url.params["condition"])
        rows = [] if payouts is None else [{"status": "resolved", "payouts": payouts}]
        return httpx.Response(200, json={"data": rows})

    def _clob(self, path: str) -> httpx.Response:
        last = path.rpartition("/")[2]
        if path.startswith("/clob-markets/") and last in self.details:
            return httpx.Response(200, json=self.details[last])
        for one in self.details.values():
            if path.startswith("/markets-by-token/") and any(token["t"] == last for token in one["t"]):
                return httpx.Response(200, json={"condition_id": one["c"], "primary_token_id": last})
        return httpx.Response(404, json={"error": "market not found"})


@dataclass
class FakeStore:
    """Stored markets by condition, tokens named without one, and the sync under way; `is_down` refuses everything."""

    stored: dict[str, Market] = field(default_factory=dict)
    saves: list[int] = field(default_factory=list)
    is_down: bool = False
    sync: RegistrySync | None = None
    named: set[str] = field(default_factory=set)

    async def registry_sync(self) -> RegistrySync | None:
        self._check()
        return self.sync

    async def save_registry_sync(self, sync: RegistrySync | None) -> None:
        self._check()
        self.sync = sync

    async def markets(self, *, settled_since_ms: int | None = None) -> tuple[Market, ...]:
        self._check()
        since = settled_since_ms or 0
        stored = self.stored.values()
        return tuple(one for one in stored if not one.closed or one.payouts is None or one.updated_at_ms >= since)

    async def unlisted_tokens(self, *, after: str, limit: int) -> tuple[str, ...]:
        self._check()
        listed = {token.token_id for market in self.stored.values() for token in market.tokens}
        return tuple(sorted(one for one in self.named - listed if one > after)[:limit])

    async def save_markets(self, markets: Sequence[Market]) -> None:
        self._check()
        self.saves.append(len(markets))
        for market in markets:
            self.stored[market.condition_id] = market

    def _check(self) -> None:
        if self.is_down:
            raise LedgerUnavailableError("down")


@dataclass
class Office:
    """A registry on fake hosts."""

    hosts: FakeHosts
    store: FakeStore
    registry: GammaRegistry
    notes: list[tuple[str, dict[str, object]]]


def make_office(clock: Clock, *, hosts: FakeHosts | None = None, store: FakeStore | None = None) -> Office:
    hosts, store = hosts or FakeHosts(), store or FakeStore()
    notes: list[tuple[str, dict[str, object]]] = []
    registry = GammaRegistry(
        gamma_url=GAMMA_URL,
        clob_url=CLOB_URL,
        data_api_url=DATA_API_URL,
        http=hosts.http(),
        clock=clock,
        store=store,
        sync_interval_ms=900_000,
        note=lambda code, detail: notes.append((code, dict(detail))),
    )
    return Office(hosts=hosts, store=store, registry=registry, notes=notes)
