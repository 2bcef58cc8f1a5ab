"""A recorded market socket, sent again over a real one: our book is every snapshot that follows."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve

from copytrade.adapters.clob.bookstore import BookSource, ClobBookStore
from copytrade.adapters.clob.wire import decode_books, levels_of
from copytrade.adapters.system import SystemClock

pytestmark = pytest.mark.recorded
OPENTAPE = Path("ws", "opentape_polymarket_ws_20260907.jsonl")


def books_in(frame: bytes) -> list[dict[str, Any]]:
    decoded = json.loads(frame)
    return [one for one in (decoded if isinstance(decoded, list) else [decoded]) if one["event_type"] == "book"]


class Recording:
    """Sends recorded frames to whoever subscribes, each once the one before was taken in, and compares."""

    def __init__(self, frames: list[bytes], store: ClobBookStore) -> None:
        self.frames, self.store = frames, store
        self.verdicts: list[bool] = []
        self.is_over = asyncio.Event()

    async def talk(self, connection: ServerConnection) -> None:
        await connection.recv()
        for frame in self.frames:
            self._compare(frame)
            before = self._taken()
            await connection.send(frame.decode())
            while self._taken() == before:
                await asyncio.sleep(0)
        self.is_over.set()
        await connection.wait_closed()

    def _compare(self, frame: bytes) -> None:
        for book in books_in(frame):
            outcome = self.store._shelf.outcomes[book["asset_id"]]
            if outcome.tracked.book.is_seeded:
                full, _ = decode_books(json.dumps([book]).encode())
                listed = outcome.levels(levels_of(full[0].bids, full[0].asks))
                self.verdicts.append(outcome.tracked.book.agrees_with(listed))

    def _taken(self) -> int:
        return self.store.frames


@pytest.mark.parametrize("is_paired", [True, False])
async def test_over_a_real_socket_our_book_is_every_snapshot_that_follows(recorded_data: Path, is_paired: bool) -> None:
    frames = [line for line in (recorded_data / OPENTAPE).read_bytes().splitlines() if line.strip()]
    yes, no = dict.fromkeys(book["asset_id"] for frame in frames for book in books_in(frame))
    notes: list[str] = []
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(503))) as http:
        store = ClobBookStore(
            source=BookSource.WS,
            http_url="http://127.0.0.1",
            ws_url="ws://127.0.0.1",
            http=http,
            clock=SystemClock(),
            quote_fresh_ms=2_000,
            quote_stale_ms=5_000,
            history_ms=60_000,
            resync_interval_ms=90_000,
            tokens_max=2_000,
            note=lambda code, _: notes.append(code),
            on_market_event=lambda event: None,
            twin_of={yes: no, no: yes}.get if is_paired else lambda _: None,
        )
        recording = Recording(frames, store)
        async with serve(recording.talk, "127.0.0.1", 0, compression=None) as server:
            store._ws_url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            store.track(yes)
            store.track(no)
            running = asyncio.create_task(store.run())
            await asyncio.wait_for(recording.is_over.wait(), 10)
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    print(f"{len(recording.verdicts)} snapshots after {len(frames)} frames")
    assert len(store.tracked) == (1 if is_paired else 2)
    assert recording.verdicts == [True] * 4
    assert store.counters.mismatches == 0
    assert notes == []
