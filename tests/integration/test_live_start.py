"""Without any one of its conditions live mode does not start: exit 2, one line that names the gate, nothing posted."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, make_url

from copytrade.adapters.live.lock import account_lock
from copytrade.adapters.sql.durability import weakness
from copytrade.domain.live_gates import LiveGateName
from tests.integration.live_world import KEY, WALLET, hash_of, ready
from tests.processes import World, a_world, copytrade

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A world, and the variables a worker starts with there."""

    world: World
    environment: dict[str, str]
    folder: Path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    folder = tmp_path_factory.mktemp("live")
    with a_world("--seed", "5", "--manual", "--block-ms", "500") as world:
        world.command("account", wallet=WALLET, collateral="1000")
        environment = ready(world, folder, f"sqlite:///{folder / 'worker.db'}")
        yield Ready(world=world, environment=environment, folder=folder)


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """Serve the same body to every request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *parts: Any) -> None:
            del parts

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


Spoil = Callable[[Ready, ExitStack], dict[str, str]]


def variables(**changed: str) -> Spoil:
    return lambda sound, undo: sound.environment | changed


def told(path: str, spoilt: dict[str, Any], healed: dict[str, Any]) -> Spoil:
    def spoil(sound: Ready, undo: ExitStack) -> dict[str, str]:
        sound.world.command(path, **spoilt)
        undo.callback(lambda: sound.world.command(path, **healed))
        return sound.environment

    return spoil


def confirmed(sound: Ready, **changed: str) -> dict[str, str]:
    environment = sound.environment | changed
    return environment | {"LIVE_CONFIRM": hash_of(environment, sound.folder)}


def one_node(sound: Ready, undo: ExitStack) -> dict[str, str]:
    return sound.environment | {"POLYGON_HTTP_URL": sound.world.urls["POLYGON_HTTP_URL"]}


def differences(sound: Ready, undo: ExitStack) -> dict[str, str]:
    return _copied(sound, "differs.db", "UPDATE reconciliation SET errors = 3")


def _copied(sound: Ready, name: str, *statements: str) -> dict[str, str]:
    """Return the variables of a worker on a copy of the database."""
    path = sound.folder / name
    with closing(sqlite3.connect(sound.folder / "worker.db")) as whole, closing(sqlite3.connect(path)) as copy:
        whole.backup(copy)
        with copy:
            for statement in statements:
                copy.execute(statement)
    return sound.environment | {"DATABASE_URL": f"sqlite:///{path}"}


def other_chain(sound: Ready, undo: ExitStack) -> dict[str, str]:
    url = undo.enter_context(answering(b'{"jsonrpc":"2.0","id":1,"result":"0x1"}'))
    return confirmed(sound, POLYGON_HTTP_URL=f"{sound.world.urls['POLYGON_HTTP_URL']},{url}")


def other_time(sound: Ready, undo: ExitStack) -> dict[str, str]:
    return confirmed(sound, CLOB_HTTP_URL=undo.enter_context(answering(b"1000000000")))


def on_paper(sound: Ready, undo: ExitStack) -> dict[str, str]:
    environment = _copied(sound, "demoted.db")
    for verb in ("promote", "demote"):
        assert copytrade("live", verb, environment=environment, folder=sound.folder).returncode == 0
    return environment


def other_worker(sound: Ready, undo: ExitStack) -> dict[str, str]:
    assert undo.enter_context(account_lock(f"live-{WALLET}", folder=sound.folder))
    return sound.environment


SPOILT: dict[LiveGateName, tuple[Spoil, str]] = {
    LiveGateName.LEADERS: (variables(LIVE_LEADERS=""), "LIVE_LEADERS is not set"),
    LiveGateName.CAPS: (variables(RISK_MAX_USDC_PER_MARKET=""), "RISK_MAX_USDC_PER_MARKET is not set"),
    LiveGateName.TRIGGER_MODE: (variables(TRIGGER_MODE="data_api"), "TRIGGER_MODE is 'data_api'"),
    LiveGateName.BOOKSTORE_MODE: (variables(BOOKSTORE_MODE="ws"), "BOOKSTORE_MODE is 'ws'"),
    LiveGateName.KEY_SOURCE: (variables(LIVE_ACCEPT_ENV_KEY="false"), "LIVE_ACCEPT_ENV_KEY=true"),
    LiveGateName.PROVIDERS: (one_node, "name 2"),
    LiveGateName.RECONCILIATION: (differences, "3 difference(s); run copytrade reconcile --repair"),
    LiveGateName.CONFIRMATION: (variables(LIVE_CONFIRM="yes"), "LIVE_CONFIRM is 'yes'"),
    LiveGateName.CHAIN: (other_chain, "is on chain 1"),
    LiveGateName.CLOCK: (other_time, "ms off the venue's"),
    LiveGateName.VERSION: (told("venue", {"version": 3}, {"version": 2}), "the venue speaks version 3"),
    LiveGateName.GEOBLOCK: (
        told("venue", {"blocked": True, "country": "US"}, {"blocked": False}),
        "no orders from here (US)",
    ),
    LiveGateName.BALANCE: (
        told("account", {"wallet": WALLET, "collateral": "19"}, {"wallet": WALLET, "collateral": "1000"}),
        "the wallet holds 19.00 USDC",
    ),
    LiveGateName.ALLOWANCES: (
        told("account", {"wallet": WALLET, "approve": "none"}, {"wallet": WALLET, "approve": "all"}),
        "take 0.00 USDC",
    ),
    LiveGateName.ALONE: (other_worker, "another worker on this machine"),
    LiveGateName.LADDER: (on_paper, "copytrade live promote"),
}


def test_the_gates_that_are_shut_here_are_all_but_the_database_which_has_a_test_of_its_own() -> None:
    assert set(SPOILT) == set(LiveGateName) - {LiveGateName.DATABASE}


@pytest.mark.parametrize("gate", SPOILT)
def test_without_its_condition_the_start_is_refused_by_that_gate(gate: LiveGateName, sound: Ready) -> None:
    spoil, said = SPOILT[gate]
    with ExitStack() as undo:
        ended = copytrade("run", "--for", "5", environment=spoil(sound, undo), folder=sound.folder)

    assert ended.returncode == 2
    # An API key was made where the venue was asked: that is a log line, and not the refusal.
    (line,) = [one for one in ended.stderr.splitlines() if one.startswith("copytrade: ")]
    assert line.startswith(f"copytrade: live gate {gate}: ")
    assert said in line
    assert "Traceback" not in ended.stderr
    assert KEY[2:] not in ended.stderr + ended.stdout
    assert sound.world.control("posts") == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"LIVE_KEYSTORE": "none.json"}, "LIVE_KEYSTORE=none.json cannot be read (No such file or directory)"),
        ({"LIVE_PRIVATE_KEY": "abc"}, "LIVE_PRIVATE_KEY is no private key; accepted: 0x and 64 hex digits"),
        ({"LIVE_SIGNER_SOCKET": "none"}, "LIVE_SIGNER_SOCKET=none: no signer there"),
    ],
    ids=str,
)
def test_a_key_that_cannot_be_had_is_a_gate_that_is_shut(source: dict[str, str], said: str, sound: Ready) -> None:
    environment = sound.environment | {"LIVE_PRIVATE_KEY": ""} | source
    ended = copytrade("live", "status", environment=environment, folder=sound.folder)

    assert ended.returncode == 2
    assert ended.stderr.startswith(f"copytrade: live gate KEY_SOURCE: {said}")


def test_with_every_condition_status_is_ready(sound: Ready) -> None:
    seen = copytrade("live", "status", environment=sound.environment, folder=sound.folder)

    assert seen.returncode == 0, seen.stdout + seen.stderr
    assert f"configuration hash: {sound.environment['LIVE_CONFIRM']}" in seen.stdout
    assert KEY[2:] not in seen.stdout + seen.stderr


def test_the_doctor_looks_at_what_real_orders_need(sound: Ready) -> None:
    shut = told("account", {"wallet": WALLET, "approve": "none"}, {"wallet": WALLET, "approve": "all"})
    seen = [copytrade("doctor", environment=sound.environment, folder=sound.folder)]
    with account_lock(f"live-{WALLET}", folder=sound.folder):
        seen.append(copytrade("doctor", environment=sound.environment, folder=sound.folder))
    with ExitStack() as undo:
        seen.append(copytrade("doctor", environment=shut(sound, undo), folder=sound.folder))

    lines = [next(line for line in one.stdout.splitlines() if "live gate" in line) for one in seen]
    assert lines[0].split() == f"OK live gates all {len(LiveGateName)} are open".split()
    assert lines[1].endswith("are open, a worker trades the account")
    assert lines[2].startswith("FAILED")
    assert "live gate ALLOWANCES: the wallet lets" in lines[2]
    assert seen[2].returncode == 1


def test_the_lock_of_an_account_is_held_once_and_can_be_had_again(tmp_path: Path) -> None:
    with account_lock("live-me", folder=tmp_path) as first, account_lock("live-me", folder=tmp_path) as second:
        assert (first, second) == (True, False)
    with account_lock("live-me", folder=tmp_path) as again:
        assert again


@contextmanager
def signer_process(sound: Ready, path: Path) -> Iterator[None]:
    environment = sound.environment | {"LIVE_SIGNER_SOCKET": str(path), "EXECUTION_MODE": "paper"}
    command = [sys.executable, "-m", "copytrade", "signer"]
    with subprocess.Popen(command, env=environment, cwd=sound.folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert WALLET in process.stdout.readline()
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
    assert process.returncode == 0


def test_a_key_in_another_process_opens_the_gates_too(sound: Ready) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signer"
        environment = sound.environment | {"LIVE_SIGNER_SOCKET": str(path), "LIVE_PRIVATE_KEY": ""}
        with signer_process(sound, path):
            environment |= {"LIVE_CONFIRM": hash_of(environment, sound.folder)}
            seen = copytrade("live", "status", environment=environment, folder=sound.folder)
        gone = copytrade("run", "--for", "5", environment=environment, folder=sound.folder)

    assert seen.returncode == 0, seen.stdout + seen.stderr
    assert gone.returncode == 2
    assert "no signer there" in gone.stderr


def test_a_database_that_forgets_shuts_its_gate(sound: Ready, postgres_database: str) -> None:
    leader = sound.world.leaders[0]["address"]
    environment = sound.environment | {"DATABASE_URL": postgres_database, "LEADERS": leader}
    for words in (("db", "upgrade"), ("leaders", "add", leader), ("leaders", "set", leader, "--live-allowed")):
        assert copytrade(*words, environment=environment, folder=sound.folder).returncode == 0
    url = make_url(postgres_database).update_query_dict({"options": "-csynchronous_commit=off"})
    forgets = environment | {"DATABASE_URL": url.render_as_string(hide_password=False)}

    ended = copytrade("run", "--for", "5", environment=forgets, folder=sound.folder)

    assert ended.returncode == 2
    assert ended.stderr.startswith("copytrade: live gate DATABASE: PostgreSQL runs with "), ended.stderr
    assert "keeps what it commits" in ended.stderr


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def test_a_database_that_forgets_is_seen(tmp_path: Path, postgres_database: str) -> None:
    with connected("sqlite://") as connection:
        assert weakness(connection) == "the database is in memory"
    with connected(f"sqlite:///{tmp_path / 'file.db'}") as connection:
        assert weakness(connection) == ""
        connection.exec_driver_sql("PRAGMA synchronous = NORMAL")
        assert weakness(connection) == "SQLite runs with synchronous=1, less than FULL"
    with connected(postgres_database) as connection:
        connection.exec_driver_sql("SET synchronous_commit = off")
        assert " off" in weakness(connection)
