"""Real orders, wired; imported only in live mode."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from copytrade.adapters.live.caps import Caps
from copytrade.adapters.live.clob_account import ClobAccount
from copytrade.adapters.live.executor import ClobExecutor
from copytrade.adapters.live.following import Following
from copytrade.adapters.live.heartbeat import Heartbeat
from copytrade.adapters.live.keys import harden_process, signer_from_keystore, signer_from_text
from copytrade.adapters.live.lock import account_lock
from copytrade.adapters.live.posting import Posting
from copytrade.adapters.live.remote_signer import signer_at
from copytrade.adapters.live.signer import BadKeyError, LocalSigner
from copytrade.adapters.live.transport import Transport
from copytrade.adapters.live.user_stream import UserStream, connect_to_user
from copytrade.app.live_start import asked_facts, configured_facts, require_gates
from copytrade.app.redacting import process_redaction
from copytrade.domain.halts import BY_COMPARISON, HaltLevel
from copytrade.domain.ids import LIVE_ACCOUNT_PREFIX
from copytrade.domain.live_gates import LiveGateName, Refusal, Unknown, refusals
from copytrade.domain.venue_orders import Account, Exchanges, SignatureType
from copytrade.engine.comparison import Comparison
from copytrade.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    import httpx

    from copytrade.app.outside import Outside
    from copytrade.domain.live_gates import LiveFacts
    from copytrade.domain.units import Usdc
    from copytrade.engine.halt import Halts
    from copytrade.engine.notes import Notes
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.markets import MarketRegistry
    from copytrade.ports.order_logs import OrderLogs
    from copytrade.ports.signer import Signer
    from copytrade.settings import Settings


async def open_signer(settings: Settings) -> Signer:
    """Take the key from where the settings say, and close this process to others.

    :raises ConfigurationError: there is no key to be had there; the text names the gate.
    """
    try:
        harden_process()
        if settings.live_signer_socket is not None:
            return await signer_at(settings.live_signer_socket)
        return await open_own_key(settings)
    except (BadKeyError, ConfigurationError) as error:
        raise ConfigurationError(Refusal(LiveGateName.KEY_SOURCE, str(error)).line) from None


async def open_own_key(settings: Settings) -> LocalSigner:
    """Take the key into this process.

    :raises ConfigurationError: there is none.
    """
    try:
        if settings.live_keystore is not None:
            return await signer_from_keystore(
                settings.live_keystore, passphrase_fd=settings.live_passphrase_fd, learn=process_redaction().learn
            )
        if settings.live_private_key is not None:
            return signer_from_text(
                settings.live_private_key, variable="LIVE_PRIVATE_KEY", learn=process_redaction().learn
            )
    except BadKeyError as error:
        raise ConfigurationError(str(error)) from None
    raise ConfigurationError("there is no key; set LIVE_KEYSTORE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """What signs real orders, what the chain says of them, and what the wallet holds: None while that may be moving."""

    signer: Signer
    logs: OrderLogs
    wallet: Usdc | None


@asynccontextmanager
async def open_signing(
    settings: Settings, outside: Outside, *, ledger: Ledger, http: httpx.AsyncClient
) -> AsyncIterator[Signing]:
    """Pass every gate, and open what real orders need beyond the venue. The account is locked while it is open.

    :raises ConfigurationError: a gate is shut, or there is no key.
    """
    facts = await configured_facts(settings, ledger, outside.clock)
    require_gates(facts)
    signer = await open_signer(settings)
    account = _account(settings, signer)
    with account_lock(live_account_id(account)) as is_ours:
        asked = await asked_facts(
            facts, settings, outside, account=account, signer=signer, ledger=ledger, http=http, holds_lock=is_ours
        )
        require_gates(asked)
        async with _open_logs(settings, outside) as logs:
            yield Signing(signer=signer, logs=logs, wallet=await _still_balance(asked, account, ledger))


async def look_at_gates(settings: Settings, outside: Outside, *, ledger: Ledger, http: httpx.AsyncClient) -> LiveFacts:
    """Return what the gates judge; the venue is asked once there are a key and caps, whatever else is shut.

    :raises ConfigurationError: the key cannot be had.
    """
    facts = await configured_facts(settings, ledger, outside.clock)
    if {LiveGateName.KEY_SOURCE, LiveGateName.CAPS} & {refused.gate for refused in refusals(facts)}:
        return facts
    signer = await open_signer(settings)
    account = _account(settings, signer)
    with account_lock(live_account_id(account)) as is_ours:
        return await asked_facts(
            facts, settings, outside, account=account, signer=signer, ledger=ledger, http=http, holds_lock=is_ours
        )


async def _still_balance(facts: LiveFacts, account: Account, ledger: Ledger) -> Usdc | None:
    """Return what the wallet holds, None while orders or trades of it are under way, which may or may not be in it."""
    account_id = live_account_id(account)
    moving = {one.account_id for one in await ledger.unsettled_executions()}
    moving |= {one.account_id for one in await ledger.open_attempts()}
    if facts.asked is None or account_id in moving:
        return None
    return None if isinstance(facts.asked.balance, Unknown) else facts.asked.balance


@asynccontextmanager
async def _open_logs(settings: Settings, outside: Outside) -> AsyncIterator[OrderLogs]:
    from copytrade.adapters.polygon.order_logs import open_order_logs

    exchanges = (settings.poly_exchange_ctf, settings.poly_exchange_negrisk, settings.poly_exchange_v3)
    async with open_order_logs(
        settings.polygon_http_url, exchanges=exchanges, clock=outside.clock, transport=outside.transport
    ) as logs:
        yield logs


def live_account_id(account: Account) -> str:
    """Return the name of an account on attempts, executions and positions."""
    return account_of_wallet(account.wallet)


def account_of_wallet(wallet: str) -> str:
    """Return the same of an address."""
    return f"{LIVE_ACCOUNT_PREFIX}{wallet}"


def build_live_executor(
    settings: Settings,
    outside: Outside,
    *,
    signing: Signing,
    ledger: Ledger,
    registry: MarketRegistry,
    http: httpx.AsyncClient,
    notes: Notes,
) -> ClobExecutor:
    """Return the account at the venue.

    :raises ConfigurationError: the wallet is not the key's own, though the signature type says so.
    """
    signer = signing.signer
    account = _account(settings, signer)
    clock = outside.clock
    transport = Transport(
        url=settings.clob_http_url, http=http, signer=signer, clock=clock, redaction=process_redaction()
    )
    clob = ClobAccount(account=account, account_id=live_account_id(account), transport=transport, clock=clock)
    posting = Posting(clob=clob, clock=clock, note=notes.take)
    following = Following(
        clob=clob,
        posting=posting,
        store=ledger,
        market_of=registry.market_of,
        clock=clock,
        note=notes.take,
        logs=signing.logs,
    )
    stream = UserStream(
        url=settings.clob_user_ws_url,
        transport=transport,
        clock=clock,
        open_connection=outside.connect or connect_to_user,
        heal=following.heal,
        on_news=following.hear,
        note=notes.take,
    )
    return ClobExecutor(
        clob=clob,
        posting=posting,
        following=following,
        stream=stream,
        signer=signer,
        exchanges=Exchanges(
            ctf=settings.poly_exchange_ctf, neg_risk=settings.poly_exchange_negrisk, v3=settings.poly_exchange_v3
        ),
        order_type=settings.order_type,
        market_of=registry.market_of,
        clock=clock,
        caps=_caps(settings, clob, ledger=ledger, clock=clock),
        cancels_on_stop=settings.live_cancel_on_stop,
    )


def compared(
    executor: ExecutionAdapter, halts: Halts, *, ledger: Ledger, notes: Notes, clock: Clock
) -> Comparison | None:
    """Return what compares a real account with the ledger, and halts everything when they differ."""
    if not isinstance(executor, ClobExecutor):
        return None

    async def halt(why: str) -> None:
        await halts.halt(BY_COMPARISON, level=HaltLevel.ALL, why=why)

    logs, wallet = executor.following.logs, executor.clob.account.wallet
    own_logs = None if logs is None else partial(logs.logs_of_wallet, wallet)
    return Comparison(ledger=ledger, venue=executor.clob, notes=notes, clock=clock, halt=halt, own_logs=own_logs)


def heartbeat(
    settings: Settings, executor: ExecutionAdapter, *, notes: Notes, clock: Clock
) -> Mapping[str, Callable[[], Coroutine[None, None, None]]]:
    """Return what keeps the venue's dead-man switch from closing, nothing where it is not wanted."""
    if not settings.live_heartbeat or not isinstance(executor, ClobExecutor):
        return {}
    return {"heartbeat": Heartbeat(clob=executor.clob, clock=clock, note=notes.take).run}


def _caps(settings: Settings, clob: ClobAccount, *, ledger: Ledger, clock: Clock) -> Caps:
    per_order, per_day = settings.live_max_usdc_per_order, settings.live_max_usdc_per_day
    if per_order is None or per_day is None:
        raise ConfigurationError("LIVE_MAX_USDC_PER_ORDER and LIVE_MAX_USDC_PER_DAY are needed for real orders")
    return Caps(account_id=clob.account_id, per_order=per_order, per_day=per_day, store=ledger, clock=clock)


def _account(settings: Settings, signer: Signer) -> Account:
    kind = settings.live_signature_type
    wallet = settings.live_wallet or signer.address
    if kind is SignatureType.EOA and wallet != signer.address:
        raise ConfigurationError(
            f"LIVE_WALLET is {wallet}; accepted with LIVE_SIGNATURE_TYPE=0: the key's own address, {signer.address}"
        )
    return Account(wallet=wallet, owner=signer.address, signature_type=kind)
