"""Whose money a limit is about, and what it is summed by."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from copytrade.domain.market import Market


class Scope(NamedTuple):
    """Whose money: of all together, of one strategy on one account, or of what copies one leader. Empty is any."""

    strategy_id: str = ""
    account_id: str = ""
    leader: str = ""


EVERYTHING: Final = Scope()
SCOPES_KEPT_MAX: Final = 10_000
"""Leaders of which it is remembered in which scopes they count."""


class Subject(StrEnum):
    """What money at stake is summed by."""

    ALL = "all"
    MARKET = "market"
    EVENT = "event"
    CATEGORY = "category"
    LEADER = "leader"
    UNMAPPED = "unmapped"


class Group(NamedTuple):
    """Where a token belongs."""

    market: str
    event: str
    category: str


class Line(NamedTuple):
    """A token that one strategy holds on one account after one leader."""

    strategy_id: str
    account_id: str
    leader: str
    token_id: str

    @property
    def owner(self) -> Scope:
        """The scope of its strategy and account."""
        return self.scopes[1]

    @property
    def scopes(self) -> tuple[Scope, Scope, Scope]:
        """Every scope it counts in."""
        return _scopes_of(self.strategy_id, self.account_id, self.leader)


@lru_cache(maxsize=SCOPES_KEPT_MAX)
def _scopes_of(strategy_id: str, account_id: str, leader: str) -> tuple[Scope, Scope, Scope]:
    """Return the scopes of a line; they are asked for many times in each decision."""
    return (EVERYTHING, Scope(strategy_id, account_id), Scope(leader=leader))


def group_of(market: Market) -> Group:
    """Return where a market's tokens belong."""
    return Group(market.condition_id, market.event_slug, market.category)


def scope_name(scope: Scope) -> str:
    """Return how a scope is called."""
    if scope.leader:
        return f"leader {scope.leader}"
    return "global" if scope == EVERYTHING else f"{scope.strategy_id} on {scope.account_id}"
