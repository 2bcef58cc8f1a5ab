"""The gates of live mode, wired: what is configured, whom to ask, and what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from copytrade.app.ledgers import open_database
from copytrade.app.redacting import process_redaction
from copytrade.domain.ids import LIVE_ACCOUNT_PREFIX
from copytrade.domain.live_gates import KeySource, LiveFacts, Reconciled, Unknown
from copytrade.domain.risk import LimitName
from copytrade.domain.scopes import EVERYTHING
from copytrade.engine.live_start import GateShutError, LiveQuestions, require
from copytrade.engine.risk_limits import LimitBook
from copytrade.settings import BookstoreMode, ConfigurationError, configuration_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from copytrade.app.outside import Outside
    from copytrade.domain.units import Usdc
    from copytrade.domain.venue_orders import Account
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.signer import Signer
    from copytrade.settings import Settings

LIMITS_NEEDED = (LimitName.MAX_OPEN_USDC, LimitName.MAX_USDC_PER_MARKET, LimitName.DAILY_DRAWDOWN_USDC)


async def configured_facts(settings: Settings, ledger: Ledger, clock: Clock) -> LiveFacts:
    """Return what is known without asking anybody outside."""
    last = await ledger.summaries(limit=1)
    reconciled = Reconciled(age_ms=clock.now_ms() - last[0].at_ms, errors=last[0].errors) if last else None
    return LiveFacts(
        leaders={one.address: one.live_allowed for one in await ledger.leaders() if one.enabled},
        allow_list=frozenset(settings.live_leaders),
        caps=await _caps(settings, ledger),
        trigger_mode=settings.trigger_mode,
        reads_chain=settings.trigger_mode.uses_polygon,
        bookstore_mode=settings.bookstore_mode,
        has_snapshots=settings.bookstore_mode is BookstoreMode.WS_SNAPSHOT,
        key_sources=_key_sources(settings),
        accepts_environment_key=settings.live_accept_env_key,
        providers=frozenset(urlsplit(url).hostname or "" for url in settings.polygon_http_url),
        database=await _database_weakness(settings),
        reconciled=reconciled,
        configuration_hash=configuration_hash(settings),
        confirmed_hash=settings.live_confirm,
    )


def require_gates(facts: LiveFacts) -> None:
    """Let pass what every gate is content with.

    :raises ConfigurationError: the first that is not, in one line.
    """
    try:
        require(facts)
    except GateShutError as error:
        raise ConfigurationError(str(error)) from None


async def asked_facts(
    facts: LiveFacts,
    settings: Settings,
    outside: Outside,
    *,
    account: Account,
    signer: Signer,
    ledger: Ledger,
    http: httpx.AsyncClient,
    holds_lock: bool,
) -> LiveFacts:
    """Return the facts with what the venue and the nodes say; needs the caps to be set."""
    from copytrade.adapters.clob.venue_time import ClobTime
    from copytrade.adapters.live.clob_account import ClobAccount
    from copytrade.adapters.live.standing import ClobStanding
    from copytrade.adapters.live.transport import Transport

    clock = outside.clock
    account_id = f"{LIVE_ACCOUNT_PREFIX}{account.wallet}"
    transport = Transport(
        url=settings.clob_http_url, http=http, signer=signer, clock=clock, redaction=process_redaction()
    )
    questions = LiveQuestions(
        standing=ClobStanding(
            clob_url=settings.clob_http_url,
            geoblock_url=settings.geoblock_url,
            http=http,
            transport=transport,
            signature_type=account.signature_type,
            exchanges=(settings.poly_exchange_ctf, settings.poly_exchange_negrisk, settings.poly_exchange_v3),
        ),
        account=ClobAccount(account=account, account_id=account_id, transport=transport, clock=clock),
        venue_time=ClobTime(url=settings.clob_http_url, http=http, clock=clock),
        chains=lambda: _chains(settings, http),
        store=ledger,
        clock=clock,
    )
    asked = await questions.ask(needed=settings.live_max_usdc_per_order or 0, holds_lock=holds_lock)
    return replace(facts, asked=replace(asked, standing=await ledger.standing(account_id)))


async def _caps(settings: Settings, ledger: Ledger) -> Mapping[str, Usdc | None]:
    limits = LimitBook(settings.start_limits(), ledger)
    await limits.refresh()
    return {
        "LIVE_MAX_USDC_PER_ORDER": settings.live_max_usdc_per_order,
        "LIVE_MAX_USDC_PER_DAY": settings.live_max_usdc_per_day,
        **{f"RISK_{name}": limits.now.value(name, EVERYTHING) for name in LIMITS_NEEDED},
    }


def _key_sources(settings: Settings) -> frozenset[KeySource]:
    given = {
        KeySource.KEYSTORE: settings.live_keystore,
        KeySource.SIGNER: settings.live_signer_socket,
        KeySource.ENVIRONMENT: settings.live_private_key,
    }
    return frozenset(source for source, value in given.items() if value is not None)


async def _database_weakness(settings: Settings) -> str:
    from copytrade.adapters.sql.durability import weakness

    async with open_database(settings) as database:
        return await database.write(weakness)


async def _chains(settings: Settings, http: httpx.AsyncClient) -> Mapping[str, int | Unknown]:
    from copytrade.adapters.polygon.node import chain_id_of
    from copytrade.adapters.polygon.rpc import Endpoint, RpcError

    found: dict[str, int | Unknown] = {}
    for number, url in enumerate(settings.polygon_http_url, start=1):
        endpoint = Endpoint(url, http)
        name = f"node {number} ({endpoint.host})"
        try:
            found[name] = await chain_id_of(endpoint)
        except RpcError as error:
            found[name] = Unknown(str(error))
    return found
