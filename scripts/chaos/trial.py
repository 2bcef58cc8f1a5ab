"""One trial: a local venue, a worker that is disturbed, and the comparison of what it kept with what was."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.chaos.database import PostgresServer, SqliteFile, a_database
from tests.processes import World, a_world

DEADLINE_S = 60.0
POLL_S = 0.1
BLOCK_MS = 400
QUICKLY = {
    "POLYGON_POLL_INTERVAL_MS": "300",
    "DATA_API_POLL_INTERVAL_MS": "700",
    "DATA_API_ACTIVITY_INTERVAL_MS": "1000",
    "ORDER_TTL_MS": "2000",
    "COPY_RATIO": "0.5",
}
KILLED = -signal.SIGKILL


class NotInTime(Exception):
    """Something did not come about."""


@dataclass
class Trial:
    """What a script works with; `injected` and `compared` are told in the end, `breaches` decide the verdict."""

    name: str
    seed: int
    folder: Path
    world: World
    database: SqliteFile | PostgresServer
    more: dict[str, str]
    random: random.Random
    injected: Counter[str] = field(default_factory=Counter)
    compared: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)

    def inject(self, what: str, path: str, **body: Any) -> Any:
        """Tell the venue to misbehave, and count it."""
        self.injected[what] += 1
        return self.world.command(path, **body)

    @contextmanager
    def worker(self, **environment: str) -> Iterator[ChaosWorker]:
        """Run a worker; one that still lives at the end is asked to stop."""
        variables = self.world.environment(self.database.url, **QUICKLY, **self.more, **environment)
        worker = ChaosWorker(variables, self.folder)
        try:
            yield worker
        finally:
            worker.end()

    def wait_for(self, what: str, holds: Callable[[], bool], *, seconds: float = DEADLINE_S) -> None:
        """Ask until it holds.

        :raises NotInTime: it never did.
        """
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise NotInTime(f"{what}: not within {seconds:.0f} s")
            time.sleep(POLL_S)

    def settle(self) -> None:
        """Heal the venue, stop its trade, and wait until the worker has read and ended everything.

        If it does not come to rest that is a breach, and `compare` tells what is left.
        """
        self.world.command("heal")
        self.world.command("pause", paused=True)
        try:
            self.wait_for("everything read, decided and ended", self._is_settled)
        except NotInTime as error:
            self.breaches.append(str(error))

    def _is_settled(self) -> bool:
        newest = max((fill["block_number"] for fill in self.world.control("fills")), default=0)
        at = self.database.rows(
            "SELECT last_processed_block AS n FROM polygon_cursor WHERE leader_address = '*' AND exchange_address = '*'"
        )
        busy = self.database.rows("SELECT 1 FROM execution_attempt WHERE status IN ('PENDING', 'SUBMITTED', 'PARTIAL')")
        unmet = self.database.rows("SELECT 1 FROM leader_fill WHERE order_hash IS NULL AND orphaned_at IS NULL LIMIT 1")
        is_read = bool(at) and at[0]["n"] >= newest and not unmet and not self._lacking()
        return is_read and not busy and not self._without_one_attempt()

    def compare(self) -> None:
        """Hold what the worker kept against the venue's own record."""
        self._compare_fills()
        without = self._without_one_attempt()
        self.judge("fills with other than one attempt", without)
        self.judge("attempts filled beyond their size", self.database.rows(
            "SELECT attempt_id FROM attempt_summary WHERE filled_shares > size_shares_target"
        ))  # fmt: skip
        self.judge("positions other than their executions add up to", self.database.rows(
            "SELECT p.token_id FROM position p WHERE abs(p.shares - (SELECT coalesce(sum(CASE a.side WHEN 'BUY'"
            " THEN f.filled_shares ELSE -f.filled_shares END), 0) FROM execution_fill f JOIN execution_attempt a"
            " ON a.id = f.attempt_id WHERE a.token_id = p.token_id) + (SELECT coalesce(sum(CASE s.kind"
            " WHEN 'migration_in' THEN -s.shares ELSE s.shares END), 0) FROM settlement s"
            " WHERE s.token_id = p.token_id)) > 0.0000005"
        ))  # fmt: skip
        self.judge("orders sent twice", self.database.rows(
            "SELECT order_hash FROM execution_attempt WHERE order_hash IS NOT NULL"
            " GROUP BY order_hash HAVING count(*) > 1"
        ))  # fmt: skip

    def judge(self, what: str, found: Any) -> None:
        """Note that something was looked at; anything found is a breach."""
        self.compared.append(what)
        if found:
            self.breaches.append(f"{what}: {str(found)[:500]}")

    def _compare_fills(self) -> None:
        truth, stored = self._fills_of_the_venue(), self._fills_of_the_worker()
        self.judge(f"{sum(truth.values())} fills of the venue that the worker lacks", dict(truth - stored))
        self.judge(f"{sum(stored.values())} fills of the worker that the venue never had", dict(stored - truth))
        if not truth:
            self.breaches.append("nothing was traded: the trial proves nothing")

    def _lacking(self) -> Counter[Any]:
        """Return what is not stored yet: what came before a restart is read beside what comes now."""
        return self._fills_of_the_venue() - self._fills_of_the_worker()

    def _fills_of_the_venue(self) -> Counter[Any]:
        """Count the fills since the leaders were followed, by transaction, order, token and side."""
        since_s = self._followed_since_s()
        return Counter(
            (fill["tx_hash"], fill["order_hash"], fill["token_id"], fill["side"])
            for fill in self.world.control("fills")
            if fill["canonical"] and fill["timestamp"] >= since_s
        )

    def _fills_of_the_worker(self) -> Counter[Any]:
        since_s = self._followed_since_s()
        rows = self.database.rows(
            "SELECT tx_hash, order_hash, token_id, side, fill_ts FROM leader_fill WHERE orphaned_at IS NULL"
        )
        return Counter(
            (row["tx_hash"], row["order_hash"], row["token_id"], row["side"])
            for row in rows
            if _seconds(row["fill_ts"]) >= since_s
        )

    def _followed_since_s(self) -> int:
        """Return the second since which the leaders are followed, too late for any fill while none is."""
        followed = self.database.rows("SELECT min(followed_since) AS since FROM leader")[0]["since"]
        return sys.maxsize if followed is None else _seconds(followed)

    def _without_one_attempt(self) -> list[dict[str, Any]]:
        counted = self.database.rows(
            "SELECT f.id, f.fill_ts, l.followed_since, count(a.id) AS attempts FROM leader_fill f"
            " JOIN leader l ON l.id = f.leader_id LEFT JOIN execution_attempt a ON a.leader_fill_id = f.id"
            " WHERE f.orphaned_at IS NULL GROUP BY f.id, f.fill_ts, l.followed_since HAVING count(a.id) <> 1"
        )
        return [row for row in counted if _seconds(row["fill_ts"]) >= _seconds(row["followed_since"])]


class ChaosWorker:
    """`copytrade run`, arranged by its environment, its output in a file."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.log = folder / "worker.log"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scripts.chaos.worker", "run"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
                cwd=folder,
            )

    @property
    def code(self) -> int | None:
        """The exit code, None while it lives."""
        return self._process.poll()

    def said(self, word: str) -> bool:
        """Tell whether any life in this folder has printed a word."""
        return word in self.log.read_text(errors="replace")

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Ask it to stop if it lives; kill it if it does not."""
        if self.code is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def a_trial(name: str, *, seed: int, kind: str = "sqlite", **more: str) -> Iterator[Trial]:
    """Start a venue and a database; what a failed trial left is kept, and named."""
    folder = Path(tempfile.mkdtemp(prefix=f"copytrade-{name}-"))
    with a_world("--seed", str(seed), "--block-ms", str(BLOCK_MS)) as world, a_database(kind, folder) as database:
        trial = Trial(
            name=name,
            seed=seed,
            folder=folder,
            world=world,
            database=database,
            more=more,
            random=random.Random(f"{name}|{seed}"),
        )
        try:
            yield trial
        except NotInTime as error:
            trial.breaches.append(str(error))
    if trial.breaches:
        print(f"kept: {folder}")
    else:
        shutil.rmtree(folder)


def _seconds(stamp: Any) -> int:
    """Return the whole second of a stored time, whichever database wrote it."""
    at = datetime.fromisoformat(stamp) if isinstance(stamp, str) else stamp
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
