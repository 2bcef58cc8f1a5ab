"""What must hold before one real order may be sent: one table of gates over what is known at the start."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from copytrade.domain.ladder import Rung, Standing
from copytrade.domain.units import format_micro

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from copytrade.domain.units import Millis, Usdc

POLYGON: Final = 137
VENUE_VERSION: Final = 2
"""The version of the CLOB whose orders are signed here."""
SKEW_MS_MAX: Final[Millis] = 2_000
"""More, and time limits of orders and the age of fills are wrong."""
PROVIDERS_MIN: Final = 2
RECONCILED_MS_MAX: Final[Millis] = 86_400_000


class LiveGateName(StrEnum):
    """What is looked at."""

    LEADERS = "LEADERS"
    CAPS = "CAPS"
    TRIGGER_MODE = "TRIGGER_MODE"
    BOOKSTORE_MODE = "BOOKSTORE_MODE"
    KEY_SOURCE = "KEY_SOURCE"
    PROVIDERS = "PROVIDERS"
    DATABASE = "DATABASE"
    RECONCILIATION = "RECONCILIATION"
    CONFIRMATION = "CONFIRMATION"
    CHAIN = "CHAIN"
    CLOCK = "CLOCK"
    VERSION = "VERSION"
    GEOBLOCK = "GEOBLOCK"
    BALANCE = "BALANCE"
    ALLOWANCES = "ALLOWANCES"
    ALONE = "ALONE"
    LADDER = "LADDER"


class KeySource(StrEnum):
    """Where a key may come from."""

    KEYSTORE = "LIVE_KEYSTORE"
    SIGNER = "LIVE_SIGNER_SOCKET"
    ENVIRONMENT = "LIVE_PRIVATE_KEY"


@dataclass(frozen=True, slots=True)
class Unknown:
    """Instead of a fact: nobody would say, and why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """The last comparison of the ledger with the chain: how long ago, and how much differed."""

    age_ms: Millis
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What others say: the nodes, the venue, this machine.

    `chains` has the chain of each node by what it is called. `is_blocked_in` is a country, "" where trading is allowed.
    `strangers` are orders of the account at the venue that the ledger does not hold; `standing` is where it is on
    the ladder, None where it was never put on it.
    """

    chains: Mapping[str, int | Unknown]
    skew_ms: Millis | Unknown
    version: int | Unknown
    is_blocked_in: str | Unknown
    balance: Usdc | Unknown
    allowances: Mapping[str, Usdc] | Unknown
    needed: Usdc
    holds_lock: bool
    strangers: tuple[str, ...] | Unknown
    standing: Standing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFacts:
    """What is known at the start; `asked` is None before anybody is asked.

    `leaders` has each followed leader and whether he is `live_allowed`; `caps` every cap that is needed by its
    variable, None where it is not set; `providers` the hosts of distinct nodes; `reconciled` is None before the
    first comparison; `database` says what is wrong with it, "" if nothing is.
    """

    leaders: Mapping[str, bool]
    allow_list: frozenset[str]
    caps: Mapping[str, Usdc | None]
    trigger_mode: str
    reads_chain: bool
    bookstore_mode: str
    has_snapshots: bool
    key_sources: frozenset[KeySource]
    accepts_environment_key: bool
    providers: frozenset[str]
    database: str
    reconciled: Reconciled | None
    configuration_hash: str
    confirmed_hash: str
    asked: Asked | None = None


@dataclass(frozen=True, slots=True)
class LiveGate:
    """One condition: `complaint` says what is wrong and what to do, "" where it holds."""

    name: LiveGateName
    complaint: Callable[[LiveFacts], str]
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why live mode does not start."""

    gate: LiveGateName
    why: str

    @property
    def line(self) -> str:
        """One line for a person."""
        return f"live gate {self.gate}: {self.why}"


def refusals(facts: LiveFacts) -> Iterator[Refusal]:
    """Yield what every gate that is shut says, in the order of the table; before asking, only of what is not asked."""
    for gate in LIVE_GATES:
        if gate.asks and facts.asked is None:
            continue
        if why := gate.complaint(facts):
            yield Refusal(gate.name, why)


def _leaders(facts: LiveFacts) -> str:
    if not facts.leaders:
        return "nobody is followed; copytrade leaders add ADDRESS"
    if not facts.allow_list:
        return "LIVE_LEADERS is not set; it needs the addresses that may be copied with real orders"
    for address, is_allowed in sorted(facts.leaders.items()):
        if address not in facts.allow_list:
            return f"{address} is followed and not in LIVE_LEADERS; add it there, or copytrade leaders remove {address}"
        if not is_allowed:
            return f"{address} may not be copied live; copytrade leaders set {address} --live-allowed"
    return ""


def _caps(facts: LiveFacts) -> str:
    missing = next((name for name, value in facts.caps.items() if value is None), None)
    return "" if missing is None else f"{missing} is not set; real orders need a decimal of USDC there"


def _trigger(facts: LiveFacts) -> str:
    if facts.reads_chain:
        return ""
    return f"TRIGGER_MODE is '{facts.trigger_mode}'; set one that reads the chain: polygon, both, all"


def _books(facts: LiveFacts) -> str:
    return "" if facts.has_snapshots else f"BOOKSTORE_MODE is '{facts.bookstore_mode}'; set ws+snapshot"


def _key(facts: LiveFacts) -> str:
    if not facts.key_sources:
        return "there is no key; set LIVE_KEYSTORE to a keystore v3 file of mode 0600, or LIVE_SIGNER_SOCKET"
    if len(facts.key_sources) > 1:
        return f"{' and '.join(sorted(facts.key_sources))} are all set; keep one of them"
    if KeySource.ENVIRONMENT in facts.key_sources and not facts.accepts_environment_key:
        return (
            "LIVE_PRIVATE_KEY is set, which any program of this user can read; "
            "set LIVE_KEYSTORE instead, or LIVE_ACCEPT_ENV_KEY=true beside it"
        )
    return ""


def _providers(facts: LiveFacts) -> str:
    if len(facts.providers) >= PROVIDERS_MIN:
        return ""
    return (
        f"POLYGON_HTTP_URL names nodes of {len(facts.providers)} provider(s); "
        f"name {PROVIDERS_MIN}, on hosts of their own, so that one verifies the other"
    )


def _database(facts: LiveFacts) -> str:
    return f"{facts.database}; real orders need a DATABASE_URL that keeps what it commits" if facts.database else ""


def _reconciliation(facts: LiveFacts) -> str:
    found = facts.reconciled
    if found is None:
        return "the ledger was never compared with the chain; run copytrade reconcile"
    if found.errors:
        return f"the last comparison found {found.errors} difference(s); run copytrade reconcile --repair"
    if found.age_ms > RECONCILED_MS_MAX:
        return f"the last comparison is {found.age_ms // 3_600_000} hours old; run copytrade reconcile"
    return ""


def _confirmation(facts: LiveFacts) -> str:
    if facts.confirmed_hash == facts.configuration_hash:
        return ""
    said = f"'{facts.confirmed_hash}'" if facts.confirmed_hash else "not set"
    return (
        f"LIVE_CONFIRM is {said}; read over what is configured (copytrade live status) "
        f"and type its hash there: {facts.configuration_hash}"
    )


def _chain(asked: Asked) -> str:
    for host, chain in sorted(asked.chains.items()):
        if isinstance(chain, Unknown):
            return f"{host} does not say which chain it is on ({chain.why}); name another node in POLYGON_HTTP_URL"
        if chain != POLYGON:
            return f"{host} is on chain {chain}; name a node of chain {POLYGON} in POLYGON_HTTP_URL"
    return "" if asked.chains else "no node says which chain it is on; set POLYGON_HTTP_URL"


def _clock(asked: Asked) -> str:
    if isinstance(asked.skew_ms, Unknown):
        return f"the venue does not tell the time ({asked.skew_ms.why}); see CLOB_HTTP_URL"
    if abs(asked.skew_ms) <= SKEW_MS_MAX:
        return ""
    return f"this clock is {asked.skew_ms:+d} ms off the venue's, more than {SKEW_MS_MAX}; set it (NTP)"


def _version(asked: Asked) -> str:
    if isinstance(asked.version, Unknown):
        return f"the venue does not tell its version ({asked.version.why}); see CLOB_HTTP_URL"
    if asked.version == VENUE_VERSION:
        return ""
    return f"the venue speaks version {asked.version}, this program {VENUE_VERSION}; wait for a newer one"


def _geoblock(asked: Asked) -> str:
    if isinstance(asked.is_blocked_in, Unknown):
        return f"the venue does not say whether one may trade from here ({asked.is_blocked_in.why}); see GEOBLOCK_URL"
    if not asked.is_blocked_in:
        return ""
    return f"the venue takes no orders from here ({asked.is_blocked_in}); do not trade from this place"


def _balance(asked: Asked) -> str:
    if isinstance(asked.balance, Unknown):
        return f"the venue does not tell the balance ({asked.balance.why}); see LIVE_WALLET and LIVE_SIGNATURE_TYPE"
    if asked.balance >= asked.needed:
        return ""
    return (
        f"the wallet holds {format_micro(asked.balance)} USDC, less than one order of LIVE_MAX_USDC_PER_ORDER "
        f"({format_micro(asked.needed)}); pay in, or lower that"
    )


def _allowances(asked: Asked) -> str:
    if isinstance(asked.allowances, Unknown):
        return f"the venue does not tell the allowances ({asked.allowances.why}); see LIVE_WALLET"
    for spender, allowed in sorted(asked.allowances.items()):
        if allowed < asked.needed:
            return (
                f"the wallet lets {spender} take {format_micro(allowed)} USDC, less than one order "
                f"({format_micro(asked.needed)}); approve it on the venue's own page: this program never approves"
            )
    return (
        "" if asked.allowances else "no exchange may take the wallet's collateral; approve it on the venue's own page"
    )


def _alone(asked: Asked) -> str:
    if not asked.holds_lock:
        return "another worker on this machine trades this account; stop it first"
    if isinstance(asked.strangers, Unknown):
        return f"the venue does not tell the account's orders ({asked.strangers.why}); see CLOB_HTTP_URL"
    if not asked.strangers:
        return ""
    return (
        f"{len(asked.strangers)} order(s) of this account are not in this database, first {asked.strangers[0]}; "
        "stop who else trades it and cancel them, or use a wallet of its own"
    )


def _ladder(asked: Asked) -> str:
    if asked.standing is None or asked.standing.rung is not Rung.PAPER:
        return ""
    return "the account stands on paper (no order is real there); copytrade live promote"


def _of_asked(complaint: Callable[[Asked], str]) -> Callable[[LiveFacts], str]:
    return lambda facts: "nobody was asked" if facts.asked is None else complaint(facts.asked)


LIVE_GATES: Final = (
    LiveGate(LiveGateName.LEADERS, _leaders),
    LiveGate(LiveGateName.CAPS, _caps),
    LiveGate(LiveGateName.TRIGGER_MODE, _trigger),
    LiveGate(LiveGateName.BOOKSTORE_MODE, _books),
    LiveGate(LiveGateName.KEY_SOURCE, _key),
    LiveGate(LiveGateName.PROVIDERS, _providers),
    LiveGate(LiveGateName.DATABASE, _database),
    LiveGate(LiveGateName.RECONCILIATION, _reconciliation),
    LiveGate(LiveGateName.CONFIRMATION, _confirmation),
    LiveGate(LiveGateName.CHAIN, _of_asked(_chain), asks=True),
    LiveGate(LiveGateName.CLOCK, _of_asked(_clock), asks=True),
    LiveGate(LiveGateName.VERSION, _of_asked(_version), asks=True),
    LiveGate(LiveGateName.GEOBLOCK, _of_asked(_geoblock), asks=True),
    LiveGate(LiveGateName.BALANCE, _of_asked(_balance), asks=True),
    LiveGate(LiveGateName.ALLOWANCES, _of_asked(_allowances), asks=True),
    LiveGate(LiveGateName.ALONE, _of_asked(_alone), asks=True),
    LiveGate(LiveGateName.LADDER, _of_asked(_ladder), asks=True),
)
"""Every gate; the first that is shut is told. The last ones ask others, and are read once the first are open."""
