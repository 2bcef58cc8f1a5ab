"""No limit is passed at any instant, with what is in flight at its worst: worked out anew from the rows."""

from __future__ import annotations

from collections.abc import Iterator

from copytrade.domain.market import FeeSchedule, Market
from copytrade.domain.risk import Limit, Limits
from copytrade.domain.scopes import EVERYTHING
from copytrade.sandbox.world import World
from copytrade.settings import Settings
from tests.makers import a_market
from tests.reference.stakes import Rows, breaches, stakes_from
from tests.simulation.storage import Kept


def limits_hold(kept: Kept, settings: Settings, world: World) -> Iterator[str]:
    """Yield each limit of the settings that the rows pass."""
    limits = Limits({(name, EVERYTHING): value for name, value in settings.start_limits().items()})
    in_force: list[Limit] = list(limits.all())
    if not in_force:
        return
    fills = {fill_id: stored.recorded.fill for fill_id, stored in kept.fills.items()}
    # A fill that is gone is another rule's to tell.
    leaders = {
        attempt.id: fills[attempt.leader_fill_id].leader if attempt.leader_fill_id in fills else ""
        for attempt in kept.attempts.values()
    }
    rows = Rows(attempts=kept.attempts, leaders=leaders, entries=kept.entries, positions=kept.positions)
    found = stakes_from(rows, lambda token_id: _market(world, token_id))
    yield from (f"limit passed: {breach}" for breach in breaches(found, iter(in_force)))


def _market(world: World, token_id: str) -> Market:
    """Return what limits ask of a market, as the world has it."""
    market = world.exchange.catalogue.by_token_text(token_id)
    if market is None:
        raise LookupError(f"{token_id} is in no market of this world")
    fees = FeeSchedule(rate=market.fees.rate, exponent=1)
    return a_market(condition_id=market.condition, event_slug=market.group.slug, fees=fees)
