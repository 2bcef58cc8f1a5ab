"""Random secrets are pushed into every log, error, note and listing, in any shape; none of them comes out."""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import json
import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import httpx
import pytest
import structlog
from hypothesis import given, settings
from pydantic import ValidationError

from copytrade import app
from copytrade.adapters.live.credentials import key_request_headers, read_api_key, request_headers
from copytrade.adapters.live.signer import BadKeyError, LocalSigner
from copytrade.adapters.live.transport import Transport
from copytrade.adapters.live.verdicts import verdict_of
from copytrade.adapters.notify.alerts import Alerts, LogChannel, NotDeliveredError
from copytrade.adapters.system import SystemClock
from copytrade.app import redacting
from copytrade.cli import output, program
from copytrade.domain.redaction import REDACTED, Redaction
from copytrade.engine.listeners import Listeners
from copytrade.engine.notes import Notes
from copytrade.ports.leader_fills import SourceUnusableError
from copytrade.ports.ledger import LedgerUnavailableError, UnknownLeaderError
from copytrade.settings import ConfigurationError, Settings
from tests.makers import NOW_MS
from tests.random_secrets import SECRETS, WITHOUT_SHRINKING, Secrets


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    last = logging.lastResort
    formatter = last.formatter if last else None
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
        if last:
            last.setFormatter(formatter)
        structlog.reset_defaults()


@contextmanager
def no_other_log() -> Iterator[None]:
    """Leave what libraries log to the handler of last resort, as it is outside of tests."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        yield
    finally:
        root.handlers = handlers


@contextmanager
def knowing(secrets: Secrets) -> Iterator[io.StringIO]:
    """Be a process that has these secrets; yields all that it tells."""
    told = io.StringIO()
    redaction = Redaction()
    given = Settings(
        polygon_http_url=(secrets.node_url,),
        database_url=f"postgresql+psycopg://me:{secrets.password}@db/copytrade",
        telegram_bot_token=secrets.token,
        live_private_key=f"0x{secrets.key.hex()}",
    )
    encoded = base64.urlsafe_b64encode(secrets.api_secret).decode()
    api_key = read_api_key({"apiKey": secrets.api_key, "secret": encoded, "passphrase": secrets.passphrase})
    with (
        mock.patch.object(redacting, "_SECRETS", redaction),
        redirect_stderr(told),
        redirect_stdout(told),
        no_other_log(),
    ):
        redaction.learn(*redacting.secrets_of(given), secrets.keystore_passphrase)
        redaction.learn(*api_key.parts, passing=True)
        app.configure_logging(level=logging.DEBUG)
        yield told


def failing(text: str) -> Exception:
    """Return an error with causes and a traceback, all of which hold the text."""
    try:
        try:
            {}[text]
        except KeyError as error:
            error.add_note(text)
            raise RuntimeError(f"while {text}") from error
    except RuntimeError as error:
        return error


def by_structlog(text: str) -> None:
    for log in (structlog.get_logger(), structlog.get_logger("named").bind(bound=text)):
        log.debug("a.failure", exc_info=failing(text))
        log.info(text, deep={"list": [text, {text: (text,)}], "error": failing(text)}, plain=text)
        log.warning("raw", raw=text.encode(), url=f"https://me:{text}@host/{text}")


def by_libraries(text: str) -> None:
    log = logging.getLogger("some.library")
    log.warning("%s and %r", text, text)
    log.error("failed", exc_info=failing(text))


def by_a_task_that_nobody_awaits(text: str) -> None:
    async def forget() -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"Task exception was never retrieved {text}", "exception": failing(text)}
        )

    asyncio.run(forget())


def by_python_itself(text: str) -> None:
    app.redact_tracebacks()
    error = failing(text)
    sys.excepthook(type(error), error, error.__traceback__)
    group = ExceptionGroup(text, [error])
    sys.excepthook(ExceptionGroup, group, None)
    thread = threading.Thread(target=lambda: (_ for _ in ()).throw(error), name=text)
    thread.start()
    thread.join()

    class Ending:
        def __del__(self) -> None:
            raise error

    Ending()
    gc.collect()


def by_the_command_line(text: str) -> None:
    for error in (
        ConfigurationError(text),
        SourceUnusableError(f"polygon: {text}"),
        LedgerUnavailableError(text),
        UnknownLeaderError(text),
        failing(text),
        ValueError(f"two\nlines {text}"),
    ):
        program._explain(error)
    output.complain(text)


def by_listings(text: str) -> None:
    output.print_line(text)
    output.print_pairs(text, {text: text})
    output.print_table(text, ["one"], [[text]])
    output.print_json({"deep": [text, {"why": text, "error": failing(text)}, (text,)]})


class Deaf:
    name = "deaf"

    async def send(self, alert: Any) -> None:
        print(alert)
        raise NotDeliveredError(f"no {alert.text}")


def by_notes_and_notifiers(text: str) -> None:
    async def main(folder: Path) -> None:
        listeners = Listeners(redact=app.process_redaction().value)
        stored = Settings(database_url=f"sqlite:///{folder / 'notes.db'}")
        async with app.open_ledger(stored, creates=True) as ledger:
            notes = Notes(ledger=ledger, notifier=listeners, clock=SystemClock())
            alerts = Alerts(
                [LogChannel(), Deaf()], redaction=app.process_redaction(), clock=SystemClock(), note=notes.take
            )
            listeners.add(app.line_notifier(print), alerts, app.table_notifier(app.tally(), title=""))
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(part()) for part in (notes.run, alerts.run)]
                notes.take("HALTED", {"why": text, text: [failing(text)]})
                await ledger.note("DIRECT", {"why": text}, at_ms=NOW_MS)
                await ledger.note_risk("DIRECT", {"why": text}, at_ms=NOW_MS)
                while not alerts.failed["deaf"] or len(notes):
                    await asyncio.sleep(0)
                for task in running:
                    task.cancel()
        print("".join(path.read_bytes().decode("latin-1") for path in folder.iterdir()))

    with TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


def by_what_the_venue_echoes(text: str) -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"error": f"not with {text} {dict(request.headers)} {request.content!r}"})

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(echo)) as http:
            transport = Transport(
                url="https://venue",
                http=http,
                signer=LocalSigner(bytes(range(1, 33))),
                clock=SystemClock(),
                redaction=app.process_redaction(),
            )
            answer = await transport._send("POST", "/order", content=text.encode(), headers={"POLY_NONCE": "1"})
            print(answer, answer.text, verdict_of(answer, order_hash="0x12"))

    asyncio.run(main())


WAYS_OUT: list[Callable[[str], None]] = [
    by_structlog,
    by_libraries,
    by_a_task_that_nobody_awaits,
    by_python_itself,
    by_the_command_line,
    by_listings,
    by_notes_and_notifiers,
    by_what_the_venue_echoes,
]


@pytest.mark.parametrize("way_out", WAYS_OUT)
@settings(max_examples=8, deadline=None, phases=WITHOUT_SHRINKING)
@given(SECRETS)
def test_no_secret_comes_out_in_any_shape(way_out: Callable[[str], None], secrets: Secrets) -> None:
    known = [shape for shape in secrets.shapes() if way_out is not by_listings or secrets.signature.hex() not in shape]
    with knowing(secrets) as told:
        way_out(" | ".join([*known, secrets.node_url] if way_out is not by_listings else known))

    assert REDACTED in told.getvalue()
    left = secrets.found_in(told.getvalue())
    assert not [shape for shape in left if shape in known]


@settings(max_examples=20, deadline=None, phases=WITHOUT_SHRINKING)
@given(SECRETS)
def test_the_headers_of_a_request_are_told_by_nobody(secrets: Secrets) -> None:
    signer = LocalSigner(secrets.key)
    encoded = base64.urlsafe_b64encode(secrets.api_secret).decode()
    api_key = read_api_key({"apiKey": secrets.api_key, "secret": encoded, "passphrase": secrets.passphrase})
    asked = asyncio.run(key_request_headers(signer, timestamp_s=1))
    private = request_headers(api_key, address=signer.address, method="GET", path="/x", body=b"", timestamp_s=1)
    bearer = {"Authorization": f"Bearer {secrets.token}"}
    with knowing(secrets) as told:
        for headers in (asked, private, bearer, httpx.Headers(private)):
            structlog.get_logger().info(
                "sent", headers=headers, as_text=str(headers), as_json=json.dumps(dict(headers))
            )
            logging.getLogger("httpcore").warning("%r", headers)

    hidden = [asked["POLY_SIGNATURE"], *(private[f"POLY_{name}"] for name in ("SIGNATURE", "PASSPHRASE", "API_KEY"))]
    assert not [one for one in (*hidden, secrets.token) if one in told.getvalue()]
    assert signer.address in told.getvalue().lower()


@settings(max_examples=20, deadline=None, phases=WITHOUT_SHRINKING)
@given(SECRETS)
def test_what_holds_a_secret_shows_none(secrets: Secrets) -> None:
    encoded = base64.urlsafe_b64encode(secrets.api_secret).decode()
    api_key = read_api_key({"apiKey": secrets.api_key, "secret": encoded, "passphrase": secrets.passphrase})
    signer = LocalSigner(secrets.key)
    held = Settings(
        polygon_http_url=(secrets.node_url,),
        polygon_ws_url=(secrets.node_url.replace("https", "wss"),),
        gamma_http_url=f"https://proxy.example/{secrets.node_key}",
        database_url=f"postgresql+psycopg://me:{secrets.password}@db/copytrade",
        notify_webhook_url=f"https://hooks.example/{secrets.token}",
        telegram_bot_token=secrets.token,
        live_private_key=f"0x{secrets.key.hex()}",
    )
    shown = [f"{one!r} {one} {[one]}" for one in (api_key, signer, held)]
    for one in (secrets.node_url, secrets.token, secrets.key.hex()):
        for name in ("polygon_http_url", "live_signature_type", "order_ttl_ms", "live_private_key"):
            try:
                Settings.model_validate({name: [f"ftp://{one}", 7]})
            except ValidationError as error:
                shown.append(f"{error} {error!r}")
    for raw in (secrets.key[:31], secrets.key + b"1"):
        with pytest.raises(BadKeyError) as refused:
            LocalSigner(raw)
        shown.append(repr(refused.value))
    with pytest.raises(TypeError):
        pickle.dumps(signer)

    assert len(shown) > 10
    assert not secrets.found_in("".join(shown))
    assert "rpc.example" in repr(held)


def test_the_names_of_a_document_are_told_whatever_a_password_is() -> None:
    told = io.StringIO()
    with mock.patch.object(redacting, "_SECRETS", Redaction()), redirect_stdout(told):
        redacting.process_redaction().learn("status")
        output.print_json({"status": "ok", "why": "status"})

    assert json.loads(told.getvalue()) == {"status": "ok", "why": REDACTED}


def test_the_words_in_the_path_of_a_url_are_no_secrets() -> None:
    given = Settings(data_api_http_url="https://proxy.example/polymarket/data/Key4Data")

    assert [one for one in redacting.secrets_of(given) if one] == ["Key4Data"]


def test_an_error_that_ends_the_program_holds_no_secret_however_it_is_run(tmp_path: Path) -> None:
    script = (
        "import logging, sys\n"
        "from copytrade import app\n"
        "from copytrade.cli import program\n"
        "def fail(*given):\n"
        "    settings = app.load_settings()\n"
        "    logging.getLogger('x').error('%s', settings.polygon_http_url)\n"
        "    raise RuntimeError(settings.polygon_http_url)\n"
        "program.app.open_reports = fail\n"
        "sys.argv = ['copytrade', '--debug', 'status']\n"
        "program.main()\n"
    )
    environment = {"POLYGON_HTTP_URL": "https://user:hunter2hunter2@rpc.example/v2/NODEKEY01?x=QUERYKEY1", "PATH": ""}

    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )

    assert ended.returncode == 1
    assert "copytrade: stopped: RuntimeError" in ended.stderr
    assert "Traceback" in ended.stderr
    assert not [one for one in ("hunter2", "NODEKEY01", "QUERYKEY1") if one in ended.stderr + ended.stdout]
