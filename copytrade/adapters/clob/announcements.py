"""What the market socket announces beside books, as events for the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copytrade.adapters.clob.wire import BIDS
from copytrade.domain.market_events import MarketListed, MarketResolved, TickSizeChanged

if TYPE_CHECKING:
    from copytrade.adapters.clob.wire import MarketMessage
    from copytrade.domain.market_events import MarketEvent


def announced(message: MarketMessage) -> MarketEvent | None:
    """Return the event in a message, None if it is of a kind that the registry has no use for.

    :raises ValueError: a price in it is none.
    """
    token_ids = tuple(message.assets_ids)
    match message.event_type:
        case "tick_size_change":
            tick_size = BIDS[message.new_tick_size]
            return TickSizeChanged(condition_id=message.market, token_id=message.asset_id, tick_size=tick_size)
        case "new_market":
            return MarketListed(condition_id=message.market, token_ids=token_ids)
        case "market_resolved":
            winner = message.winning_asset_id if message.winning_asset_id in token_ids else None
            return MarketResolved(condition_id=message.market, token_ids=token_ids, winning_token_id=winner)
        case _:
            return None
