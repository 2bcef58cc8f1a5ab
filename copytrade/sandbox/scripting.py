"""Scripted scenarios: exact trades, exact books, markets that open, change and resolve."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from copytrade.sandbox import digest
from copytrade.sandbox.book import Order
from copytrade.sandbox.catalogue import BINARY_MODULE, CENT, FIRST_ID, as_protocol_v2
from copytrade.sandbox.events import BUY, SELL
from copytrade.sandbox.exchange import PendingTransaction
from copytrade.sandbox.http_message import BadRequestError
from copytrade.sandbox.leading import Leader
from copytrade.sandbox.market import NO, YES, EventGroup, Fees, Market
from copytrade.sandbox.matching import MatchKind
from copytrade.sandbox.micro import ONE, parse_micro
from copytrade.sandbox.world import World

SIDES = {"BUY": BUY, "SELL": SELL}
SCRIPTED_ID = FIRST_ID + 20_000
DAY_MS = 86_400_000

Body = dict[str, Any]


class Script:
    """Turns control bodies into orders. Sizes and prices are decimal strings or numbers."""

    def __init__(self, world: World) -> None:
        """Act on the given world."""
        self._world = world
        self._exchange = world.exchange
        self._made = 0

    def post(self, body: Body) -> dict[str, Any]:
        """Trade as a leader (or any `wallet`); several `trades` share one transaction.

        Each has `leader` or `wallet`, `token`, `side`, `size`, `price`, `role` ("taker" or
        "maker"), `match` ("direct" at exactly that price and size, or "book") and, for direct
        ones, `kind` (complementary, mint, merge), `legs` ([size, price] pairs of a taker's
        counterparties) and `order_hash`. `mine` seals a block at once.
        """
        trades = body.get("trades", [body])
        if not isinstance(trades, list) or not trades:
            raise _wrong("trades", "a list of trades")
        pending: PendingTransaction | None = None
        posted: list[dict[str, Any]] = []
        for trade in trades:
            if trade.get("match", "direct") == "book":
                posted.append(self._post_to_book(trade))
                continue
            pending, order_hash = self._post_directly(trade, pending)
            posted.append({"order_hash": order_hash, "tx_hash": pending.tx_hash})
        answer: dict[str, Any] = {"posted": posted, **posted[0]}
        if body.get("mine", False):
            block = self._world.mine()
            answer |= {"block_number": block.number, "block_hash": block.block_hash}
        return answer

    def set_book(self, body: Body) -> dict[str, Any]:
        """Replace a token's book by `bids` and `asks`, each [price, size] pairs."""
        market, outcome = self._token(body)
        sides = {name: _pairs(body, name) for name in ("bids", "asks")}
        if outcome:
            sides = {
                "bids": [(ONE - price, size) for price, size in sides["asks"]],
                "asks": [(ONE - price, size) for price, size in sides["bids"]],
            }
        self._exchange.set_levels(
            market,
            owner=digest.derive_address("scripted maker", market.condition),
            bids=sides["bids"],
            asks=sides["asks"],
        )
        return {"bids": len(sides["bids"]), "asks": len(sides["asks"])}

    def open_market(self, body: Body) -> dict[str, Any]:
        """Create a market; `slug` is enough, the rest has defaults."""
        slug = body.get("slug")
        if not isinstance(slug, str) or not slug:
            raise _wrong("slug", "a name")
        market = self._new_market(slug, body)
        self._exchange.open_market(market)
        tokens = [str(token) for token in market.tokens]
        return {"condition": market.condition, "tokens": tokens, "id": market.market_id}

    def resolve(self, body: Body) -> dict[str, Any]:
        """Resolve the market of `token`: `winner` 0, 1 or null for a draw, or `payouts` of both outcomes.

        `status` "proposed" or "disputed" says so far only that; `announced` false keeps it from the market
        socket; `chain_only` reports the payouts on the chain and changes nothing else.
        """
        market, _ = self._token(body)
        status = body.get("status", "resolved")
        if status in ("proposed", "disputed"):
            self._exchange.await_resolution(market, status)
            return {"condition": market.condition, "status": status}
        winner = body.get("winner", 0)
        if winner not in (0, 1, None):
            raise _wrong("winner", "0, 1 or null")
        payouts = (ONE // 2, ONE // 2) if winner is None else (ONE * (1 - winner), ONE * winner)
        if "payouts" in body:
            payouts = _payouts(body["payouts"])
        if body.get("chain_only", False) is True:
            self._exchange.report_payouts(market, payouts)
        else:
            self._exchange.resolve_market(market, payouts, announced=body.get("announced", True) is True)
        return {"condition": market.condition, "winner": winner, "payouts": list(payouts)}

    def change_tick(self, body: Body) -> dict[str, Any]:
        """Give the market of `token` another `tick`."""
        market, _ = self._token(body)
        self._exchange.change_tick(market, _amount(body, "tick"))
        return {"condition": market.condition}

    def _post_to_book(self, body: Body) -> dict[str, Any]:
        market, _ = self._token(body)
        order = self._order(body)
        result = self._exchange.submit(market, order, rest=body.get("role") == "maker")
        return {"order_hash": order.order_hash, "filled": str(order.size - result.unfilled)}

    def _post_directly(self, body: Body, pending: PendingTransaction | None) -> tuple[PendingTransaction, str]:
        market, _ = self._token(body)
        order = self._order(body)
        try:
            kind = MatchKind(str(body.get("kind", MatchKind.COMPLEMENTARY)))
        except ValueError as error:
            raise _wrong("kind", f"one of {list(MatchKind)}") from error
        if body.get("role", "taker") == "maker":
            taker = self._counterparty(order, kind, size=order.size, price=order.price)
            makers = [order]
        else:
            taker = order
            legs = _pairs(body, "legs") or [(order.size, order.price)]
            makers = [self._counterparty(order, kind, size=size, price=price) for size, price in legs]
            taker = replace(taker, size=sum(maker.size for maker in makers))
        used = self._exchange.match_directly(market, taker, makers, pending=pending)
        return used, order.order_hash

    def _counterparty(self, order: Order, kind: MatchKind, *, size: int, price: int) -> Order:
        same = kind is MatchKind.COMPLEMENTARY
        if not same and (kind is MatchKind.MINT) != (order.side == BUY):
            raise _wrong("kind", "mint pairs two BUYs, merge two SELLs")
        self._made += 1
        return self._exchange.new_order(
            owner=digest.derive_address("counterparty", self._made),
            outcome=order.outcome if same else 1 - order.outcome,
            side=1 - order.side if same else order.side,
            price=price if same else ONE - price,
            size=size,
        )

    def _order(self, body: Body) -> Order:
        _, outcome = self._token(body)
        side = body.get("side")
        if side not in SIDES:
            raise _wrong("side", "BUY or SELL")
        order = self._exchange.new_order(
            owner=self._owner(body),
            outcome=outcome,
            side=SIDES[side],
            price=_price(body),
            size=_amount(body, "size"),
        )
        given = body.get("order_hash")
        return replace(order, order_hash=str(given).lower()) if given else order

    def _owner(self, body: Body) -> str:
        if "wallet" in body:
            return str(body["wallet"]).lower()
        name = str(body.get("leader", "")).lower()
        for leader in self._world.leaders:
            if name in (leader.address, leader.label):
                return leader.address
        if not name.startswith("0x") or len(name) != len("0x") + 40:
            raise _wrong("leader", "a label or an address")
        self._world.leaders.append(Leader(address=name, label=f"scripted-{name[:8]}", habit="scripted", shares=0))
        return name

    def _token(self, body: Body) -> tuple[Market, int]:
        market = self._exchange.catalogue.by_token_text(str(body.get("token", "")))
        if market is None:
            raise _wrong("token", "a token of this world, see GET /control/markets")
        return market, market.outcome_of(int(str(body["token"])))

    def _new_market(self, slug: str, body: Body) -> Market:
        self._made += 1
        now_ms = self._world.now_ms
        seed = self._world.config.seed
        group = EventGroup(
            event_id=str(SCRIPTED_ID + self._made),
            slug=str(body.get("event_slug", slug)),
            title=slug,
            tags=(("Scripted", "scripted"),),
            neg_risk=body.get("neg_risk", False) is True,
        )
        market = Market(
            market_id=str(SCRIPTED_ID + self._made),
            condition=digest.derive_hash("condition", seed, slug, now_ms),
            question=slug,
            slug=slug,
            group=group,
            outcomes=("Yes", "No"),
            tokens=(
                digest.derive_token(seed, slug, now_ms, 0),
                digest.derive_token(seed, slug, now_ms, 1),
            ),
            tick=_amount(body, "tick") if "tick" in body else CENT,
            fees=Fees(
                kind=str(body.get("fee_type", "general_fees")),
                rate=_amount(body, "fee_rate") if "fee_rate" in body else 0,
            ),
            created_ms=now_ms,
            end_ms=now_ms + DAY_MS,
            enable_order_book=body.get("enable_order_book", True) is True,
            taker_delay=body.get("itode", False) is True,
            seconds_delay=int(body.get("seconds_delay", 0)),
        )
        v2 = body.get("version") == "v2"
        return as_protocol_v2(market, module=BINARY_MODULE) if v2 else market


def _price(body: Body) -> int:
    price = _amount(body, "price")
    if not 0 < price < ONE:
        raise _wrong("price", "between 0 and 1")
    return price


def _amount(body: Body, name: str) -> int:
    return _micro(body.get(name), name)


def _micro(value: object, name: str) -> int:
    try:
        micro = parse_micro(str(value))
    except ValueError as error:
        raise _wrong(name, "a decimal with at most six places") from error
    if micro <= 0:
        raise _wrong(name, "a positive number")
    return micro


def _payouts(given: object) -> tuple[int, int]:
    if not isinstance(given, list) or len(given) != len((YES, NO)):
        raise _wrong("payouts", "a decimal for each outcome")
    try:
        first, second = (parse_micro(str(payout)) for payout in given)
    except ValueError as error:
        raise _wrong("payouts", "decimals with at most six places") from error
    if min(first, second) < 0 or first + second > ONE:
        raise _wrong("payouts", "at most a dollar together")
    return first, second


def _pairs(body: Body, name: str) -> list[tuple[int, int]]:
    rows = body.get(name, [])
    pair = 2
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == pair for row in rows):
        raise _wrong(name, "pairs of decimals")
    return [(_micro(first, name), _micro(second, name)) for first, second in rows]


def _wrong(name: str, expected: str) -> BadRequestError:
    return BadRequestError({"error": f"{name}: {expected}"})
