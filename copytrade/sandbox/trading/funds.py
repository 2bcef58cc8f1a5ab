"""What wallets hold on the imitated chain, and what the venue believes of it.

Balances are folded from the `Transfer` and `TransferSingle` logs of mined blocks, and unfolded when
a reorg takes a block away, so they cannot disagree with the chain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from copytrade.sandbox import contracts
from copytrade.sandbox.chain import Block, ChainLog
from copytrade.sandbox.events import BUY
from copytrade.sandbox.market import Market
from copytrade.sandbox.settlement import Fill

UNLIMITED = 2**256 - 1
NEG_RISK_ADAPTER = "0xd91e80cf2e7be2e162c6513ced06f1dd0da35296"
"""Still asked for by the venue of whoever buys in a neg-risk market."""
SPENDERS = (*contracts.EXCHANGES, NEG_RISK_ADAPTER)
LEDGERS = (contracts.CONDITIONAL_TOKENS, contracts.POSITION_MANAGER)


@dataclass(slots=True, kw_only=True)
class Purse:
    """One wallet: collateral and shares by token in micro-units, and whom it lets take them."""

    collateral: int = 0
    shares: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    allowances: dict[str, int] = field(default_factory=dict)
    operators: set[str] = field(default_factory=set)

    def copy(self) -> Purse:
        """Return an independent copy."""
        shares = defaultdict(int, self.shares)
        return Purse(
            collateral=self.collateral,
            shares=shares,
            allowances=dict(self.allowances),
            operators=set(self.operators),
        )

    def approve_all(self) -> None:
        """Let every contract of the venue take what it needs."""
        self.allowances = dict.fromkeys(SPENDERS, UNLIMITED)
        self.operators = set(SPENDERS)


class Funds:
    """Every purse that matters here. A stale one is what the venue remembers of an older state."""

    def __init__(self) -> None:
        """Start with no purse."""
        self._purses: dict[str, Purse] = {}
        self._stale: dict[str, Purse] = {}
        self.phantom: dict[str, int] = {}
        """Collateral the venue takes for matched though no trade holds it, by wallet."""

    def purse(self, wallet: str) -> Purse:
        """Return what the chain says of a wallet; an unknown one holds nothing."""
        return self._purses.get(wallet, Purse())

    def seen(self, wallet: str) -> Purse:
        """Return what the venue believes of a wallet."""
        return self._stale.get(wallet) or self.purse(wallet)

    def put(self, wallet: str, purse: Purse) -> None:
        """Set what a wallet holds; it is followed from now on."""
        self._purses[wallet] = purse

    def hide_changes(self, wallet: str) -> None:
        """Let the venue remember the present state whatever the chain does, until it looks again."""
        self._stale.setdefault(wallet, self.purse(wallet).copy())

    def look_again(self, wallet: str) -> None:
        """Let the venue see the chain's state of a wallet."""
        self._stale.pop(wallet, None)

    def can_give(self, fill: Fill, total: int) -> bool:
        """Say whether the chain lets the owner of a fill's order give `total` of what he gives."""
        if fill.owner not in self._purses:
            return True
        purse = self._purses[fill.owner]
        if fill.side == BUY:
            return purse.collateral >= total and purse.allowances.get(fill.exchange, 0) >= total
        return purse.shares[fill.token] >= total and fill.exchange in purse.operators

    def fold(self, block: Block) -> None:
        """Apply a new block."""
        self._apply(block.logs, sign=1)

    def unfold(self, block: Block) -> None:
        """Take back a removed block."""
        self._apply(block.logs, sign=-1)

    def _apply(self, logs: Iterable[ChainLog], *, sign: int) -> None:
        if not self._purses:
            return
        for log in logs:
            if log.topics[0] == contracts.TRANSFER and log.address == contracts.COLLATERAL:
                self._move_collateral(log, sign)
            elif log.topics[0] == contracts.TRANSFER_SINGLE and log.address in LEDGERS:
                self._move_shares(log, sign)

    def _move_collateral(self, log: ChainLog, sign: int) -> None:
        sender, receiver = _address(log.topics[1]), _address(log.topics[2])
        amount = sign * int(log.data, 16)
        if sender in self._purses:
            purse = self._purses[sender]
            purse.collateral -= amount
            if purse.allowances.get(receiver, UNLIMITED) != UNLIMITED:
                purse.allowances[receiver] -= amount
        if receiver in self._purses:
            self._purses[receiver].collateral += amount

    def _move_shares(self, log: ChainLog, sign: int) -> None:
        sender, receiver = _address(log.topics[2]), _address(log.topics[3])
        token, amount = int(log.data[2:66], 16), sign * int(log.data[66:130], 16)
        if sender in self._purses:
            self._purses[sender].shares[token] -= amount
        if receiver in self._purses:
            self._purses[receiver].shares[token] += amount


def spenders_of(market: Market) -> tuple[str, ...]:
    """Return who must be allowed to take a buyer's collateral in a market."""
    if market.exchange == contracts.EXCHANGE_NEG_RISK:
        return (market.exchange, NEG_RISK_ADAPTER)
    return (market.exchange,)


def _address(topic: str) -> str:
    return "0x" + topic[-40:]
