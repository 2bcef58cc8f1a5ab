"""What cannot work ends the start with exit code 2 and one line that names the thing."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.makers import LEADER
from tests.processes import clean_environment, copytrade

pytestmark = pytest.mark.processes

HTML = b"<!doctype html><html><body>Please enable JavaScript</body></html>"


@contextmanager
def answering(body: bytes, kind: str = "text/html") -> Iterator[str]:
    """Serve the same body to every request; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *parts: Any) -> None:
            del parts

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"TRIGGER_MODE": "foo"}, "TRIGGER_MODE is 'foo'; accepted: data_api, polygon, both"),
        ({"EXECUTION_MODE": "live"}, "live gate LEADERS: nobody is followed"),
        ({"TRIGGER_MODE": "both"}, "POLYGON_HTTP_URL is not set"),
        ({"LEADERS": "0xnobody"}, "LEADERS is '0xnobody'; accepted: comma-separated addresses"),
        ({"DATABASE_URL": "sqlite:////nowhere/at/all.db"}, "there is no folder"),
        ({"DATABASE_URL": "mysql://me:hunter2@host/db"}, "is not sqlite:///PATH or postgresql+psycopg"),
    ],
)
def test_a_wrong_variable_is_named(variables: dict[str, str], said: str, tmp_path: Path) -> None:
    ended = copytrade("run", "--for", "5", environment=clean_environment() | variables, folder=tmp_path)

    assert ended.returncode == 2
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "hunter2" not in ended.stderr


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        bind = f"127.0.0.1:{other.getsockname()[1]}"

        ended = copytrade("run", environment=clean_environment() | {"HTTP_BIND": bind}, folder=tmp_path)

    assert ended.returncode == 2
    assert f"HTTP_BIND is '{bind}'" in ended.stderr
    assert "in use" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("these are my notes, please keep them" * 50)

    ended = copytrade("run", environment=clean_environment() | {"DATABASE_URL": "sqlite:///notes.db"}, folder=tmp_path)

    assert ended.returncode == 2
    assert "notes.db" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert (tmp_path / "notes.db").read_text().startswith("these are my notes")


def test_an_rpc_on_another_chain_is_named_with_both_chains(tmp_path: Path) -> None:
    mainnet = json.dumps({"jsonrpc": "2.0", "id": 1, "result": "0x1"}).encode()
    with answering(mainnet, "application/json") as url:
        ended = _run_against(url, tmp_path)

    assert ended.returncode == 2
    assert "copytrade: POLYGON_HTTP_URL: 127.0.0.1" in ended.stderr
    assert "137" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_rpc_url_that_answers_html_is_named(tmp_path: Path) -> None:
    with answering(HTML) as url:
        ended = _run_against(url, tmp_path)

    assert ended.returncode == 2
    assert "POLYGON_HTTP_URL: 127.0.0.1: answered a web page" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_misspelt_variable_is_reported_and_the_start_goes_on(tmp_path: Path) -> None:
    nowhere = dict.fromkeys(("GAMMA_HTTP_URL", "CLOB_HTTP_URL", "DATA_API_HTTP_URL"), "http://127.0.0.1:9")
    sockets = {"CLOB_MARKET_WS_URL": "ws://127.0.0.1:9", "TRIGER_MODE": "both"}

    ended = copytrade("run", "--for", "1", environment=clean_environment() | nowhere | sockets, folder=tmp_path)

    assert ended.returncode == 0
    assert "TRIGER_MODE is set but is none of our variables; did you mean TRIGGER_MODE?" in ended.stderr
    assert "NO_LEADERS" in ended.stdout


def _run_against(rpc_url: str, folder: Path) -> Any:
    nowhere = dict.fromkeys(("GAMMA_HTTP_URL", "CLOB_HTTP_URL", "DATA_API_HTTP_URL"), "http://127.0.0.1:9")
    chain = {"TRIGGER_MODE": "polygon", "POLYGON_HTTP_URL": rpc_url, "CLOB_MARKET_WS_URL": "ws://127.0.0.1:9"}
    variables = clean_environment() | nowhere | chain | {"LEADERS": LEADER}
    return copytrade("run", "--for", "20", environment=variables, folder=folder)
