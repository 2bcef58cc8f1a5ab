"""The control endpoint: break things, drive scripted trades, read the record of truth.

`GET /control/...`

- `fills` (`?all=true`: of every wallet): each `OrderFilled` ever mined, superseded ones with
  `canonical` false; amounts in micro-units
- `state`: time, head, finalized, sockets, leaders
- `markets`: slugs, conditions and tokens

`POST /control/...` with a JSON object; sizes and prices are decimal strings

- `drop` {kind: "market"|"chain"|"rtds"|"user", code?, reason?, refuse?}: cut the sockets, or close them with a
  code; `refuse` is the HTTP status new ones get from now on, 0 lets them in again
- `freeze` {kind, frozen: true, future?}: keep sockets open, answer PING, send nothing; `future`
  freezes new ones as well
- `mute` {logs?, heads?}: silence one kind of chain subscription
- `lag` {blocks?, logs?, range?, data_api_ms?, rtds_ms?, rtds_silence_ms?}: head that many blocks
  back; no logs for the newest blocks; widest range of `eth_getLogs`; delay of Data API rows and of
  the live stream; how long the stream goes on without a PING
- `latency` {path: "/", ms} or {sockets_ms}
- `error` {target: "/clob/books" or "eth_getLogs", status?, body, count: 1}: a path answers 500
  unless told otherwise; a method answers the JSON-RPC error `body`, or with that HTTP status
- `finality` {stalled: true}, `pause` {paused: true}, `mine` {count: 1}, `heal` {}
- `reorg` {depth: 1, fate: "moved"|"delayed"|"dropped", extra: 1}
- `activity` {wallet, type: "SPLIT"|"MERGE"|"REDEEM"|..., condition, size, usdc?, token?}: something a
  wallet does other than trade, for the Data API to tell
- `post`, `book`, `market`, `tick`, `resolve`: see `scripting.Script`

For accounts that trade here: see `trading.control`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from copytrade.sandbox.data_api import DataApiService
from copytrade.sandbox.faults import HTTP_OK, ErrorRule, Faults
from copytrade.sandbox.http_message import BadRequestError, Request, Response, json_response
from copytrade.sandbox.ledger import FillRecord
from copytrade.sandbox.scripting import Script
from copytrade.sandbox.sessions import Sessions
from copytrade.sandbox.trading.control import TradingControl
from copytrade.sandbox.world import ReorgFate, World

SOCKET_KINDS = ("market", "chain", "rtds", "user")

Command = Callable[[dict[str, Any]], Any]


class ControlService:
    """`GET` reads, `POST` with a JSON object changes; answers are JSON."""

    def __init__(
        self, *, world: World, faults: Faults, sessions: Sessions, data_api: DataApiService, trading: TradingControl
    ) -> None:
        """Control the given world, its open sockets and its trading floor."""
        self._trading = trading
        self._world = world
        self._faults = faults
        self._sessions = sessions
        self._data_api = data_api
        self._reads: dict[str, Callable[[Request], Any]] = {
            "/fills": self._fills,
            "/state": self._state,
            "/markets": self._markets,
            **{path: _unasked(read) for path, read in trading.reads.items()},
        }
        script = Script(world)
        self._commands: dict[str, Command] = {
            "/post": script.post,
            "/book": script.set_book,
            "/market": script.open_market,
            "/resolve": script.resolve,
            "/tick": script.change_tick,
            "/drop": self._drop,
            "/freeze": self._freeze,
            "/mute": self._mute,
            "/lag": self._lag,
            "/latency": self._latency,
            "/error": self._error,
            "/finality": self._finality,
            "/pause": self._pause,
            "/mine": self._mine,
            "/reorg": self._reorg,
            "/activity": self._wallet_event,
            "/heal": self._heal,
            **trading.commands,
        }

    def respond(self, request: Request) -> Response:
        """Answer a request whose path has no prefix any more."""
        if request.method == "GET" and request.path in self._reads:
            return json_response(self._reads[request.path](request))
        if request.method == "POST" and request.path in self._commands:
            body = request.json() if request.body else {}
            if not isinstance(body, dict):
                raise BadRequestError({"error": "a JSON object is expected"})
            return json_response(self._commands[request.path](body))
        known = sorted([*self._reads, *self._commands])
        return json_response({"error": "unknown control", "known": known}, status=404)

    def _fills(self, request: Request) -> list[dict[str, Any]]:
        everyone = request.flag("all", default=False)
        leaders = {leader.address for leader in self._world.leaders}
        return [fill_row(record) for record in self._world.ledger.records if everyone or record.fill.owner in leaders]

    def _state(self, request: Request) -> dict[str, Any]:
        chain = self._world.chain
        return {
            "now_ms": self._world.now_ms,
            "head": chain.head.number,
            "finalized": chain.finalized_number,
            "earliest": chain.earliest.number,
            "fills": len(self._world.ledger.records),
            "markets": len(self._world.exchange.catalogue.all()),
            "sockets": {kind: len(self._sessions.of_kind(kind)) for kind in SOCKET_KINDS},
            "leaders": [{"address": one.address, "label": one.label} for one in self._world.leaders],
        }

    def _markets(self, request: Request) -> list[dict[str, Any]]:
        return [
            {
                "slug": market.slug,
                "condition": market.condition,
                "tokens": [str(token) for token in market.tokens],
                "version": market.version,
                "neg_risk": market.neg_risk,
                "closed": market.closed,
                "has_book": market.has_book,
            }
            for market in self._world.exchange.catalogue.all()
        ]

    def _drop(self, body: dict[str, Any]) -> dict[str, Any]:
        kind = _kind(body)
        sessions = self._sessions.of_kind(kind)
        code = body.get("code")
        for session in sessions:
            if code is None:
                session.outlet.abort()
            else:
                session.outlet.close(code=int(code), reason=str(body.get("reason", "")))
        if "refuse" in body:
            self._faults.refused_sockets.pop(kind, None)
            if body["refuse"]:
                self._faults.refused_sockets[kind] = int(body["refuse"])
        return {"dropped": len(sessions)}

    def _freeze(self, body: dict[str, Any]) -> dict[str, Any]:
        kind, frozen = _kind(body), body.get("frozen", True) is True
        sessions = self._sessions.of_kind(kind)
        for session in sessions:
            session.outlet.frozen = frozen
        if frozen and body.get("future", False):
            self._faults.frozen_future.add(kind)
        else:
            self._faults.frozen_future.discard(kind)
        return {"sockets": len(sessions), "frozen": frozen}

    def _mute(self, body: dict[str, Any]) -> dict[str, Any]:
        self._faults.logs_muted = bool(body.get("logs", self._faults.logs_muted))
        self._faults.heads_muted = bool(body.get("heads", self._faults.heads_muted))
        return {"logs": self._faults.logs_muted, "heads": self._faults.heads_muted}

    def _lag(self, body: dict[str, Any]) -> dict[str, Any]:
        self._faults.rpc_lag_blocks = _whole(body, "blocks", self._faults.rpc_lag_blocks)
        self._faults.logs_blind_blocks = _whole(body, "logs", self._faults.logs_blind_blocks)
        self._faults.logs_range_max = _whole(body, "range", self._faults.logs_range_max)
        self._data_api.delay_ms = _whole(body, "data_api_ms", self._data_api.delay_ms)
        self._faults.rtds_delay_ms = _whole(body, "rtds_ms", self._faults.rtds_delay_ms)
        self._faults.rtds_silence_ms = _whole(body, "rtds_silence_ms", self._faults.rtds_silence_ms)
        return {
            "blocks": self._faults.rpc_lag_blocks,
            "logs": self._faults.logs_blind_blocks,
            "range": self._faults.logs_range_max,
            "data_api_ms": self._data_api.delay_ms,
            "rtds_ms": self._faults.rtds_delay_ms,
            "rtds_silence_ms": self._faults.rtds_silence_ms,
        }

    def _latency(self, body: dict[str, Any]) -> dict[str, Any]:
        if "sockets_ms" in body:
            self._faults.socket_latency_ms = _whole(body, "sockets_ms", 0)
        if "ms" in body:
            self._faults.latency_ms[str(body.get("path", "/"))] = _whole(body, "ms", 0)
        return {
            "http": self._faults.latency_ms,
            "sockets_ms": self._faults.socket_latency_ms,
        }

    def _error(self, body: dict[str, Any]) -> dict[str, Any]:
        target = body.get("target")
        if not isinstance(target, str) or not target:
            raise BadRequestError({"error": "target: a path prefix or an RPC method"})
        rule = ErrorRule(
            target=target,
            status=_whole(body, "status", 500 if target.startswith("/") else HTTP_OK),
            body=body.get("body", {"error": "internal error"}),
            remaining=_whole(body, "count", 1),
        )
        self._faults.rules.append(rule)
        return {"target": rule.target, "status": rule.status, "count": rule.remaining}

    def _finality(self, body: dict[str, Any]) -> dict[str, Any]:
        self._world.chain.stall_finality(stalled=body.get("stalled", True) is True)
        return {"finalized": self._world.chain.finalized_number}

    def _pause(self, body: dict[str, Any]) -> dict[str, Any]:
        paused = body.get("paused", True) is True
        self._world.flow.pause(paused=paused)
        return {"paused": paused}

    def _mine(self, body: dict[str, Any]) -> dict[str, Any]:
        blocks = [self._world.mine() for _ in range(max(1, _whole(body, "count", 1)))]
        return {"number": blocks[-1].number, "hash": blocks[-1].block_hash}

    def _reorg(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            fate = ReorgFate(str(body.get("fate", ReorgFate.MOVED)))
        except ValueError as error:
            raise BadRequestError({"error": f"fate: one of {list(ReorgFate)}"}) from error
        added = self._world.reorg(depth=_whole(body, "depth", 1), fate=fate, extra=_whole(body, "extra", 1))
        return {"numbers": [block.number for block in added]}

    def _wallet_event(self, body: dict[str, Any]) -> dict[str, Any]:
        event = self._data_api.wallet_events.add(body, now_ms=self._world.now_ms)
        return {"tx_hash": event.tx_hash, "timestamp": event.timestamp}

    def _heal(self, body: dict[str, Any]) -> dict[str, Any]:
        healthy = Faults()
        for name in Faults.__slots__:
            setattr(self._faults, name, getattr(healthy, name))
        self._world.chain.stall_finality(stalled=False)
        self._trading.heal()
        for kind in SOCKET_KINDS:
            for session in self._sessions.of_kind(kind):
                session.outlet.frozen = False
        return {"healed": True}


def _unasked(read: Callable[[], Any]) -> Callable[[Request], Any]:
    return lambda _: read()


def fill_row(record: FillRecord) -> dict[str, Any]:
    """Return a record of truth; amounts in micro-units, hex in lower case."""
    fill = record.fill
    return {
        "tx_hash": record.tx_hash,
        "log_index": record.log_index,
        "block_number": record.block_number,
        "block_hash": record.block_hash,
        "timestamp": record.timestamp,
        "exchange": fill.exchange,
        "maker": fill.owner,
        "taker_topic": fill.taker_topic,
        "role": fill.role,
        "side": "BUY" if fill.side == 0 else "SELL",
        "token_id": str(fill.token),
        "maker_amount": fill.maker_amount,
        "taker_amount": fill.taker_amount,
        "fee": fill.fee,
        "order_hash": fill.order_hash,
        "canonical": record.canonical,
    }


def _kind(body: dict[str, Any]) -> str:
    kind = body.get("kind")
    if kind not in SOCKET_KINDS:
        raise BadRequestError({"error": f"kind: one of {list(SOCKET_KINDS)}"})
    return str(kind)


def _whole(body: dict[str, Any], name: str, default: int) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadRequestError({"error": f"{name}: a whole number is expected"})
    return value
