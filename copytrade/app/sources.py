"""Where leaders' fills and their other doings are read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.engine.leader_events import LeaderEvents
from copytrade.engine.leader_values import LeaderValues
from copytrade.engine.orphans import Orphans
from copytrade.engine.unmatched import Unmatched

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from copytrade.app.outside import Outside
    from copytrade.app.parts import Parts
    from copytrade.domain.copy_rules import CopyRules
    from copytrade.engine.listeners import Listeners
    from copytrade.engine.mirror import Mirror
    from copytrade.engine.notes import Notes
    from copytrade.engine.roll import LedgerRoll
    from copytrade.ports.clock import Clock
    from copytrade.ports.leader_fills import LeaderFillSource
    from copytrade.ports.leader_transfers import LeaderTransfers
    from copytrade.ports.ledger import Ledger
    from copytrade.settings import Settings

POLYGON_CHAIN_ID: Final = 137


def build_sources(
    settings: Settings, ledger: Ledger, roll: LedgerRoll, outside: Outside
) -> Mapping[str, LeaderFillSource]:
    """Return the sources the trigger mode asks for, by name."""
    from copytrade.adapters.data_api.source import DataApiSource
    from copytrade.adapters.polygon.source import PolygonSource
    from copytrade.adapters.polygon.websocket import open_socket
    from copytrade.adapters.rtds import socket as rtds_socket
    from copytrade.adapters.rtds.source import RtdsSource

    clock = outside.clock
    sources: dict[str, LeaderFillSource] = {}
    if settings.trigger_mode.uses_polygon:
        sources["polygon"] = PolygonSource(
            http_urls=settings.polygon_http_url,
            ws_urls=settings.polygon_ws_url,
            exchanges=(settings.poly_exchange_ctf, settings.poly_exchange_negrisk, settings.poly_exchange_v3),
            exchanges_v1=(settings.poly_exchange_ctf_v1, settings.poly_exchange_negrisk_v1),
            chain_id=POLYGON_CHAIN_ID,
            poll_interval_ms=settings.polygon_poll_interval_ms,
            lag_max_ms=settings.chain_lag_max_ms,
            clock=clock,
            roll=roll,
            cursors=ledger,
            stored=ledger,
            transport=outside.transport,
            connector=outside.connect or open_socket,
        )
    if settings.trigger_mode.uses_data_api:
        sources["data_api"] = DataApiSource(
            url=settings.data_api_http_url,
            poll_interval_ms=settings.data_api_poll_interval_ms,
            clock=clock,
            roll=roll,
            transport=outside.transport,
        )
    if settings.trigger_mode.uses_rtds:
        connector = outside.connect or rtds_socket.open_socket
        sources["rtds"] = RtdsSource(url=settings.rtds_ws_url, clock=clock, roll=roll, connector=connector)
    return sources


def build_leader_events(
    settings: Settings,
    ledger: Ledger,
    clock: Clock,
    http: httpx.AsyncClient,
    *,
    roll: LedgerRoll,
    listeners: Listeners,
    notes: Notes,
    mirror: Mirror,
) -> LeaderEvents:
    """Return the stage that keeps what leaders do besides trading."""
    from copytrade.adapters.data_api.activity import DataApiActivity

    activity = DataApiActivity(url=settings.data_api_http_url, http=http, clock=clock, note=notes.take)
    return LeaderEvents(
        ledger=ledger,
        roll=roll,
        activity=activity,
        notifier=listeners,
        clock=clock,
        interval_ms=settings.data_api_activity_interval_ms,
        policies=settings.leader_event_policies,
        mirror=mirror,
    )


def build_leader_values(
    settings: Settings, clock: Clock, http: httpx.AsyncClient, *, roll: LedgerRoll, rules: CopyRules, notes: Notes
) -> LeaderValues:
    """Return the loop that keeps what leaders sized by bankroll are worth."""
    from copytrade.adapters.data_api.value import DataApiValues

    values = DataApiValues(url=settings.data_api_http_url, http=http, clock=clock)
    return LeaderValues(values=values, roll=roll, rules=rules, clock=clock, note=notes.take)


def build_unmatched(settings: Settings, parts: Parts, http: httpx.AsyncClient) -> Unmatched | None:
    """Return the stage that asks the chain for trades it never showed, None where it is not read."""
    from copytrade.adapters.polygon.transactions import PolygonTransactions

    if not settings.trigger_mode.uses_polygon:
        return None
    return Unmatched(
        ledger=parts.ledger,
        transactions=PolygonTransactions(settings.polygon_http_url, http=http),
        orphans=Orphans(ledger=parts.ledger, portfolio=parts.portfolio, notifier=parts.listeners, clock=parts.clock),
        notes=parts.notes,
        clock=parts.clock,
    )


def build_transfers(
    settings: Settings, ledger: Ledger, roll: LedgerRoll, outside: Outside, *, notes: Notes
) -> LeaderTransfers | None:
    """Return what reads transfers of leaders' shares, None where the chain is not read."""
    from copytrade.adapters.polygon.transfers import PolygonTransfers

    if not settings.trigger_mode.uses_polygon:
        return None
    live = (settings.poly_exchange_ctf, settings.poly_exchange_negrisk, settings.poly_exchange_v3)
    return PolygonTransfers(
        http_urls=settings.polygon_http_url,
        exchanges=(*live, settings.poly_exchange_ctf_v1, settings.poly_exchange_negrisk_v1),
        clock=outside.clock,
        roll=roll,
        cursors=ledger,
        note=notes.take,
        transport=outside.transport,
    )
