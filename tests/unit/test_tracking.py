"""Which books are kept ready: what we hold, what leaders traded, what is liquid."""

from __future__ import annotations

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.ids import COPY_STRATEGY_ID
from copytrade.engine.portfolio import Portfolio
from copytrade.engine.tracking import Tracking
from copytrade.ports.leader_fills import FillsSeen
from tests.fakes import FakeBooks, FakeRegistry
from tests.makers import NOW_MS, a_fill, a_leader, a_sighting
from tests.virtual_time import VirtualClock, run_virtual

COMBO = str(3 << 248 | 7 << 120)


def tracked(*, top_markets: int, traded: str = "111") -> tuple[list[str], list[str]]:
    books, registry = FakeBooks(), FakeRegistry()
    registry.liquid = ["901", "902", "111", "903"]

    async def main() -> None:
        ledger = MemoryLedger()
        await ledger.add_leader(a_leader())
        seen = a_sighting(a_fill(token_id=traded))
        await ledger.ingest(FillsSeen(source=seen.fill.source, sightings=(seen,)), now_ms=NOW_MS)
        tracking = Tracking(
            ledger=ledger,
            registry=registry,
            books=books,
            portfolio=Portfolio(strategy_id=COPY_STRATEGY_ID, account_id="paper"),
            clock=VirtualClock(),
            lookback_ms=3_600_000,
            top_markets=top_markets,
        )
        await tracking.refresh()

    run_virtual(main, epoch_ms=NOW_MS)
    return books.tracked, registry.completed


def test_liquid_markets_come_after_what_leaders_traded_and_once() -> None:
    assert tracked(top_markets=2) == (["111", "901", "902", "903"], ["111", "901", "902", "903"])


def test_no_liquid_market_is_tracked_unasked() -> None:
    assert tracked(top_markets=0) == (["111"], ["111"])


def test_a_combo_has_no_book_to_keep() -> None:
    assert tracked(top_markets=0, traded=COMBO) == ([], [])
