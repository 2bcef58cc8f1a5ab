"""The ledger port on a database: each method is one transaction."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from copytrade.adapters.sql import (
    accounts,
    attempts,
    attribution,
    audit,
    chain,
    copy_memory,
    cursors,
    events,
    executions,
    leader_events,
    leaders,
    live_orders,
    proofs,
    witness,
)
from copytrade.adapters.sql import markets as registry
from copytrade.adapters.sql.ladder import SqlLadderStore
from copytrade.adapters.sql.reconciliation import SqlReconciliationStore
from copytrade.adapters.sql.risk_store import SqlRiskStore
from copytrade.domain.orders import OrderType
from copytrade.ports.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from uuid import UUID

    from copytrade.domain.attempts import AttemptStatus, ExecutionAttempt, ExecutionFill, Reason
    from copytrade.domain.attribution import Attribution
    from copytrade.domain.carry import Carry
    from copytrade.domain.closing import Closing
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.leader_events import LeaderEvent
    from copytrade.domain.leaders import Leader
    from copytrade.domain.market import Market
    from copytrade.domain.markouts import FillMarks
    from copytrade.domain.money import Balance, EquityPoint
    from copytrade.domain.positions import Position
    from copytrade.domain.settlement import PositionSettlement, Resolution
    from copytrade.domain.units import Millis, Price, Usdc
    from copytrade.domain.venue_orders import VenueOrder
    from copytrade.ports.accounts import Settled
    from copytrade.ports.attribution import Unattributed
    from copytrade.ports.execution import OrderDone
    from copytrade.ports.leader_fills import (
        ChainConfirmed,
        Cursor,
        CursorScope,
        FillsConfirmed,
        FillsRemoved,
        FillsSeen,
        StoredLog,
    )
    from copytrade.ports.ledger import Booked, Ingested, Orphaned
    from copytrade.ports.markets import RegistrySync


class SqlLedger(SqlRiskStore, SqlReconciliationStore, SqlLadderStore, Ledger):
    """The ledger in an open database whose schema is current."""

    async def add_leader(self, leader: Leader) -> bool:
        return await self._database.write_alone(partial(proofs.add_leader, given=leader))

    async def remove_leader(self, address: str) -> None:
        await self._database.write(partial(leaders.remove_leader, address=address))

    async def change_leader(self, leader: Leader) -> None:
        await self._database.write(partial(leaders.change_leader, given=leader))

    async def leaders(self) -> tuple[Leader, ...]:
        return await self._database.read(leaders.all_leaders)

    async def leaders_revision(self) -> int:
        return await self._database.read(leaders.revision)

    async def cursor(self, scope: CursorScope) -> Cursor | None:
        return await self._database.read(partial(cursors.find, scope=scope))

    async def ingest(self, seen: FillsSeen, *, now_ms: Millis) -> Ingested:
        return await self._database.write_alone(partial(proofs.ingest, seen=seen, now_ms=now_ms))

    async def orphan(self, removed: FillsRemoved, *, now_ms: Millis) -> Orphaned:
        return await self._database.write_alone(partial(proofs.orphan, removed=removed, now_ms=now_ms))

    async def refute(self, fill_ids: Sequence[UUID], *, now_ms: Millis) -> Orphaned:
        return await self._database.write_alone(partial(chain.refute, fill_ids=fill_ids, now_ms=now_ms))

    async def confirm(self, confirmed: FillsConfirmed | ChainConfirmed) -> int:
        return await self._database.write_alone(partial(chain.confirm, confirmed=confirmed))

    async def unconfirmed_logs(self) -> tuple[StoredLog, ...]:
        return await self._database.read(witness.unconfirmed_logs)

    async def unmatched_rows(
        self, *, detected_from_ms: Millis, detected_to_ms: Millis, noted_as: str
    ) -> tuple[RecordedFill, ...]:
        return await self._database.read(
            partial(witness.unmatched_rows, first_ms=detected_from_ms, last_ms=detected_to_ms, noted_as=noted_as)
        )

    async def all_fills_of(self, address: str, *, since_ms: Millis) -> tuple[RecordedFill, ...]:
        return await self._database.read(partial(witness.all_fills_of, address=address, since_ms=since_ms))

    async def undecided(self, *, limit: int) -> tuple[RecordedFill, ...]:
        return await self._database.read(partial(attempts.undecided, limit=limit))

    async def record_attempt(self, attempt: ExecutionAttempt, *, carry: Carry | None = None) -> bool:
        try:
            return await self._database.write(partial(attempts.record, attempt=attempt, carry=carry))
        except IntegrityError as error:
            raise LookupError(f"attempt {attempt.id} is about no stored fill ({attempt.leader_fill_id})") from error

    async def carries(self, *, strategy_id: str, account_id: str) -> tuple[Carry, ...]:
        return await self._database.read(partial(copy_memory.carries, owner=(strategy_id, account_id)))

    async def decided_since(
        self, since_ms: Millis, *, strategy_id: str, account_id: str
    ) -> tuple[tuple[RecordedFill, ExecutionAttempt], ...]:
        owner = (strategy_id, account_id)
        return await self._database.read(partial(copy_memory.decided_since, since_ms=since_ms, owner=owner))

    async def last_entries(self, since_ms: Millis, *, strategy_id: str, account_id: str) -> Mapping[UUID, Millis]:
        owner = (strategy_id, account_id)
        return await self._database.read(partial(copy_memory.last_entries, since_ms=since_ms, owner=owner))

    async def submit_attempt(
        self,
        attempt_id: UUID,
        *,
        order_hash: str,
        placed_at_ms: Millis,
        order_type: OrderType = OrderType.GTC,
        venue_order: VenueOrder | None = None,
    ) -> bool:
        write = attempts.submit if venue_order is None else partial(live_orders.submit, venue_order=venue_order)
        return await self._database.write_alone(
            partial(
                write,
                attempt_id=attempt_id,
                order_type=order_type,
                order_hash=order_hash,
                placed_at_ms=placed_at_ms,
            )
        )

    async def book_execution(self, fill: ExecutionFill) -> Booked | None:
        return await self._database.write_alone(partial(executions.book_execution, fill=fill))

    async def settle_execution(self, fill: ExecutionFill, *, at_ms: Millis) -> Booked | None:
        return await self._database.write_alone(partial(live_orders.settle_execution, told=fill, at_ms=at_ms))

    async def unsettled_executions(self) -> tuple[ExecutionFill, ...]:
        return await self._database.read(live_orders.unsettled_executions)

    async def trades_of(self, account_id: str, venue_trade_ids: Sequence[str]) -> tuple[ExecutionFill, ...]:
        return await self._database.read(
            partial(live_orders.trades_of, account_id=account_id, venue_trade_ids=venue_trade_ids)
        )

    async def orders_since(self, account_id: str, since_ms: Millis) -> tuple[ExecutionAttempt, ...]:
        return await self._database.read(partial(live_orders.orders_since, account_id=account_id, since_ms=since_ms))

    async def attempts_of_orders(self, order_hashes: Collection[str]) -> tuple[ExecutionAttempt, ...]:
        return await self._database.read(partial(live_orders.attempts_of_orders, order_hashes=order_hashes))

    async def close_attempt(
        self, attempt_id: UUID, *, status: AttemptStatus, reason: Reason | None, at_ms: Millis
    ) -> ExecutionAttempt | None:
        return await self._database.write_alone(
            partial(attempts.close, attempt_id=attempt_id, status=status, why=reason, at_ms=at_ms)
        )

    async def close_attempts(self, endings: Sequence[OrderDone]) -> tuple[ExecutionAttempt, ...]:
        return await self._database.write_alone(partial(attempts.close_many, endings=endings))

    async def attempt(self, attempt_id: UUID) -> ExecutionAttempt | None:
        return await self._database.read(partial(attempts.find, attempt_id=attempt_id))

    async def open_attempts(self) -> tuple[ExecutionAttempt, ...]:
        return await self._database.read(attempts.open_attempts)

    async def fill(self, leader_fill_id: UUID) -> RecordedFill | None:
        return await self._database.read(partial(attempts.find_fill, leader_fill_id=leader_fill_id))

    async def keep_leader_events(
        self, events: Sequence[LeaderEvent], *, now_ms: Millis, cursor: Cursor | None = None
    ) -> tuple[LeaderEvent, ...]:
        keep = partial(leader_events.keep, events=events, now_ms=now_ms, cursor=cursor)
        return await self._database.write_alone(keep)

    async def leader_events_of(self, leader: str) -> tuple[LeaderEvent, ...]:
        return await self._database.read(partial(leader_events.events_of, address=leader))

    async def fills_of(self, leader: str, token_id: str, *, since_ms: Millis) -> tuple[RecordedFill, ...]:
        return await self._database.read(
            partial(leader_events.fills_of, address=leader, token_id=token_id, since_ms=since_ms)
        )

    async def keep_attributions(self, attributions: Sequence[Attribution], *, now_ms: Millis) -> None:
        await self._database.write(partial(attribution.keep, attributions=attributions, now_ms=now_ms))

    async def attributions_of(self, attempt_ids: Collection[UUID]) -> tuple[Attribution, ...]:
        return await self._database.read(partial(attribution.attributions_of, attempt_ids=attempt_ids))

    async def prices_followed(self, attempt_ids: Collection[UUID]) -> Mapping[UUID, Price]:
        return await self._database.read(partial(attribution.prices_followed, attempt_ids=attempt_ids))

    async def executions_of(self, attempt_ids: Collection[UUID]) -> tuple[ExecutionFill, ...]:
        return await self._database.read(partial(attribution.executions_of, attempt_ids=attempt_ids))

    async def unattributed(self, *, newest: int) -> tuple[Unattributed, ...]:
        return await self._database.read(partial(attribution.unattributed, newest=newest))

    async def keep_marks(self, marks: Sequence[FillMarks]) -> None:
        await self._database.write(partial(attribution.keep_marks, marks=marks))

    async def marks_of(self, attempt_ids: Collection[UUID]) -> tuple[FillMarks, ...]:
        return await self._database.read(partial(attribution.marks, attempt_ids=attempt_ids))

    async def unmarked(self, *, newest: int) -> tuple[ExecutionFill, ...]:
        return await self._database.read(partial(attribution.unmarked, newest=newest))

    async def open_marks(self, *, limit: int) -> tuple[FillMarks, ...]:
        return await self._database.read(partial(attribution.open_marks, limit=limit))

    async def mark_resolved(self, *, limit: int) -> int:
        payouts = await self._database.read(partial(attribution.resolved, limit=limit))
        if payouts:
            await self._database.write(partial(attribution.mark_resolved, payouts=payouts))
        return len(payouts)

    async def positions(self) -> tuple[Position, ...]:
        return await self._database.read(executions.positions)

    async def fund_account(self, strategy_id: str, account_id: str, *, start_cash: Usdc, now_ms: Millis) -> Balance:
        return await self._database.write_alone(
            partial(
                accounts.fund_account,
                strategy_id=strategy_id,
                account_id=account_id,
                start_cash=start_cash,
                now_ms=now_ms,
            )
        )

    async def balances(self) -> tuple[Balance, ...]:
        return await self._database.read(accounts.balances)

    async def settle(self, resolution: Resolution) -> Settled:
        return await self._database.write_alone(partial(accounts.settle, told=resolution))

    async def merge_sets(
        self, condition_id: str, *, strategy_id: str, account_id: str, at_ms: Millis
    ) -> tuple[Closing, ...]:
        return await self._database.write_alone(
            partial(
                accounts.merge_sets,
                condition_id=condition_id,
                strategy_id=strategy_id,
                account_id=account_id,
                at_ms=at_ms,
            )
        )

    async def rename_token(
        self, old_token_id: str, new_token_id: str, *, condition_id: str, source: str, at_ms: Millis
    ) -> Settled:
        return await self._database.write_alone(
            partial(
                accounts.rename_token,
                old_token_id=old_token_id,
                new_token_id=new_token_id,
                condition_id=condition_id,
                source=source,
                at_ms=at_ms,
            )
        )

    async def resolutions(self) -> tuple[Resolution, ...]:
        return await self._database.read(accounts.resolutions)

    async def migrated(self) -> frozenset[str]:
        return await self._database.read(accounts.migrated)

    async def settlements(self, *, strategy_id: str, account_id: str, token_id: str) -> tuple[PositionSettlement, ...]:
        return await self._database.read(partial(accounts.settlements, owner=(strategy_id, account_id, token_id)))

    async def add_equity_point(self, point: EquityPoint, marks: Mapping[str, Price | None]) -> None:
        await self._database.write(partial(accounts.add_equity_point, point=point, marks=marks))

    async def marks(self) -> Mapping[str, Price | None]:
        return await self._database.read(accounts.marks)

    async def equity_points(self, account_id: str, *, since_ms: Millis) -> tuple[EquityPoint, ...]:
        return await self._database.read(partial(accounts.equity_points, account_id=account_id, since_ms=since_ms))

    async def save_markets(self, markets: Sequence[Market]) -> None:
        await self._database.write(partial(registry.save_markets, markets=markets))

    async def markets(self, *, settled_since_ms: Millis | None = None) -> tuple[Market, ...]:
        return await self._database.read(partial(registry.all_markets, settled_since_ms=settled_since_ms))

    async def unlisted_tokens(self, *, after: str, limit: int) -> tuple[str, ...]:
        return await self._database.read(partial(registry.unlisted_tokens, after=after, limit=limit))

    async def save_registry_sync(self, sync: RegistrySync | None) -> None:
        await self._database.write(partial(registry.save_sync, sync=sync))

    async def registry_sync(self) -> RegistrySync | None:
        return await self._database.read(registry.find_sync)

    async def note(self, code: str, detail: Mapping[str, object], *, at_ms: Millis) -> None:
        await self._database.write(partial(events.note, code=code, detail=self._redact(detail), at_ms=at_ms))

    async def count_rows(self, *, until_ms: Millis) -> Mapping[str, int]:
        return await self._database.read(partial(audit.count_rows, until_ms=until_ms))

    async def recent_tokens(self, *, since_ms: Millis) -> Iterable[str]:
        return await self._database.read(partial(registry.recent_tokens, since_ms=since_ms))
