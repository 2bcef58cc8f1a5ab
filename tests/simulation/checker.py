"""What must be true, judged from the ledger's rows and the world's own record; never from the worker's memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from copytrade.domain.attempts import OPEN_STATUSES
from copytrade.domain.invariants import AuditRules
from copytrade.engine.audit import GRACE_MS
from copytrade.settings import Settings
from tests.simulation import fill_rules
from tests.simulation.circumstances import SECRET
from tests.simulation.limit_rules import limits_hold
from tests.simulation.market_rules import LagMs, MarketJudge
from tests.simulation.row_rules import carries_add_up, rows_hold
from tests.simulation.stage import Stage
from tests.simulation.storage import Kept
from tests.simulation.venue_record import VenueRecord

Breaches = Iterator[str]

API_LAG_S = 20
"""A row of the Data API is served some seconds after its block, and polled some seconds later."""
STREAM_LAG_S = 8
"""A row of the live stream comes within that; what it told nobody is gone, so only the latest are asked for."""


@dataclass(slots=True, kw_only=True)
class Checker:
    """Remembers what rows there were, so that it sees when one is gone."""

    stage: Stage
    record: VenueRecord
    lag_ms: LagMs
    settings: Settings
    clock_off_ms_max: int = 0
    """How far off the worker's clock may be, which stamps its rows."""
    down_ms: int = 0
    """How long no worker lived, so far: what is due then waits for the next one."""
    calm_from_ms: int = 1 << 62
    """From when on nothing went wrong any more."""
    fills: set[UUID] = field(default_factory=set)
    raws: set[object] = field(default_factory=set)
    attempts: set[UUID] = field(default_factory=set)
    interrupted: dict[UUID, int] = field(default_factory=dict)
    """Attempts that were open when the worker died, with what they had filled."""

    def note_death(self) -> None:
        """Remember what was open."""
        for attempt in self.stage.storage.kept().attempts.values():
            if attempt.status in OPEN_STATUSES:
                self.interrupted.setdefault(attempt.id, attempt.filled_shares)

    def always(self) -> Breaches:
        """Yield what is wrong at any time."""
        kept = self.stage.storage.kept()
        yield from self._deleted(kept)
        yield from rows_hold(kept, self.settings)
        yield from limits_hold(kept, self.settings, self.stage.world)
        yield from map(str, self.stage.storage.audit(self._audit_rules()))

    def finally_(self) -> Breaches:
        """Yield what is wrong once everything has come to rest."""
        yield from self.always()
        kept = self.stage.storage.kept()
        yield from self._fills(kept)
        yield from fill_rules.identities_hold(kept, self.stage.world)
        yield from fill_rules.every_fill_has_an_end(kept)
        yield from self._interrupted(kept)
        yield from carries_add_up(kept)
        yield from self._market().breaches(kept)
        yield from self._secrets(kept)

    def unready(self) -> str:
        """Say what keeps the worker from knowing what happens right now."""
        stage, kept = self.stage, self.stage.storage.kept()
        if stage.circumstances.reads_the_chain:
            behind = stage.world.chain.head.number - kept.covered
            return f"{behind} blocks behind" if behind > fill_rules.HEAD_LAG_MAX else ""
        now_s = stage.clock.true_ms() // 1000
        is_complete = stage.circumstances.is_complete
        due_until_s = now_s - (API_LAG_S if is_complete else STREAM_LAG_S)
        due_from_s = 0 if is_complete else due_until_s - STREAM_LAG_S
        if not is_complete and self.is_calm:
            due_from_s = max(due_from_s, self._calm_from_s)
        told = fill_rules.fills_are_what_was_told(kept, stage.world, due_until_s=due_until_s, due_from_s=due_from_s)
        return next(told, "")

    @property
    def is_calm(self) -> bool:
        """Whether nothing goes wrong any more: from then on a stream has no gap to lose what it tells in."""
        return self.calm_from_ms <= self.stage.clock.true_ms()

    @property
    def _calm_from_s(self) -> int:
        return -(-self.calm_from_ms // 1000)

    def _audit_rules(self) -> AuditRules:
        return AuditRules(
            now_ms=self.stage.clock.true_ms(),
            book_age_ms_max=self.settings.quote_stale_ms,
            grace_ms=GRACE_MS + self.clock_off_ms_max + self.down_ms,
        )

    def _deleted(self, kept: Kept) -> Breaches:
        now = (set(kept.fills), set(kept.raws), set(kept.attempts))
        ever = (self.fills, self.raws, self.attempts)
        for name, before, after in zip(("fills", "raw rows", "attempts"), ever, now, strict=True):
            before.update(after)
            if gone := len(before) - len(after):
                yield f"{gone} {name} were deleted"

    def _fills(self, kept: Kept) -> Breaches:
        world, circumstances = self.stage.world, self.stage.circumstances
        if circumstances.reads_the_chain:
            yield from fill_rules.fills_are_the_chains(kept, world)
        else:
            due_from_s = 0 if circumstances.is_complete else self._calm_from_s
            due_until_s = world.now_ms // 1000 - API_LAG_S
            yield from fill_rules.fills_are_what_was_told(kept, world, due_until_s=due_until_s, due_from_s=due_from_s)

    def _interrupted(self, kept: Kept) -> Breaches:
        for attempt_id, filled in self.interrupted.items():
            attempt = kept.attempts[attempt_id]
            if attempt.filled_shares != filled:
                yield f"attempt {attempt_id} was open at a death and filled {attempt.filled_shares - filled} after it"

    def _secrets(self, kept: Kept) -> Breaches:
        """A provider's key is in no row and in nothing that was told."""
        told = [*map(repr, self.stage.announced.told), *map(repr, self.stage.storage.events())]
        told += [repr(attempt.reasons) for attempt in kept.attempts.values()]
        yield from (f"a secret was told: {text[:120]}" for text in told if SECRET in text)

    def _market(self) -> MarketJudge:
        stage = self.stage
        return MarketJudge(record=self.record, clock=stage.clock, stamps=stage.stamps, lag_ms=self.lag_ms)
