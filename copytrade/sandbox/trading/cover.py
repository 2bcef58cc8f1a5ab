"""Whether a wallet can pay for one more order, as the venue computes it."""

from __future__ import annotations

from copytrade.sandbox.digest import checksummed
from copytrade.sandbox.market import Market
from copytrade.sandbox.trading.funds import UNLIMITED, Funds, spenders_of
from copytrade.sandbox.trading.orders import PlacedOrder, PlacedOrders
from copytrade.sandbox.trading.refusal import RefusedError
from copytrade.sandbox.trading.sizing import Prospect, cost_at_limit
from copytrade.sandbox.trading.trades import Settlements

SHORT = "not enough balance / allowance"


class Cover:
    """The gate of every order: balance >= open orders + matched but not settled ones + the order."""

    def __init__(self, *, funds: Funds, orders: PlacedOrders, settlements: Settlements) -> None:
        """Ask the given books."""
        self._funds = funds
        self._orders = orders
        self._settlements = settlements

    def needed(self, order: PlacedOrder, market: Market, prospect: Prospect) -> int:
        """Return what the order takes at most: a buyer's collateral with fees, a seller's shares."""
        if not order.is_buy:
            return order.signed.shares
        return max(cost_at_limit(market, order), prospect.collateral + prospect.fee)

    def check(self, order: PlacedOrder, market: Market, prospect: Prospect) -> None:
        """Raise RefusedError, with the figures, for an order its wallet cannot pay for."""
        amount = self.needed(order, market, prospect)
        token = None if order.is_buy else order.signed.fields.token
        purse = self._funds.seen(order.wallet)
        balance = purse.collateral if token is None else purse.shares[token]
        active = self._orders.reserved_by(order.wallet, token) - order.held_amount
        matched = self._matched(order.wallet, token)
        named = f"order amount (inc. fees): {amount}" if order.is_buy else f"order amount: {amount}"
        if balance < active + matched + amount:
            sums = [f"balance: {balance}"]
            sums += [f"sum of active orders: {active}"] if active else []
            sums += [f"sum of matched orders: {matched}"] if matched else []
            raise RefusedError(f"{SHORT}: the balance is not enough -> {', '.join([*sums, named])}")
        for spender in spenders_of(market) if order.is_buy else (market.exchange,):
            approved = UNLIMITED if spender in purse.operators else 0
            allowance = purse.allowances.get(spender, 0) if order.is_buy else approved
            if allowance < matched + amount:
                raise RefusedError(
                    f"{SHORT}: the allowance is not enough -> spender: {checksummed(spender)}, "
                    f"allowance: {allowance}, sum of matched orders: {matched}, {named}"
                )

    def is_enough(self, order: PlacedOrder, market: Market, prospect: Prospect) -> bool:
        """Say whether the order can still be paid for."""
        try:
            self.check(order, market, prospect)
        except RefusedError:
            return False
        return True

    def _matched(self, wallet: str, token: int | None) -> int:
        phantom = self._funds.phantom.get(wallet, 0) if token is None else 0
        return self._settlements.owed_by(wallet, token) + phantom
