"""The trials: each starts a venue and a worker, does something to them, and compares what was kept with what was."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

from scripts.chaos.points import POINTS
from scripts.chaos.trial import DEADLINE_S, KILLED, NotInTime, Trial


@dataclass(frozen=True, kw_only=True)
class Options:
    """How long to disturb, and for the kill points: every pair, or one point only."""

    seconds: float
    long: bool = False
    only: str = ""


STALE_MS = 5_000
PAIRS = 20
QUIET_S = 1.0


def sockets(trial: Trial, options: Options) -> None:
    """Cut the chain's, the books' and the stream's sockets again and again; nothing may be missed."""
    with trial.worker() as worker:
        trial.wait_for("a fill", lambda: worker.said("FILL "))
        for _ in _until(options.seconds):
            kind = trial.random.choice(["chain", "market", "rtds"])
            trial.inject(f"{kind} sockets cut", "drop", kind=kind, **trial.random.choice([{}, {"code": 1013}]))
            if trial.random.random() < 0.3:
                trial.inject("log subscription silenced", "mute", logs=True)
            if trial.random.random() < 0.3:
                trial.world.command("mute", logs=False)
            time.sleep(trial.random.uniform(0.3, 1.5))
        trial.settle()
    trial.compare()
    trial.judge(
        "a worker that says it reconnected",
        [] if trial.database.rows("SELECT 1 FROM worker_event WHERE code = 'RECONNECTED' LIMIT 1") else ["never"],
    )


def restarts(trial: Trial, options: Options) -> None:
    """Restart the worker in the middle of trades, by Ctrl-C and by kill -9; nothing may be done twice."""
    for _ in _until(options.seconds):
        with trial.worker() as worker:
            time.sleep(trial.random.uniform(1.0, 4.0))
            if trial.random.random() < 0.5:
                trial.injected["kill -9"] += 1
                worker.kill()
            else:
                trial.injected["Ctrl-C"] += 1
    _last_life(trial)


def points(trial: Trial, options: Options) -> None:
    """Kill -9 at each named point once, then at pairs of points: the second in the recovery from the first."""
    wanted = [options.only] if options.only else trial.random.sample(POINTS, len(POINTS))
    for point in wanted:
        if point.startswith("recover"):
            _die_at(trial, "submit.after")
        _die_at(trial, point)
    if not options.only:
        at_start = [point for point in POINTS if not point.startswith(("migrate", "drain", "recover"))]
        pairs = [(first, second) for first in at_start for second in at_start]
        for first, second in pairs if options.long else trial.random.sample(pairs, PAIRS):
            _die_at(trial, first)
            _die_at(trial, second)
    _last_life(trial)


def freeze(trial: Trial, options: Options) -> None:
    """Freeze the books' sockets while PINGs are answered; no trade may be decided on a book that is too old."""
    with trial.worker() as worker:
        trial.wait_for("a copy", lambda: worker.said("TRADE"))
        for _ in _until(options.seconds):
            trial.inject("books frozen with pongs", "freeze", kind="market", frozen=True, future=True)
            time.sleep(trial.random.uniform(2.0, 9.0))
            trial.world.command("freeze", kind="market", frozen=False)
            time.sleep(trial.random.uniform(1.0, 3.0))
        trial.settle()
    trial.compare()
    traded = trial.database.rows("SELECT id, decision_reason FROM execution_attempt WHERE decision = 'TRADE'")
    trial.judge(f"trades on a book older than {STALE_MS} ms", [row for row in traded if _book_age(row) > STALE_MS])
    refused = trial.database.rows("SELECT 1 FROM execution_attempt WHERE decision = 'SKIP'"
                                  " AND CAST(decision_reason AS TEXT) LIKE '%BOOK%'")  # fmt: skip
    trial.judge("skips for want of a fresh book", [] if refused else ["none: the freeze was not felt"])


def lies(trial: Trial, options: Options) -> None:
    """Have the node lag, answer [] for what it has, refuse ranges, limit rates and fail."""
    with trial.worker() as worker:
        trial.wait_for("a fill", lambda: worker.said("FILL "))
        for _ in _until(options.seconds):
            draw = trial.random.random()
            if draw < 0.35:
                trial.inject("[] for the newest blocks", "lag", logs=trial.random.randint(1, 8))
            elif draw < 0.55:
                trial.inject("a head that lags", "lag", blocks=trial.random.randint(1, 6))
            elif draw < 0.7:
                trial.inject("ranges refused", "lag", range=trial.random.randint(1, 3))
            elif draw < 0.85:
                trial.inject("eth_getLogs fails", "error", target="eth_getLogs", count=3,
                             body={"code": -32005, "message": "query returned more than 10000 results"})  # fmt: skip
            else:
                trial.inject("HTTP 429", "error", target="eth_getLogs", status=429, body={"error": "slow"}, count=2)
            time.sleep(trial.random.uniform(0.5, 2.0))
            if trial.random.random() < 0.4:
                trial.world.command("lag", logs=0, blocks=0, range=0)
        trial.settle()
    trial.compare()


def database(trial: Trial, options: Options) -> None:
    """Stop PostgreSQL under the worker and start it again; a worker that ends is started again, as a service is."""
    server = trial.database
    for _ in _until(options.seconds):
        with trial.worker() as worker:
            time.sleep(trial.random.uniform(2.0, 4.0))
            trial.injected["PostgreSQL stopped"] += 1
            server.stop()
            time.sleep(trial.random.uniform(0.2, 2.0))
            server.start()
            time.sleep(1.0)
            if worker.code is None:
                time.sleep(1.0)
            trial.injected[f"worker exit {worker.code}"] += 1
    _last_life(trial)


def disk(trial: Trial, options: Options) -> None:
    """No file may grow any more: the worker must stop rather than go on without its ledger, and recover with room."""
    with trial.worker() as worker:
        trial.wait_for("a copy", lambda: worker.said("TRADE"))
    size = max(path.stat().st_size for path in trial.folder.glob("worker.db*"))
    for room in (4_096, 65_536, 262_144):
        with trial.worker(CHAOS_FILE_BYTES=str(size + room)) as worker:
            trial.injected["disk full"] += 1
            try:
                trial.wait_for("an end", lambda: worker.code is not None, seconds=40)
            except NotInTime:
                trial.injected["not felt"] += 1
                continue
            trial.judge("a full disk that ended the worker with exit 0", [worker.code] if worker.code == 0 else [])
    _last_life(trial)


def reorgs(trial: Trial, options: Options) -> None:
    """Replace blocks under fills that were copied: moved, delayed and dropped transactions, one to eight deep."""
    with trial.worker() as worker:
        trial.wait_for("a copy", lambda: worker.said("TRADE"))
        for _ in _until(options.seconds):
            fate = trial.random.choice(["moved", "delayed", "dropped"])
            trial.inject(f"reorg, {fate}", "reorg", depth=trial.random.randint(1, 8), fate=fate)
            time.sleep(trial.random.uniform(0.5, 2.5))
        trial.settle()
    trial.compare()
    sent = trial.database.rows(
        "SELECT a.id FROM execution_attempt a JOIN leader_fill f ON f.id = a.leader_fill_id"
        " WHERE f.orphaned_at IS NOT NULL AND a.order_hash IS NOT NULL"
    )
    told = trial.database.rows("SELECT 1 FROM worker_event WHERE code = 'REORG_UNDER_COPY'")
    trial.judge("copies of vanished fills that nobody was told of", sent if sent and not told else [])


def clock(trial: Trial, options: Options) -> None:
    """Set the host's clock back and forth by up to two minutes; ages must not follow it."""
    shift = trial.folder / "clock"
    shift.write_text("0")
    with trial.worker(CHAOS_CLOCK=str(shift)) as worker:
        trial.wait_for("a fill", lambda: worker.said("FILL "))
        for _ in _until(options.seconds):
            jump = trial.random.choice([-120_000, -5_000, -1_500, 1_500, 5_000, 120_000])
            trial.injected[f"clock {jump:+d} ms"] += 1
            shift.write_text(str(jump))
            time.sleep(trial.random.uniform(1.0, 3.0))
            shift.write_text("0")
            time.sleep(trial.random.uniform(0.5, 1.5))
        trial.settle()
    trial.compare()


def _die_at(trial: Trial, point: str) -> None:
    """Live until a point and die there.

    :raises NotInTime: it was never reached, so it would prove nothing.
    """
    trial.injected[point] += 1
    with trial.worker(CHAOS_KILL_AT=point, **_apart(trial, point)) as worker:
        if point == "drain.after":
            time.sleep(2.0)
            worker.signal(signal.SIGINT)
        deadline = time.monotonic() + DEADLINE_S
        while worker.code is None:
            if time.monotonic() > deadline:
                raise NotInTime(f"{point} was never reached")
            _provoke(trial, point)
            time.sleep(0.25)
        if worker.code != KILLED:
            raise NotInTime(f"the worker ended with {worker.code} before {point}")


def _apart(trial: Trial, point: str) -> dict[str, str]:
    """Give a death in the middle of the migrations a database that needs them."""
    return {"DATABASE_URL": f"sqlite:///{trial.folder}/young.db"} if point == "migrate.between" else {}


def _provoke(trial: Trial, point: str) -> None:
    """Make happen what the point is about, where it does not by itself."""
    if point.startswith("orphan"):
        trial.world.command("reorg", depth=3, fate="moved")
    elif point.startswith("events"):
        wallet = trial.random.choice(trial.world.leaders)["address"]
        market = trial.random.choice(trial.world.control("markets"))
        trial.world.command("activity", wallet=wallet, type="SPLIT", condition=market["condition"], size="1")


def _last_life(trial: Trial) -> None:
    """Let a worker live undisturbed until all is done, and compare."""
    with trial.worker():
        time.sleep(QUIET_S)
        trial.settle()
    trial.compare()


def _until(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    yield
    while time.monotonic() < end:
        yield


def _book_age(row: dict[str, object]) -> int:
    reasons = row["decision_reason"]
    parsed = json.loads(reasons) if isinstance(reasons, str) else reasons
    return max((int(one.get("book_age_ms", 0)) for one in parsed), default=0)
