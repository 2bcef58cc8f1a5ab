"""A real EVM node for the tests: anvil, the one `ANVIL` names or the one `scripts/anvil` has installed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

INSTALLED = Path(__file__).parents[2] / ".venv/anvil/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
START_SECONDS_MAX = 10.0
STOP_SECONDS_MAX = 10.0
CHAIN_ID = 137
FINAL_BEHIND = 8
"""The finalized block is so many below the head: two epochs."""
SENDERS = 40


def find_anvil() -> Path:
    """Return the binary; without one the test fails, it is never skipped."""
    given = os.environ.get("ANVIL")
    found = Path(shutil.which(given) or given) if given else INSTALLED
    if not os.access(found, os.X_OK):
        reason = f"ANVIL is {given}, which cannot be run" if given else "run scripts/anvil, or set ANVIL"
        pytest.fail(f"no EVM node for the tests: {reason}", pytrace=False)
    return found


class Anvil:
    """A running node; `address` is its "host:port"."""

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self.address = address
        self._process = process

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Stop it in its tracks for a while: connections stay, nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def running_anvil(*, genesis_s: int) -> Iterator[Anvil]:
    """Run a node of its own with an empty chain that mines when told."""
    command = [find_anvil(), "--port", "0", "--chain-id", str(CHAIN_ID), "--timestamp", str(genesis_s)]
    command += ["--no-mining", "--order", "fifo", "--accounts", str(SENDERS)]
    command += ["--slots-in-an-epoch", str(FINAL_BEHIND // 2)]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [*_die_with_the_tests(), *map(str, command)], stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            yield Anvil(process, _address(process, said.fileno()))
        finally:
            process.terminate()
            process.wait(STOP_SECONDS_MAX)


def _address(process: subprocess.Popen[bytes], said: int) -> str:
    deadline = time.monotonic() + START_SECONDS_MAX
    text = ""
    while process.poll() is None and time.monotonic() < deadline:
        text = os.pread(said, 65_536, 0).decode()
        if found := re.search(r"Listening on (\S+)\n", text):
            return found[1]
        time.sleep(0.002)
    pytest.fail(f"anvil did not start:\n{text}", pytrace=False)


def _die_with_the_tests() -> list[str]:
    """Return the prefix which has the kernel end the node if the tests are killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []
