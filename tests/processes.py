"""Real processes for tests: the sandbox and the worker, as a user starts them."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.request import Request, urlopen

from copytrade.settings import Settings

ROOT = Path(__file__).parents[1]
START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 15.0
POLL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class World:
    """A running sandbox."""

    urls: dict[str, str]
    leaders: list[dict[str, str]]

    def control(self, path: str) -> Any:
        """Return what the sandbox's own record says."""
        with urlopen(f"{self.urls['CONTROL_URL']}/{path}", timeout=10) as answer:
            return json.load(answer)

    def command(self, path: str, **body: Any) -> Any:
        """Tell the sandbox to do something to the worker or its world."""
        request = Request(f"{self.urls['CONTROL_URL']}/{path}", json.dumps(body).encode(), method="POST")
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def environment(self, database_url: str, **more: str) -> dict[str, str]:
        """Return the variables of a worker that follows this world's leaders with both sources."""
        given = {
            "DATABASE_URL": database_url,
            "TRIGGER_MODE": "both",
            "LEADERS": ",".join(leader["address"] for leader in self.leaders),
            **{name: url for name, url in self.urls.items() if name != "CONTROL_URL"},
            **more,
        }
        return clean_environment() | given


def wait_until(holds: Callable[[], bool], *, deadline_s: float = START_DEADLINE_S) -> None:
    """Ask until it holds; fails after `deadline_s`."""
    deadline = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < deadline, "it never held"
        time.sleep(POLL_S)


def clean_environment() -> dict[str, str]:
    """Return this process's variables without any of ours, but that no port is taken for metrics."""
    ours = {name.upper() for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name not in ours} | {"HTTP_BIND": ""}


@contextmanager
def a_world(*options: str, program: Sequence[str] = ("copytrade", "sandbox")) -> Iterator[World]:
    """Run `copytrade sandbox`, or a module that serves like it, on a free port; it ends with the block and with us."""
    process = subprocess.Popen(
        [sys.executable, "-m", *program, "--port", "0", "--tied", *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=clean_environment(),
        text=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        said = json.loads(process.stdout.readline())
        yield World(urls=said["urls"], leaders=said["leaders"])
    finally:
        process.stdin.close()
        process.wait(STOP_DEADLINE_S)
        process.stdout.close()


class WorkerProcess:
    """`copytrade run`, its lines read as they come."""

    def __init__(self, environment: dict[str, str], folder: Path, *options: str) -> None:
        self._errors: IO[str] = (folder / "worker.err").open("a")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "copytrade", "run", *options],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            cwd=folder,
            text=True,
        )
        self.lines: list[str] = []

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def read_until(self, word: str, *, count: int = 1, deadline_s: float = START_DEADLINE_S) -> None:
        """Read lines until `count` of them hold `word`; fails after `deadline_s`."""
        assert self._process.stdout
        deadline = time.monotonic() + deadline_s
        while count and time.monotonic() < deadline:
            line = self._process.stdout.readline()
            if not line:
                raise AssertionError(f"the worker ended before it said {word!r}: {self.lines[-3:]}")
            self.lines.append(line)
            count -= word in line
        assert not count, f"the worker never said {word!r}"

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._close()

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C does; return its exit code."""
        self._process.send_signal(signal.SIGINT)
        rest, _ = self._process.communicate(timeout=STOP_DEADLINE_S)
        self.lines += rest.splitlines()
        self._errors.close()
        return self._process.returncode

    def _close(self) -> None:
        self._process.wait(STOP_DEADLINE_S)
        assert self._process.stdout
        self._process.stdout.close()
        self._errors.close()


def on_a_screen(*words: str, folder: Path, columns: int) -> list[str]:
    """Return the lines that a verb shows on a terminal of that width, without their colours."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in clean_environment().items() if name not in {"COLUMNS", "LINES"}}
    with subprocess.Popen(
        [sys.executable, "-m", "copytrade", *words],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=environment | {"TERM": "xterm"},
        cwd=folder,
    ):
        os.close(theirs)
        said = b"".join(_read_all(ours))
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode()).splitlines()


def _read_all(terminal: int) -> Iterator[bytes]:
    """Yield what comes until the last process has left the terminal."""
    while True:
        try:
            read = os.read(terminal, 65_536)
        except OSError:
            return
        if not read:
            return
        yield read


def copytrade(*words: str, environment: dict[str, str] | None = None, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one verb to its end."""
    return subprocess.run(
        [sys.executable, "-m", "copytrade", *words],
        capture_output=True,
        text=True,
        env=environment or clean_environment(),
        cwd=folder,
        timeout=60,
        check=False,
    )
