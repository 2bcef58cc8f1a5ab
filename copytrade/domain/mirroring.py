"""A leader's exit that is no sale, as the sale it would have been: what is mirrored of it, and by which setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.domain.fills import LeaderFill, LeaderRole, Side, Sighting, Source
from copytrade.domain.leader_events import MIRRORED, EventPolicy, LeaderEvent, LeaderEventKind
from copytrade.domain.units import notional_down

if TYPE_CHECKING:
    from copytrade.domain.market import Market
    from copytrade.domain.units import Price, Shares

NO_OUTCOME: Final = 1
"""A neg-risk conversion gives away the No shares of the condition it names."""
KINDS: Final = tuple(kind for kind in LeaderEventKind if kind is not LeaderEventKind.SNAPSHOT)
ACCEPTED: Final = (
    f"comma-separated KIND=POLICY: KIND {', '.join(KINDS)}; "
    f"POLICY alert, ignore or, for {', '.join(kind for kind in KINDS if kind in MIRRORED)}, mirror"
)


def parse_policies(text: str) -> dict[LeaderEventKind, EventPolicy]:
    """Return the policy of every kind from a text such as "MERGE=mirror,REDEEM=ignore"; alert where none is named.

    :raises ValueError: not that, or a kind that cannot be mirrored.
    """
    policies: dict[LeaderEventKind, EventPolicy] = dict.fromkeys(KINDS, EventPolicy.ALERT)
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, _, written = pair.partition("=")
        kind, policy = LeaderEventKind(name.strip().upper()), EventPolicy(written.strip().lower())
        if kind not in policies or (policy is EventPolicy.MIRROR and kind not in MIRRORED):
            raise ValueError(f"{pair} is not among {ACCEPTED}")
        policies[kind] = policy
    return policies


def shares_taken(event: LeaderEvent, token_id: str, market: Market) -> Shares:
    """Return how many shares of a token an event took from the leader, 0 where that is none or not known."""
    if event.kind not in MIRRORED:
        return 0
    if event.token_id is not None:
        return event.shares if event.token_id == token_id else 0
    if event.condition_id != market.condition_id or event.kind is LeaderEventKind.WITHDRAWAL:
        return 0
    if event.kind is LeaderEventKind.CONVERSION:
        index = next(token.outcome_index for token in market.tokens if token.token_id == token_id)
        return event.shares if index == NO_OUTCOME else 0
    return event.shares


def as_sale(event: LeaderEvent, token_id: str, shares: Shares, *, bid: Price) -> Sighting:
    """Return the report of a sale of these shares at the best bid, in the place of the event."""
    fill = LeaderFill(
        leader=event.leader,
        source=Source.LEADER_EVENT,
        tx_hash=event.tx_hash,
        token_id=token_id,
        side=Side.SELL,
        role=LeaderRole.UNKNOWN,
        price=bid,
        size=shares,
        usdc=notional_down(shares, bid),
        fee=None,
        fill_ts_ms=event.event_ts_ms,
        detected_at_ms=event.detected_at_ms,
        place=None,
    )
    return Sighting(fill=fill, source_key=f"{event.dedupe_key}|{token_id}", payload=event.payload)
