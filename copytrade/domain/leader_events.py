"""What changes a leader's position without a trade, and what he holds, folded from all that is known of him.

A snapshot says what a wallet held at a time, by an API that is some seconds behind the chain. It cannot be
said of a trade of those seconds whether the API knew it, so a snapshot counts for a token only when nothing
happened to the token around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, assert_never

from copytrade.domain.fills import RecordedFill, Side
from copytrade.domain.units import MICRO, Millis, Shares, Usdc, format_micro

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copytrade.domain.market import Market

SNAPSHOT_LAG_MS: Final = 20_000
"""A listing may lack what happened so shortly before it (median delay 5.4 s, measured 2026-09-25)."""
SNAPSHOT_SPAN_MS: Final = 10_000
"""A listing may hold what happened so shortly after it was asked for; clocks differ by some seconds, too."""
CHAIN_KEY: Final = "log|"
"""How the keys of events begin that were read from logs."""
DUST: Final[Shares] = MICRO // 10
"""Positions below this may be missing from a listing."""
_LAST: Final = 1 << 64
"""After every block and log."""


class LeaderEventKind(StrEnum):
    """What happened; all but SNAPSHOT are named as the Data API names them."""

    SPLIT = "SPLIT"
    MERGE = "MERGE"
    REDEEM = "REDEEM"
    CONVERSION = "CONVERSION"
    MIGRATION = "MIGRATION"
    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    SNAPSHOT = "SNAPSHOT"


class EventPolicy(StrEnum):
    """What is done about an event: we leave in proportion and a person is told, he is only told, or it is only kept."""

    MIRROR = "mirror"
    ALERT = "alert"
    IGNORE = "ignore"


MIRRORED: Final = frozenset(
    {LeaderEventKind.MERGE, LeaderEventKind.REDEEM, LeaderEventKind.CONVERSION, LeaderEventKind.WITHDRAWAL}
)
"""What takes shares away from a leader: it can be mirrored by a sale."""
TRANSFERS: Final = frozenset({LeaderEventKind.DEPOSIT, LeaderEventKind.WITHDRAWAL})
ALERT_CODES: Final = {
    LeaderEventKind.SPLIT: "LEADER_SPLIT",
    LeaderEventKind.MERGE: "LEADER_MERGED",
    LeaderEventKind.REDEEM: "LEADER_REDEEMED",
    LeaderEventKind.CONVERSION: "LEADER_CONVERTED",
    LeaderEventKind.MIGRATION: "LEADER_MIGRATED",
    LeaderEventKind.DEPOSIT: "LEADER_DEPOSITED",
    LeaderEventKind.WITHDRAWAL: "LEADER_WITHDREW",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderEvent:
    """Something other than a trade that a leader's position went through; `dedupe_key` tells equal rows apart.

    `condition_id` is empty and `token_id` None where the venue names none. Snapshots of one listing share
    `event_ts_ms`; the one without a token stands for the listing itself: what it does not name was zero.
    """

    leader: str
    kind: LeaderEventKind
    condition_id: str
    token_id: str | None
    shares: Shares
    usdc: Usdc
    tx_hash: str
    event_ts_ms: Millis
    detected_at_ms: Millis
    dedupe_key: str
    payload: str
    policy: EventPolicy = EventPolicy.ALERT

    @property
    def is_from_chain(self) -> bool:
        """Whether it was read from a log."""
        return self.dedupe_key.startswith(CHAIN_KEY)

    @property
    def is_listing(self) -> bool:
        """Whether this is the snapshot that stands for a whole listing."""
        return self.kind is LeaderEventKind.SNAPSHOT and self.token_id is None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderHolding:
    """What a leader held of a token; `unknown` says why that is not known, and is empty when it is."""

    shares: Shares = 0
    unknown: str = ""

    @property
    def is_known(self) -> bool:
        """Whether `shares` can be relied on."""
        return not self.unknown


NO_SNAPSHOT: Final = LeaderHolding(unknown="no snapshot")


def alerts_of(events: Iterable[LeaderEvent]) -> list[tuple[str, dict[str, object]]]:
    """Return the code and the detail of the note on each event a person is told of."""
    return [
        (
            ALERT_CODES[event.kind],
            {
                "leader": event.leader,
                "condition_id": event.condition_id,
                "token_id": event.token_id,
                "shares": format_micro(event.shares),
                "usdc": format_micro(event.usdc),
                "tx_hash": event.tx_hash,
                "event": event.dedupe_key,
                "policy": event.policy,
            },
        )
        for event in events
        if event.policy is not EventPolicy.IGNORE
    ]


def is_same_transfer(event: LeaderEvent, known: LeaderEvent) -> bool:
    """Tell whether a transfer is one that the other one of chain and API has told."""
    if event.is_from_chain == known.is_from_chain or (event.tx_hash, event.kind) != (known.tx_hash, known.kind):
        return False
    return event.token_id is None or known.token_id in {event.token_id, None}


def snapshots_of(
    leader: str, listed: Iterable[tuple[str, Shares]], *, at_ms: Millis, is_whole: bool
) -> tuple[LeaderEvent, ...]:
    """Return a listing as events: one for each token and, if it `is_whole`, the one for what it does not name."""
    named: list[tuple[str | None, Shares]] = [(None, 0)] if is_whole else []
    return tuple(
        LeaderEvent(
            leader=leader,
            kind=LeaderEventKind.SNAPSHOT,
            condition_id="",
            token_id=token_id,
            shares=shares,
            usdc=0,
            tx_hash="",
            event_ts_ms=at_ms,
            detected_at_ms=at_ms,
            dedupe_key=f"snapshot|{leader}|{at_ms}|{token_id or '*'}",
            payload="{}",
            policy=EventPolicy.IGNORE,
        )
        for token_id, shares in [*named, *listed]
    )


def holding(
    token_id: str,
    market: Market,
    *,
    fills: Iterable[RecordedFill],
    events: Iterable[LeaderEvent],
    before: RecordedFill | None = None,
) -> LeaderHolding:
    """Return what one leader held of a token just before a fill, or after everything.

    Give his fills of the token and his events, of any token, in any order; orphaned fills left out.
    """
    moves: list[_Move] = [fill for fill in fills if fill.fill.token_id == token_id]
    # The stored fill may have got its place on the chain since the caller saw it.
    until = before and next((move for move in moves if isinstance(move, RecordedFill) and move.id == before.id), before)
    moves += [event for event in events if _concerns(event, token_id, market)]
    happened = [_moment(move) for move in moves if not _is_snapshot(move)]
    found = NO_SNAPSHOT
    for move in sorted(moves, key=_order):
        if until is not None and _order(move) >= _order(until):
            break
        found = _after(found, move, happened)
    return found


_Move = RecordedFill | LeaderEvent


def _concerns(event: LeaderEvent, token_id: str, market: Market) -> bool:
    """Tell whether an event may have changed, or tells, what is held of a token.

    A conversion names one condition and gives shares of others of its event; a migration may name none.
    """
    if event.token_id is not None:
        return event.token_id == token_id
    match event.kind:
        case LeaderEventKind.SNAPSHOT:
            return True
        case LeaderEventKind.CONVERSION:
            return market.neg_risk or event.condition_id == market.condition_id
        case LeaderEventKind.MIGRATION:
            return event.condition_id in {"", market.condition_id}
        case _:
            return event.condition_id == market.condition_id


def _is_snapshot(move: _Move) -> bool:
    return isinstance(move, LeaderEvent) and move.kind is LeaderEventKind.SNAPSHOT


def _moment(move: _Move) -> Millis:
    return move.event_ts_ms if isinstance(move, LeaderEvent) else move.fill.fill_ts_ms


def _order(move: _Move) -> tuple[Millis, int, int, int, str]:
    """Order moves by time; within a second what gives shares goes before the trades, what takes them after."""
    if isinstance(move, LeaderEvent):
        return move.event_ts_ms, _phase(move), _LAST, 0, move.dedupe_key
    place = move.fill.place
    block, log = (_LAST, 0) if place is None else (place.block_number, place.log_index)
    return move.fill.fill_ts_ms, 3, block, log, str(move.id)


def _phase(event: LeaderEvent) -> int:
    match event.kind:
        case LeaderEventKind.SNAPSHOT:
            return 0 if event.is_listing else 1
        case LeaderEventKind.SPLIT | LeaderEventKind.DEPOSIT | LeaderEventKind.CONVERSION | LeaderEventKind.MIGRATION:
            return 2
        case LeaderEventKind.MERGE | LeaderEventKind.REDEEM | LeaderEventKind.WITHDRAWAL:
            return 4
        case _:
            assert_never(event.kind)


def _after(held: LeaderHolding, move: _Move, happened: list[Millis]) -> LeaderHolding:
    if isinstance(move, RecordedFill):
        return _moved(held, move.fill.size if move.fill.side is Side.BUY else -move.fill.size)
    match move.kind:
        case LeaderEventKind.SNAPSHOT:
            return _told(held, move, happened)
        case LeaderEventKind.SPLIT:
            return _moved(held, move.shares)
        case LeaderEventKind.MERGE:
            return _moved(held, -move.shares)
        case LeaderEventKind.REDEEM:
            return LeaderHolding(unknown=held.unknown)
        case LeaderEventKind.CONVERSION | LeaderEventKind.MIGRATION:
            return LeaderHolding(unknown=f"{move.kind.lower()} of unknown size")
        case LeaderEventKind.DEPOSIT | LeaderEventKind.WITHDRAWAL:
            if move.token_id is None:
                return LeaderHolding(unknown=f"{move.kind.lower()} of an unknown token")
            return _moved(held, move.shares if move.kind is LeaderEventKind.DEPOSIT else -move.shares)
        case _:
            assert_never(move.kind)


def _told(held: LeaderHolding, snapshot: LeaderEvent, happened: list[Millis]) -> LeaderHolding:
    """Take a snapshot's word if it can be relied on; a whole listing is a new beginning either way."""
    first_ms, last_ms = snapshot.event_ts_ms - SNAPSHOT_LAG_MS, snapshot.event_ts_ms + SNAPSHOT_SPAN_MS
    if not any(first_ms < at_ms <= last_ms for at_ms in happened):
        return LeaderHolding(shares=snapshot.shares)
    return LeaderHolding(unknown="traded around the snapshot") if snapshot.is_listing else held


def _moved(held: LeaderHolding, shares: Shares) -> LeaderHolding:
    if not held.is_known:
        return held
    after = held.shares + shares
    if after < -DUST:
        return LeaderHolding(unknown="gave away more than was known")
    return LeaderHolding(shares=max(0, after))
