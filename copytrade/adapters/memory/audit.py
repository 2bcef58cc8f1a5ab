"""The ledger in memory as evidence."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from copytrade.domain.attempts import OPEN_STATUSES, ExecutionFill, ExecutionMode, Settlement
from copytrade.domain.happenings import ROWS_COUNTED
from copytrade.domain.leaders import is_copied
from copytrade.domain.positions import Position, apply_fill, apply_settlement, cash_flow
from copytrade.domain.settlement import PositionSettlement
from copytrade.ports.audit import (
    AttemptRow,
    BalanceRow,
    CountedRow,
    CursorRow,
    DanglingRow,
    EntryRow,
    Evidence,
    PositionRow,
    RangeRow,
    RepeatedRow,
    SettlementRow,
    UnconfirmedRow,
    WaitingRow,
)
from copytrade.ports.leader_fills import CursorScope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from copytrade.adapters.memory.ledger import MemoryLedger
    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.units import Millis, Price


class MemoryEvidence(Evidence):
    """What a ledger in memory holds now; it must not change while a stream is read.

    It has no times at which rows were stored: those at which they were detected stand in for them, and
    counts are of all there is.
    """

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    def attempts(self) -> Iterator[AttemptRow]:
        for attempt in self._ledger.every_attempt():
            yield AttemptRow(
                id=str(attempt.id),
                leader_fill_id=str(attempt.leader_fill_id),
                has_fill=attempt.leader_fill_id in self._ledger.stored,
                decision=attempt.decision,
                status=attempt.status,
                order_hash=attempt.order_hash,
                book_age_ms=_book_age_ms(attempt),
                decided_at=attempt.decided_at_ms,
                placed_at=attempt.placed_at_ms,
                first_fill_at=attempt.first_fill_at_ms,
            )

    def repeated(self) -> Iterator[RepeatedRow]:
        attempts = self._ledger.every_attempt()
        subjects = Counter((one.leader_fill_id, one.strategy_id, one.account_id) for one in attempts)
        hashes = Counter(one.order_hash for one in attempts if one.order_hash is not None)
        trades = Counter(f"{one.account_id}|{one.venue_trade_id}" for one in self._ledger.executions)
        yield from (RepeatedRow("attempt", str(fill), n) for (fill, *_), n in subjects.items() if n > 1)
        yield from (RepeatedRow("order_hash", key, n) for key, n in hashes.items() if n > 1)
        yield from (RepeatedRow("trade", key, n) for key, n in trades.items() if n > 1)

    def entries(self) -> Iterator[EntryRow]:
        for owner, entries in sorted(self._ledger.every_entry().items()):
            position = Position(strategy_id=owner[0], account_id=owner[1], token_id=owner[2])
            for ordinal, entry in enumerate(entries):
                if isinstance(entry, PositionSettlement):
                    position = apply_settlement(position, entry)
                    yield _settled(entry, ordinal)
                else:
                    after = apply_fill(position, entry)
                    yield self._executed(entry, ordinal, after.realized_pnl_usdc - position.realized_pnl_usdc)
                    position = after

    def positions(self) -> Iterator[PositionRow]:
        for owner, held in sorted(self._ledger.every_position().items()):
            yield PositionRow(*owner, held.shares, held.cost_usdc, held.realized_pnl_usdc, held.fees_usdc)

    def balances(self) -> Iterator[BalanceRow]:
        for held in self._ledger.every_balance():
            yield BalanceRow(held.strategy_id, held.account_id, held.start_cash_usdc, held.cash_usdc)

    def settlements(self) -> Iterator[SettlementRow]:
        for owner, entries in self._ledger.every_entry().items():
            for ordinal, entry in enumerate(entries):
                if isinstance(entry, PositionSettlement):
                    yield SettlementRow(
                        "|".join((*owner, str(ordinal))),
                        (entry.strategy_id, entry.account_id, entry.condition_id, str(entry.at_ms)),
                        entry.kind,
                        entry.shares,
                        entry.proceeds_usdc,
                        entry.cost_usdc,
                        entry.realized_pnl_usdc,
                        sum(part.shares for part in entry.parts),
                        sum(part.proceeds_usdc for part in entry.parts),
                        sum(part.cost_usdc for part in entry.parts),
                        sum(part.realized_pnl_usdc for part in entry.parts) if entry.is_closing else 0,
                        self._payout(entry),
                    )

    def waiting(self) -> Iterator[WaitingRow]:
        decided = {attempt.leader_fill_id for attempt in self._ledger.every_attempt()}
        leaders = {leader.address: leader for leader in self._ledger.every_leader()}
        for fill_id, stored in self._ledger.stored.items():
            fill = stored.recorded.fill
            is_due = fill_id not in decided and stored.orphaned_at_ms is None
            if is_due and is_copied(leaders[fill.leader], fill.fill_ts_ms):
                is_confirmed = stored.confirmed_at_ms is not None
                yield WaitingRow(str(fill_id), fill.tx_hash, is_confirmed, True, fill.detected_at_ms)

    def cursors(self) -> Iterator[CursorRow]:
        for scope, cursor in self._ledger.every_cursor().items():
            yield CursorRow(
                scope.exchange_address, scope.leader_address, cursor.last_processed_block, cursor.proved_block
            )

    def ranges(self) -> Iterator[RangeRow]:
        at_ms = self._ledger.proved_at_ms
        for one in sorted(self._ledger.proved, key=lambda one: one.from_block):
            yield RangeRow(one.scope.exchange_address, one.scope.leader_address, one.from_block, one.to_block, at_ms)

    def unconfirmed(self) -> Iterator[UnconfirmedRow]:
        cursor = self._ledger.every_cursor().get(CursorScope())
        proved = -1 if cursor is None or cursor.proved_block is None else cursor.proved_block
        for fill_id, stored in self._ledger.stored.items():
            fill = stored.recorded.fill
            is_open = stored.confirmed_at_ms is None and stored.orphaned_at_ms is None
            if is_open and fill.place is not None and fill.place.block_number <= proved:
                yield UnconfirmedRow(str(fill_id), fill.tx_hash, fill.place.block_number, fill.detected_at_ms)

    def dangling(self) -> Iterator[DanglingRow]:
        for fill_id, stored in self._ledger.stored.items():
            if not stored.reports:
                yield DanglingRow("a fill without any report", str(fill_id))
        for report, stored in self._ledger.every_report().items():
            if stored.recorded.id not in self._ledger.stored:
                yield DanglingRow("a report whose fill is gone", "|".join(report))

    def counted(self) -> Iterator[CountedRow]:
        newest = next((one for one in reversed(self._ledger.events) if one.code == ROWS_COUNTED), None)
        if newest is not None:
            for table in self.count(0):
                yield CountedRow(table, int(str(newest.detail["until_ms"])), int(str(newest.detail[table])))

    def count(self, until_ms: Millis) -> Mapping[str, int]:
        return self._ledger.rows_now()

    def _executed(self, fill: ExecutionFill, ordinal: int, realized: int) -> EntryRow:
        attempt = self._ledger.find_attempt(fill.attempt_id)
        facts = (fill.strategy_id, fill.account_id, fill.token_id, fill.side)
        return EntryRow(
            strategy_id=fill.strategy_id,
            account_id=fill.account_id,
            token_id=fill.token_id,
            ordinal=ordinal,
            key=fill.venue_trade_id,
            kind=fill.side,
            shares=fill.shares,
            price=fill.price,
            fee=fill.fee_usdc,
            amount=abs(cash_flow(fill) + fill.fee_usdc),
            realized=realized,
            cost=0,
            has_failed=fill.settlement is Settlement.FAILED,
            at=fill.fill_at_ms,
            attempt_id=None if attempt is None else str(attempt.id),
            fits=attempt is not None and facts == _facts(attempt),
            target=0 if attempt is None else attempt.size_shares_target,
            limit=0 if attempt is None else attempt.limit_price,
            is_paper=attempt is not None and attempt.mode is ExecutionMode.PAPER,
            placed_at=None if attempt is None else attempt.placed_at_ms,
            ended_at=None if attempt is None or attempt.status in OPEN_STATUSES else attempt.done_at_ms,
            takes_only=attempt is not None and attempt.order_type is not None and not attempt.order_type.may_rest,
        )

    def _payout(self, settled: PositionSettlement) -> Price | None:
        resolution, market = self._ledger.resolution_of(settled.condition_id)
        if resolution is None or market is None:
            return None
        paid = zip(market.tokens, resolution.payouts, strict=False)
        return next((payout for token, payout in paid if token.token_id == settled.token_id), None)


def _facts(attempt: ExecutionAttempt) -> tuple[str, str, str, str]:
    return attempt.strategy_id, attempt.account_id, attempt.token_id, attempt.side


def _settled(settled: PositionSettlement, ordinal: int) -> EntryRow:
    return EntryRow(
        strategy_id=settled.strategy_id,
        account_id=settled.account_id,
        token_id=settled.token_id,
        ordinal=ordinal,
        key=f"{settled.kind} of {settled.token_id}",
        kind=settled.kind,
        shares=settled.shares,
        price=0,
        fee=0,
        amount=settled.proceeds_usdc,
        realized=settled.realized_pnl_usdc,
        cost=settled.cost_usdc,
        has_failed=False,
        at=settled.at_ms,
        attempt_id=None,
        fits=False,
        target=0,
        limit=0,
        is_paper=False,
        placed_at=None,
        ended_at=None,
        takes_only=False,
    )


def _book_age_ms(attempt: ExecutionAttempt) -> Millis | None:
    ages = (value for reason in attempt.reasons for name, value in reason.numbers if name == "book_age_ms")
    found = next(ages, None)
    return None if found is None else int(found)
