"""The part of the audit that folds: positions, cash, and what each order got."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeAlias

from copytrade.domain.booking import DUST
from copytrade.domain.folding import Fold
from copytrade.domain.invariants import Breach, Invariant
from copytrade.domain.settlement import MIGRATIONS, SettlementKind
from copytrade.domain.units import format_micro, notional_down, notional_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from copytrade.domain.units import Shares, Usdc
    from copytrade.ports.audit import EntryRow, Evidence, PositionRow, SettlementRow, Watched

NOT_ITS_FOLD: Final = "a position that is not its fold"
NOT_KEPT: Final = "a position that is not kept"
CASH_DIFFERS: Final = "cash that is not what was moved"
CASH_NOT_KEPT: Final = "an account whose cash is not kept"
Owner: TypeAlias = "tuple[str, str, str]"


class _Executed:
    """What one order got; `order` is any of its rows, which all say the same of it."""

    def __init__(self, order: EntryRow) -> None:
        self.order = order
        self.shares: Shares = 0
        self._spent: Usdc = 0

    def add(self, row: EntryRow) -> None:
        """Count an execution."""
        self.shares += row.shares
        self._spent += row.amount

    def is_too_much(self) -> bool:
        """Tell whether the order cannot have got this.

        The venue may give a real one a little dust more than it asked for. One to buy that only takes is for an amount
        of money, which buys more shares below its limit.
        """
        order = self.order
        if order.is_paper:
            return self.shares > order.target
        if order.takes_only and order.kind == "BUY" and self._spent <= notional_up(order.target, order.limit) + DUST:
            return False
        return self.shares > order.target + DUST


class MoneyAudit:
    """Folds every position anew and compares; cash and merges are summed on the way."""

    def __init__(self, evidence: Evidence, watched: Watched) -> None:
        self._evidence = evidence
        self._watched = watched
        self._moved: dict[tuple[str, str], Usdc] = defaultdict(int)
        self._migrated: dict[tuple[str, str], Usdc] = defaultdict(int)

    def breaches(self) -> Iterator[Breach]:
        """Yield what is wrong with the money."""
        stored = {row[:3]: row for row in self._evidence.positions()}
        entries = self._watched(
            "executions and settlements",
            self._evidence.entries(),
            Invariant.NOT_OVERFILLED,
            Invariant.MONEY,
            Invariant.WITHIN_LIMITS,
        )
        for owner, rows in groupby(entries, key=lambda row: row[:3]):
            fold = Fold()
            yield from self._fold(owner, rows, fold)
            yield from _compare(owner, fold, stored.pop(owner, None))
        for owner, position in stored.items():
            yield from _compare(owner, Fold(), position)
        for account, cost in self._migrated.items():
            if cost:
                yield _breach("renamed shares that lost or gained cost", "|".join(account), usdc=format_micro(cost))
        yield from self._balances()
        yield from self._settlements()

    def _fold(self, owner: Owner, rows: Iterable[EntryRow], fold: Fold) -> Iterator[Breach]:
        filled: dict[str, _Executed] = {}
        account, moved, last = owner[:2], 0, -1
        for row in rows:
            if row.ordinal <= last:
                yield _breach("two entries with one place in their position", row.key, place=row.ordinal)
            last = row.ordinal
            if row.kind in ("BUY", "SELL"):
                yield from _of_its_order(row)
                if row.has_failed:
                    continue
                if row.attempt_id is not None:
                    filled.setdefault(row.attempt_id, _Executed(row)).add(row)
                moved += (-row.amount if row.kind == "BUY" else row.amount) - row.fee
                yield from _execute(row, fold)
            else:
                moved += row.amount
                yield from self._settle(row, fold)
        self._moved[account] += moved
        for attempt_id, executed in filled.items():
            if executed.is_too_much():
                yield Breach(
                    invariant=Invariant.NOT_OVERFILLED,
                    what="more executed than ordered",
                    subject=attempt_id,
                    detail=(
                        ("executed", format_micro(executed.shares)),
                        ("ordered", format_micro(executed.order.target)),
                    ),
                )

    def _settle(self, row: EntryRow, fold: Fold) -> Iterator[Breach]:
        """Fold a settlement, and compare what it says with what follows."""
        before = fold.cost
        if row.kind == SettlementKind.MIGRATION_IN:
            fold.move_in(row.shares, row.cost)
            earned: Usdc | None = 0
            self._migrated[row[:2]] += row.cost
        elif row.kind == SettlementKind.MIGRATION_OUT:
            earned = None if fold.move_out(row.shares) is None else 0
            self._migrated[row[:2]] -= row.cost
        else:
            earned = fold.leave(row.shares, row.amount)
        if earned is None:
            yield _breach("more settled than was held", row.key, shares=format_micro(row.shares))
        elif (abs(before - fold.cost), earned) != (row.cost, row.realized):
            yield _breach(
                "a settlement that says otherwise than follows",
                row.key,
                cost=f"{format_micro(row.cost)}/{format_micro(abs(before - fold.cost))}",
                realized=f"{format_micro(row.realized)}/{format_micro(earned)}",
            )

    def _balances(self) -> Iterator[Breach]:
        for row in self._watched("balances", self._evidence.balances(), Invariant.MONEY):
            expected = row.start_cash + self._moved.pop((row.strategy_id, row.account_id), 0)
            if row.cash != expected:
                yield _breach(
                    CASH_DIFFERS,
                    f"{row.strategy_id}|{row.account_id}",
                    stored=format_micro(row.cash),
                    follows=format_micro(expected),
                )
        for account, moved in self._moved.items():
            if moved:
                yield _breach(CASH_NOT_KEPT, "|".join(account), moved=format_micro(moved))

    def _settlements(self) -> Iterator[Breach]:
        merged: dict[tuple[str, ...], tuple[Shares, Usdc]] = {}
        for row in self._watched("settlements", self._evidence.settlements(), Invariant.MONEY):
            yield from _judge(row)
            if row.kind == SettlementKind.MERGE:
                sets, proceeds = merged.get(row.group, (row.shares, 0))
                merged[row.group] = (max(sets, row.shares), proceeds + row.proceeds)
        for group, (sets, proceeds) in merged.items():
            if sets != proceeds:
                yield _breach(
                    "complete sets that were not merged for a dollar each",
                    "|".join(group),
                    sets=format_micro(sets),
                    brought=format_micro(proceeds),
                )


def _of_its_order(row: EntryRow) -> Iterator[Breach]:
    """Judge an execution by the order it belongs to."""
    if row.attempt_id is None:
        yield _breach("an execution of an attempt that is gone", row.key, of=Invariant.NOTHING_DELETED)
        return
    if not row.fits:
        yield _breach("an execution that no order of ours can have had", row.key, of=Invariant.WRITTEN_BEFORE_SENT)
    if row.placed_at is None:
        yield _breach("an execution of what was never sent", row.key, of=Invariant.WRITTEN_BEFORE_SENT)
    elif row.is_paper and row.at < row.placed_at:
        yield _breach("an execution before its order was placed", row.key, of=Invariant.WRITTEN_BEFORE_SENT)
    if row.is_paper and row.ended_at is not None and row.at > row.ended_at:
        yield _breach("an execution after its order's end: was it placed again?", row.key, of=Invariant.SIGNED_ONCE)
    if row.price > row.limit if row.kind == "BUY" else row.price < row.limit:
        yield _breach(
            "an execution beyond its limit price",
            row.key,
            of=Invariant.WITHIN_LIMITS,
            price=format_micro(row.price),
            limit=format_micro(row.limit),
        )


def _execute(row: EntryRow, fold: Fold) -> Iterator[Breach]:
    """Fold an execution, and compare what it says it moved with what follows."""
    if row.kind == "BUY":
        amount, realized = fold.buy(row.shares, row.price, row.fee), 0
    else:
        sold = fold.sell(row.shares, row.price, row.fee)
        if sold is None:
            yield _breach("more sold than was held", row.key, shares=format_micro(row.shares))
            return
        amount, realized = sold
    if (amount, realized) != (row.amount, row.realized):
        yield _breach(
            "an execution that says otherwise than follows",
            row.key,
            amount=f"{format_micro(row.amount)}/{format_micro(amount)}",
            realized=f"{format_micro(row.realized)}/{format_micro(realized)}",
        )


def _compare(owner: Owner, fold: Fold, stored: PositionRow | None) -> Iterator[Breach]:
    follows = (fold.shares, fold.cost, fold.realized, fold.fees)
    if stored is None:
        yield _breach(NOT_KEPT, "|".join(owner), shares=format_micro(fold.shares))
    elif stored[3:] != follows:
        names = ("shares", "cost", "realized", "fees")
        pairs = zip(names, stored[3:], follows, strict=True)
        differing = {name: f"{format_micro(has)}/{format_micro(must)}" for name, has, must in pairs if has != must}
        yield Breach(
            invariant=Invariant.MONEY,
            what=NOT_ITS_FOLD,
            subject="|".join(owner),
            detail=tuple(differing.items()),
        )


def _judge(row: SettlementRow) -> Iterator[Breach]:
    """Judge a settlement by its parts and by the payout that was recorded."""
    whole = (row.shares, row.proceeds, row.cost, row.realized)
    parts = (row.parts_shares, row.parts_proceeds, row.parts_cost, row.parts_realized)
    if whole != parts:
        yield _breach(
            "a settlement whose parts do not add up",
            row.id,
            whole="/".join(map(format_micro, whole)),
            parts="/".join(map(format_micro, parts)),
        )
    if row.kind in MIGRATIONS or row.kind == SettlementKind.MERGE:
        return
    if row.payout is None:
        yield _breach("a settlement by no recorded resolution", row.id)
    elif row.proceeds != notional_down(row.shares, row.payout):
        yield _breach(
            "a settlement that did not pay its payout",
            row.id,
            paid=format_micro(row.proceeds),
            payout=format_micro(row.payout),
        )


def _breach(what: str, subject: str, *, of: Invariant = Invariant.MONEY, **detail: object) -> Breach:
    return Breach(invariant=of, what=what, subject=subject, detail=tuple(detail.items()))
