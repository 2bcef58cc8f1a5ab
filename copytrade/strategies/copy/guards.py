"""What may refuse a fill: one small function for each rule, and the table of them all.

A leader's exit is our way out: only what makes an order impossible or unsafe may stand in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from copytrade.domain.attempts import Reason, reason
from copytrade.domain.book import QuoteTier
from copytrade.domain.fills import LeaderRole, Side
from copytrade.domain.market import is_combo
from copytrade.domain.sizing import most_paid
from copytrade.domain.units import format_micro, notional_down

if TYPE_CHECKING:
    from collections.abc import Callable

    from copytrade.domain.copy_rules import CopyRules
    from copytrade.domain.fills import LeaderFill
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis, Price, Usdc
    from copytrade.strategies.copy.facts import CopyFacts


PRICES_KEPT_MAX: Final = 2_048
"""Prices of which the text is remembered: most are of a cent or a tenth of one."""
MARKET_CODES: Final = ("COMBO", "UNMAPPED", "MARKET_CLOSED", "NO_ORDER_BOOK", "NOT_ACCEPTING_ORDERS")
BOOK_CODES: Final = ("NO_BOOK", "BOOK_STALE", "BOOK_CROSSED")
CATEGORY_CODES: Final = ("CATEGORY_DENIED", "CATEGORY_NOT_ALLOWED")
TICK_SETTINGS: Final = ("SLIPPAGE_BPS_MAX", "SLIPPAGE_TICKS_MAX", "PRICE_MAX")
KEYWORD_CODES: Final = ("KEYWORD_DENIED", "KEYWORD_NOT_ALLOWED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fill with what is known of it, the leader's own rules applied; `limit` is None while the market is."""

    facts: CopyFacts
    rules: CopyRules
    limit: Price | None


Refusals: TypeAlias = "list[Reason]"


class Applies(Enum):
    """What a guard counts for."""

    BOTH = "entries and exits"
    ENTRIES = "entries"


BOTH, ENTRIES = Applies.BOTH, Applies.ENTRIES


@dataclass(frozen=True, slots=True)
class Guard:
    """One rule: what it counts for, what it may say, and the variables that set it."""

    name: str
    applies: Applies
    check: Callable[[Case], Refusals]
    codes: tuple[str, ...]
    settings: tuple[str, ...]


def refusals_of(case: Case) -> Refusals:
    """Return what every guard that counts for the fill says against it, in the order of the table."""
    counting = (guard for guard in GUARDS if guard.applies is BOTH or not case.facts.is_exit)
    return [refusal for guard in counting for refusal in guard.check(case)]


def is_too_old(fill: LeaderFill, *, now_ms: Millis, rules: CopyRules) -> bool:
    """Tell whether a fill's age (by its block's time, for a mirrored event by its detection) is above the limit."""
    return now_ms - fill.aged_from_ms > rules.fill_max_age_ms


@lru_cache(maxsize=PRICES_KEPT_MAX)
def shown(price: Price | None) -> str:
    """Return a price for a reason."""
    return "none" if price is None else format_micro(price)


def _age(case: Case) -> Refusals:
    facts, rules = case.facts, case.rules
    if not is_too_old(facts.fill, now_ms=facts.now_ms, rules=rules):
        return []
    age_ms = facts.now_ms - facts.fill.aged_from_ms
    return [reason("TOO_OLD", age_ms=age_ms, age_ms_max=rules.fill_max_age_ms)]


def _followed(case: Case) -> Refusals:
    return [] if case.facts.leader else [reason("NOT_FOLLOWED", leader=case.facts.fill.leader)]


def _paused(case: Case) -> Refusals:
    leader = case.facts.leader
    return [reason("LEADER_PAUSED", leader=leader.address)] if leader and leader.paused else []


def _exit_only(case: Case) -> Refusals:
    leader = case.facts.leader
    return [reason("LEADER_EXIT_ONLY", leader=leader.address)] if leader and leader.exit_only else []


def _market(case: Case) -> Refusals:
    facts, market = case.facts, case.facts.market
    if is_combo(facts.fill.token_id):
        return [reason("COMBO", token_id=facts.fill.token_id)]
    if market is None:
        return [reason("UNMAPPED", token_id=facts.fill.token_id, waited_ms=facts.unmapped_waited_ms)]
    refused = []
    if market.closed:
        refused.append(reason("MARKET_CLOSED", condition_id=market.condition_id))
    if not market.enable_order_book:
        refused.append(reason("NO_ORDER_BOOK", condition_id=market.condition_id))
    elif not market.accepting_orders:
        refused.append(reason("NOT_ACCEPTING_ORDERS", condition_id=market.condition_id))
    return refused


def _book(case: Case) -> Refusals:
    facts = case.facts
    if facts.market is None or not facts.market.enable_order_book:
        return []
    if facts.view is None:
        return [reason("NO_BOOK", waited_ms=facts.book_waited_ms)]
    refused = []
    if facts.view.tier is QuoteTier.HARD_STALE:
        refused.append(reason("BOOK_STALE", age_ms=facts.view.age_ms))
    book = facts.view.book
    if book.is_crossed:
        refused.append(reason("BOOK_CROSSED", bid=shown(book.best_bid), ask=shown(book.best_ask)))
    return refused


def _maker(case: Case) -> Refusals:
    is_resting = case.facts.fill.role is LeaderRole.MAKER
    return [reason("MAKER_NOT_FOLLOWED", ratio="0")] if is_resting and case.rules.maker_leader_ratio == 0 else []


def _cooldown(case: Case) -> Refusals:
    facts, cooldown_ms = case.facts, case.rules.leader_cooldown_ms
    # Further events of an order that is copied already belong to the entry that began the time.
    if not cooldown_ms or facts.last_entry_ms is None or facts.order.events:
        return []
    since_ms = facts.now_ms - facts.last_entry_ms
    return [reason("LEADER_COOLDOWN", since_ms=since_ms, cooldown_ms=cooldown_ms)] if since_ms < cooldown_ms else []


def _category(case: Case) -> Refusals:
    market, rules = case.facts.market, case.rules
    if market is None:
        return []
    category = market.category.casefold()
    if category in rules.categories_deny:
        return [reason("CATEGORY_DENIED", category=category)]
    if rules.categories_allow and category not in rules.categories_allow:
        return [reason("CATEGORY_NOT_ALLOWED", category=category, allowed=",".join(rules.categories_allow))]
    return []


def _keywords(case: Case) -> Refusals:
    market, rules = case.facts.market, case.rules
    if market is None or not (rules.keywords_allow or rules.keywords_deny):
        return []
    text = _text_of(market)
    denied = next((word for word in rules.keywords_deny if word in text), None)
    if denied is not None:
        return [reason("KEYWORD_DENIED", keyword=denied)]
    if rules.keywords_allow and not any(word in text for word in rules.keywords_allow):
        return [reason("KEYWORD_NOT_ALLOWED", allowed=",".join(rules.keywords_allow))]
    return []


def _text_of(market: Market) -> str:
    return f"{market.title}\n{market.slug}\n{market.event_slug}".casefold()


def _end(case: Case) -> Refusals:
    market, least_ms = case.facts.market, case.rules.min_time_to_end_ms
    if market is None or not least_ms:
        return []
    if market.end_date_ms is None:
        return [reason("ENDS_TOO_SOON", ends_in_ms="unknown", ends_in_ms_min=least_ms)]
    ends_in_ms = market.end_date_ms - case.facts.now_ms
    return [reason("ENDS_TOO_SOON", ends_in_ms=ends_in_ms, ends_in_ms_min=least_ms)] if ends_in_ms < least_ms else []


def _price_band(case: Case) -> Refusals:
    price, lowest, highest = case.facts.fill.price, case.rules.price_min, case.rules.price_max
    if (lowest is None or price >= lowest) and (highest is None or price <= highest):
        return []
    return [reason("PRICE_OUT_OF_BAND", price=shown(price), price_min=shown(lowest), price_max=shown(highest))]


def _tick(case: Case) -> Refusals:
    """Refuse where even the lowest price of the grid is more than the rules let us pay."""
    market, rules, price = case.facts.market, case.rules, case.facts.fill.price
    if market is None or case.limit is None:
        return []
    tick = market.tick_size
    most = most_paid(price, slippage_bps=rules.slippage_bps_max, tick=tick, slippage_ticks=rules.slippage_ticks_max)
    if rules.price_max is not None:
        most = min(most, rules.price_max)
    if case.limit <= most:
        return []
    return [reason("TICK_ABOVE_PRICE", leader_price=shown(price), tick=shown(tick), most=shown(most))]


def _spread(case: Case) -> Refusals:
    view, widest = case.facts.view, case.rules.spread_max
    if view is None or widest is None:
        return []
    bid, ask = view.book.best_bid, view.book.best_ask
    if bid is not None and ask is not None and ask - bid <= widest:
        return []
    spread = None if bid is None or ask is None else ask - bid
    numbers = {"spread": shown(spread), "spread_max": shown(widest), "bid": shown(bid), "ask": shown(ask)}
    return [reason("SPREAD_TOO_WIDE", **numbers)]


def _depth(case: Case) -> Refusals:
    view, least = case.facts.view, case.rules.depth_usdc_min
    if view is None or case.limit is None or least is None:
        return []
    depth = _depth_within(case.facts, case.limit)
    if depth >= least:
        return []
    return [
        reason(
            "DEPTH_TOO_THIN",
            depth_usdc=format_micro(depth),
            depth_usdc_min=format_micro(least),
            limit=shown(case.limit),
        )
    ]


def _depth_within(facts: CopyFacts, limit: Price) -> Usdc:
    """Return what the levels that an order may take at its limit are worth."""
    levels = facts.view.book.opposite(facts.fill.side) if facts.view else ()
    is_buy = facts.fill.side is Side.BUY
    within = (level for level in levels if (level.price <= limit if is_buy else level.price >= limit))
    return sum(notional_down(level.size, level.price) for level in within)


# fmt: off
GUARDS: Final[tuple[Guard, ...]] = (
    # For entries and exits: without these no order can be right.
    Guard("age",        BOTH,    _age,        ("TOO_OLD",),                  ("FILL_MAX_AGE_MS",)),
    Guard("followed",   BOTH,    _followed,   ("NOT_FOLLOWED",),             ()),
    Guard("paused",     BOTH,    _paused,     ("LEADER_PAUSED",),            ()),
    Guard("market",     BOTH,    _market,     MARKET_CODES,                  ("UNMAPPED_WAIT_MS",)),
    Guard("book",       BOTH,    _book,       BOOK_CODES,                    ("BOOK_WAIT_MS", "QUOTE_STALE_MS")),
    # For entries alone: an exit is never held up by them.
    Guard("exit only",  ENTRIES, _exit_only,  ("LEADER_EXIT_ONLY",),         ()),
    Guard("maker",      ENTRIES, _maker,      ("MAKER_NOT_FOLLOWED",),       ("MAKER_LEADER_RATIO",)),
    Guard("cool-down",  ENTRIES, _cooldown,   ("LEADER_COOLDOWN",),          ("LEADER_COOLDOWN_MS",)),
    Guard("category",   ENTRIES, _category,   CATEGORY_CODES,                ("CATEGORIES_ALLOW", "CATEGORIES_DENY")),
    Guard("keywords",   ENTRIES, _keywords,   KEYWORD_CODES,                 ("KEYWORDS_ALLOW", "KEYWORDS_DENY")),
    Guard("end date",   ENTRIES, _end,        ("ENDS_TOO_SOON",),            ("MIN_TIME_TO_END_MS",)),
    Guard("price band", ENTRIES, _price_band, ("PRICE_OUT_OF_BAND",),        ("PRICE_MIN", "PRICE_MAX")),
    Guard("tick",       ENTRIES, _tick,       ("TICK_ABOVE_PRICE",),         TICK_SETTINGS),
    Guard("spread",     ENTRIES, _spread,     ("SPREAD_TOO_WIDE",),          ("SPREAD_MAX",)),
    Guard("depth",      ENTRIES, _depth,      ("DEPTH_TOO_THIN",),           ("DEPTH_USDC_MIN",)),
)
# fmt: on
"""Every guard, in the order of the reasons of a SKIP. All are asked, so that each one that refuses is named.

`PRICE_MAX` also bounds the limit of an entry, and `SLIPPAGE_BPS_MAX` and `SLIPPAGE_TICKS_MAX` set that of every order:
they refuse nothing, because a touch beyond the limit lets the order rest, but where no price of the market's grid is
within them. What may be wrong with the size is in `amounts`.
"""
