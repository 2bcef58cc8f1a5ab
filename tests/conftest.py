"""What every test gets: no network, a PostgreSQL and the recorded data where asked for."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog

pytest_plugins = ("tests.postgres",)

# A slow machine is no counterexample. In CI a failure must not depend on the draw.
hypothesis.settings.register_profile("local", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
IN_CI = os.environ.get("CI", "").lower() == "true"
hypothesis.settings.load_profile("ci" if IN_CI else "local")

NO_RECORDED_DATA = "RECORDED_DATA is not set"


@pytest.fixture(autouse=True)
def _log_where_logs_go() -> Iterator[None]:
    """Forget after each test where it had logs written: a captured stream is closed with its test."""
    yield
    structlog.reset_defaults()


class NetworkUsedError(RuntimeError):
    """A test tried to reach another machine."""


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    """Let sockets of this process reach nothing but this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        yield


def _guarded(connect: Any) -> Any:
    def checked(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise NetworkUsedError(f"a test may not reach {address[0]}")
        return connect(self, address)

    return checked


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def recorded_data() -> Path:
    """Give the folder of recorded venue data, `RECORDED_DATA`.

    Without it a test is skipped on a developer's machine, and fails in CI.
    """
    given = os.environ.get("RECORDED_DATA")
    if not given:
        if IN_CI:
            pytest.fail(f"{NO_RECORDED_DATA}, and CI must not skip", pytrace=False)
        pytest.skip(NO_RECORDED_DATA)
    folder = Path(given).resolve()
    if not folder.is_dir():
        pytest.fail(f"RECORDED_DATA is {given}, which is no folder", pytrace=False)
    return folder


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say loudly how much was left out for want of data."""
    skipped = [
        report for report in terminalreporter.stats.get("skipped", []) if NO_RECORDED_DATA in str(report.longrepr)
    ]
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} tests skipped: {NO_RECORDED_DATA}", bold=True, yellow=True)
