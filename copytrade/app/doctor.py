"""`doctor`, wired: every dependency that this configuration needs, asked at the URLs that `run` uses."""

from __future__ import annotations

import asyncio
import importlib
import shutil
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from copytrade.app.ledgers import open_database, open_ledger, schema_state
from copytrade.app.outside import Outside, open_http
from copytrade.app.sources import POLYGON_CHAIN_ID
from copytrade.domain.attempts import ExecutionMode
from copytrade.domain.live_gates import LIVE_GATES, LiveGateName, refusals
from copytrade.engine.doctor import Check, CheckFailedError
from copytrade.ports.ledger import LedgerUnavailableError, NoLedgerYetError, SchemaOutdatedError
from copytrade.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock
    from copytrade.settings import Settings

SKEW_MS_MAX: Final[Millis] = 2_000
"""More, and ages and time limits are wrong; live orders are refused for less than a minute of it."""
HEAD_AGE_MS_MAX: Final[Millis] = 15_000
DATA_API_LAG_S_MAX: Final = 120
CLOB_VERSION: Final = 2
DISK_BYTES_MIN: Final = 1_000_000_000


@asynccontextmanager
async def open_checks(settings: Settings) -> AsyncIterator[Sequence[Check]]:
    """Open what the checks ask through, and yield them."""
    # Loaded before anything runs at once: two threads that import it halfway meet half of it.
    importlib.import_module("copytrade.adapters.sql.ledger")
    outside = Outside()
    async with open_http(outside) as http:
        yield [
            *_own(settings),
            *_chain(settings, http, outside.clock),
            *_venue(settings, http, outside.clock),
            *_live(settings, outside, http),
        ]


def _own(settings: Settings) -> list[Check]:
    return [
        Check(name="database", ask=partial(_database, settings)),
        Check(name="leaders", ask=partial(_leaders, settings), is_needed=False),
        Check(name="disk", ask=_disk, is_needed=False),
    ]


def _chain(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> list[Check]:
    """Ask each node by itself: one that serves may hide one that does not."""
    urls, is_needed = settings.polygon_http_url, settings.trigger_mode.uses_polygon
    if not urls:
        wanted = "a chain source is asked for" if is_needed else "leaders verify and reconcile need it"
        return [
            Check(name="polygon", ask=partial(_missing, f"POLYGON_HTTP_URL is not set; {wanted}"), is_needed=is_needed)
        ]
    checks = [
        Check(name=f"polygon {number}", ask=partial(_node, url, http, clock), is_needed=is_needed)
        for number, url in enumerate(urls, start=1)
    ]
    if len(urls) == 1:
        alone = "one provider only: what it hides nobody sees; name a second one"
        checks.append(Check(name="second provider", ask=partial(_missing, alone), is_needed=False))
    sockets = [
        Check(name=f"polygon socket {number}", ask=partial(_socket, url), is_needed=False)
        for number, url in enumerate(settings.polygon_ws_url, start=1)
    ]
    return [*checks, *sockets]


def _venue(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> list[Check]:
    clob, gamma, data_api = settings.clob_http_url, settings.gamma_http_url, settings.data_api_http_url
    return [
        Check(name="clob", ask=partial(_clob, clob, http)),
        Check(name="clock", ask=partial(_skew, clob, http, clock)),
        Check(name="market socket", ask=partial(_socket, settings.clob_market_ws_url)),
        Check(name="gamma", ask=partial(_gamma, gamma, http)),
        Check(name="data api", ask=partial(_data_api, data_api, http)),
        Check(name="rtds", ask=partial(_socket, settings.rtds_ws_url), is_needed=settings.trigger_mode.uses_rtds),
    ]


def _live(settings: Settings, outside: Outside, http: httpx.AsyncClient) -> list[Check]:
    """Look in live mode for what real orders need besides: the key, the caps, balance and allowances among it."""
    if settings.execution_mode is not ExecutionMode.LIVE:
        return []
    return [Check(name="live gates", ask=partial(_gates, settings, outside, http))]


async def _gates(settings: Settings, outside: Outside, http: httpx.AsyncClient) -> str:
    from copytrade.app import live

    try:
        async with open_ledger(settings) as ledger:
            facts = await live.look_at_gates(settings, outside, ledger=ledger, http=http)
    except (ConfigurationError, LedgerUnavailableError, NoLedgerYetError, SchemaOutdatedError) as error:
        raise CheckFailedError(str(error)) from None
    # A worker that trades the account is no fault of this machine: one may well be asked about while it runs.
    runs = facts.asked is not None and not facts.asked.holds_lock
    shut = [one.line for one in refusals(facts) if not (runs and one.gate is LiveGateName.ALONE)]
    if shut:
        raise CheckFailedError("; ".join(shut))
    return f"all {len(LIVE_GATES)} are open{', a worker trades the account' if runs else ''}"


async def _database(settings: Settings) -> str:
    try:
        found, needed = await asyncio.to_thread(schema_state, settings)
        async with open_database(settings):
            pass
    except NoLedgerYetError:
        return "none yet; `copytrade leaders add ADDRESS` or `copytrade run` makes one"
    except (LedgerUnavailableError, SchemaOutdatedError) as error:
        raise CheckFailedError(str(error)) from None
    return f"answers; schema {found or 'none'}, needed {needed}{' (upgraded now)' if found != needed else ''}"


async def _leaders(settings: Settings) -> str:
    try:
        async with open_ledger(settings) as ledger:
            followed = [leader for leader in await ledger.leaders() if leader.enabled]
    except NoLedgerYetError:
        followed = []
    except (LedgerUnavailableError, SchemaOutdatedError):
        raise CheckFailedError("not known without the database") from None
    if not followed:
        raise CheckFailedError("nobody is followed; copytrade leaders add ADDRESS")
    return f"{len(followed)} followed"


async def _disk() -> str:
    free = shutil.disk_usage(Path.cwd()).free
    if free < DISK_BYTES_MIN:
        raise CheckFailedError(f"{free // 1_000_000} MB free here; a gigabyte or more is wanted")
    return f"{free // 1_000_000_000} GB free here"


async def _missing(what: str) -> str:
    raise CheckFailedError(what)


async def _node(url: str, http: httpx.AsyncClient, clock: Clock) -> str:
    """Ask a node for its chain, its head and what is final."""
    from copytrade.adapters.feeds.retrying import host_of
    from copytrade.adapters.polygon.node import chain_id_of
    from copytrade.adapters.polygon.rpc import Endpoint, RpcError

    endpoint, host = Endpoint(url, http), host_of(url)
    try:
        chain_id = await chain_id_of(endpoint)
        if chain_id != POLYGON_CHAIN_ID:
            raise CheckFailedError(f"{host} is on chain {chain_id}; wanted is {POLYGON_CHAIN_ID}")
        latest = await endpoint.call("eth_getBlockByNumber", ["latest", False])
        final = await endpoint.call("eth_getBlockByNumber", ["finalized", False])
        head, behind = int(latest["number"], 16), int(latest["number"], 16) - int(final["number"], 16)
        age_ms = clock.now_ms() - int(latest["timestamp"], 16) * 1000
    except RpcError as error:
        raise CheckFailedError(str(error)) from None
    except (KeyError, TypeError, ValueError):
        raise CheckFailedError(f"{host} gave no block that can be read") from None
    if age_ms > HEAD_AGE_MS_MAX:
        raise CheckFailedError(f"{host} is behind: its head {head} is {age_ms // 1000} s old")
    return f"{host}: head {head}, {age_ms / 1000:.1f} s old, final {behind} behind"


async def _socket(url: str) -> str:
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    from copytrade.adapters.feeds.retrying import host_of

    host = host_of(url)
    try:
        socket = await connect(url, ping_interval=None, close_timeout=1)
        await socket.close()
    except (OSError, WebSocketException) as error:
        raise CheckFailedError(f"{host}: {type(error).__name__}") from None
    return f"{host}: opens"


async def _clob(url: str, http: httpx.AsyncClient) -> str:
    await _get(f"{url}/ok", http)
    version = await _json(f"{url}/version", http)
    if not isinstance(version, dict) or version.get("version") != CLOB_VERSION:
        raise CheckFailedError(f"speaks version {version}; this program knows {CLOB_VERSION}")
    return f"answers; version {CLOB_VERSION}"


async def _skew(url: str, http: httpx.AsyncClient, clock: Clock) -> str:
    """Compare clocks: the venue tells whole seconds, so half a second and half the way are no skew."""
    started_ms = clock.now_ms()
    text = (await _get(f"{url}/time", http)).text.strip().strip('"')
    middle_ms = (started_ms + clock.now_ms()) // 2
    if not text.isdigit():
        raise CheckFailedError("the venue's time is no number")
    skew_ms = middle_ms - int(text) * 1000 - 500
    if abs(skew_ms) > SKEW_MS_MAX:
        raise CheckFailedError(f"this clock is {skew_ms} ms off the venue's; set it (NTP)")
    return f"{skew_ms:+} ms against the venue"


async def _gamma(url: str, http: httpx.AsyncClient) -> str:
    page = await _json(f"{url}/markets/keyset", http, limit="1", version="v1")
    rows = page.get("markets") if isinstance(page, dict) else page
    if not isinstance(rows, list) or not rows:
        raise CheckFailedError("lists no market")
    return "lists markets"


async def _data_api(url: str, http: httpx.AsyncClient) -> str:
    status = await _json(f"{url}/v2/status", http)
    try:
        lag_s = int(status["data"]["serving"]["lag_seconds"])
    except (KeyError, TypeError, ValueError):
        raise CheckFailedError("its status cannot be read: is this Data API v2?") from None
    if lag_s > DATA_API_LAG_S_MAX:
        raise CheckFailedError(f"{lag_s} s behind, by its own word")
    return f"{lag_s} s behind, by its own word"


async def _json(url: str, http: httpx.AsyncClient, **query: str) -> Any:
    answer = await _get(url, http, **query)
    try:
        return answer.json()
    except ValueError:
        raise CheckFailedError("answers, but not with JSON") from None


async def _get(url: str, http: httpx.AsyncClient, **query: str) -> httpx.Response:
    host = httpx.URL(url).host
    try:
        answer = await http.get(url, params=query)
    except httpx.HTTPError as error:
        raise CheckFailedError(f"{host}: {type(error).__name__}") from None
    if answer.status_code != httpx.codes.OK:
        raise CheckFailedError(f"{host}: HTTP {answer.status_code}")
    return answer
