"""The key comes from where it may, goes nowhere else, and no output of this adapter has any of it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import structlog
from eth_account import Account
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from websockets.asyncio.server import ServerConnection, serve

from copytrade import app
from copytrade.adapters.live import keys
from copytrade.adapters.live.keys import signer_from_keystore, signer_from_text, unlock
from copytrade.adapters.live.passphrase import asked_for, from_descriptor
from copytrade.adapters.live.signer import BadKeyError
from copytrade.adapters.live.user_stream import connect_to_user
from copytrade.adapters.memory import MemoryLedger
from copytrade.adapters.system import SystemClock
from copytrade.app.live_start import configured_facts
from copytrade.domain.attempts import OPEN_STATUSES
from copytrade.domain.live_gates import LiveGateName, refusals
from copytrade.settings import ConfigurationError, load
from tests.makers import NOW_MS
from tests.unit.live.life import Floor, Life, on_floor
from tests.virtual_time import run_virtual

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ADDRESS = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
PASSPHRASE = "correct horse"


def a_keystore(kdf: str = "scrypt") -> dict[str, Any]:
    return Account.encrypt(KEY, PASSPHRASE, kdf=kdf, iterations=2 if kdf == "pbkdf2" else 2**4)


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(a_keystore()))
    path.chmod(0o600)
    return path


def a_descriptor(text: str) -> int:
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
def test_a_keystore_of_another_program_is_unlocked(kdf: str) -> None:
    assert unlock(json.dumps(a_keystore(kdf)).encode(), PASSPHRASE.encode()).hex() == KEY[2:]


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\nmore"])
async def test_the_passphrase_is_read_from_a_descriptor_to_the_end_of_its_line(keystore: Path, ending: str) -> None:
    descriptor, learnt = a_descriptor(PASSPHRASE + ending), []

    assert (await signer_from_keystore(keystore, passphrase_fd=descriptor, learn=learnt.append)).address == ADDRESS
    assert learnt == [PASSPHRASE, bytes.fromhex(KEY[2:])]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


async def test_a_wrong_passphrase_unlocks_nothing(keystore: Path) -> None:
    with pytest.raises(BadKeyError, match="not unlocked by this passphrase") as refused:
        await signer_from_keystore(keystore, passphrase_fd=a_descriptor("battery staple"), learn=print)
    assert "battery" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
async def test_a_keystore_that_others_can_read_is_refused(keystore: Path, mode: int) -> None:
    keystore.chmod(mode)

    with pytest.raises(BadKeyError, match="can be read by others"):
        await signer_from_keystore(keystore, passphrase_fd=a_descriptor(PASSPHRASE), learn=print)


async def test_a_passphrase_is_asked_for_only_at_a_terminal(keystore: Path) -> None:
    with mock.patch.object(sys, "stdin", io.StringIO()), pytest.raises(BadKeyError, match="LIVE_PASSPHRASE_FD"):
        await signer_from_keystore(keystore, passphrase_fd=None, learn=print)


async def test_a_line_is_enough_of_a_descriptor_that_stays_open() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"correct ")
    read = asyncio.create_task(from_descriptor(reading))
    await asyncio.sleep(0)
    os.write(writing, b"horse\n")

    assert (await read).decode() == PASSPHRASE
    os.close(writing)


async def test_a_passphrase_is_read_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text(f"{PASSPHRASE}\n")

    assert (await from_descriptor(os.open(tmp_path / "phrase", os.O_RDONLY))).decode() == PASSPHRASE


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield ours, theirs
    os.close(ours)


def shows(terminal: int) -> bool:
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


async def asked(theirs: int) -> asyncio.Task[bytes]:
    """Ask, and wait until that is under way."""
    asking = asyncio.create_task(asked_for(Path("key.json")))
    while shows(theirs):
        await asyncio.sleep(0)
    return asking


async def test_a_passphrase_is_typed_unseen(terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    asking = await asked(theirs)
    os.write(ours, f"{PASSPHRASE}\nseen\n".encode())

    assert (await asking).decode() == PASSPHRASE
    assert shows(theirs)
    os.write(theirs, b"end\n")
    assert PASSPHRASE not in os.read(ours, 1_000).decode()


async def test_an_interrupt_ends_the_question_and_leaves_the_terminal_as_it_was(terminal: tuple[int, int]) -> None:
    _, theirs = terminal
    asking = await asked(theirs)
    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    assert shows(theirs)


@given(
    st.one_of(
        st.binary(max_size=64), st.recursive(st.none() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
    )
)
def test_what_is_no_keystore_is_refused(sealed: bytes) -> None:
    with pytest.raises(BadKeyError):
        unlock(sealed, b"")


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_keystore_with_a_field_changed_is_refused(data: st.DataObject) -> None:
    store = a_keystore("pbkdf2")
    crypto = store["crypto"]
    name = data.draw(st.sampled_from(["cipher", "ciphertext", "kdf", "mac", "kdfparams", "cipherparams"]))
    crypto[name] = data.draw(st.none() | st.text(max_size=8) | st.integers())

    with pytest.raises(BadKeyError):
        unlock(json.dumps(store).encode(), PASSPHRASE.encode())


@pytest.mark.parametrize("zeros", [1, 2, 15, 16])
def test_a_keystore_whose_cipher_starts_with_zeros_is_unlocked(zeros: int) -> None:
    """The library that writes keystores here leaves them away."""
    with mock.patch("eth_keyfile.keyfile.Random.get_random_bytes", lambda count: bytes(zeros).ljust(count, b"\7")):
        store = a_keystore()

    assert len(store["crypto"]["cipherparams"]["iv"]) < 32
    assert unlock(json.dumps(store).encode(), PASSPHRASE.encode()).hex() == KEY[2:]


@pytest.mark.parametrize("start", ["", "-1", "0x01", "ff" * 20, "zz" * 16, None, 7])
def test_a_keystore_whose_cipher_starts_nowhere_is_refused(start: Any) -> None:
    store = a_keystore()
    store["crypto"]["cipherparams"]["iv"] = start

    with pytest.raises(BadKeyError, match="cannot be read"):
        unlock(json.dumps(store).encode(), PASSPHRASE.encode())


@pytest.mark.parametrize("named", [ADDRESS[2:], ADDRESS, ADDRESS.upper(), "", None])
async def test_a_keystore_may_name_its_address(keystore: Path, named: Any) -> None:
    keystore.write_text(json.dumps(a_keystore() | {"address": named}))

    assert (await signer_from_keystore(keystore, passphrase_fd=a_descriptor(PASSPHRASE), learn=len)).address == ADDRESS


async def test_a_keystore_that_names_another_address_is_refused(keystore: Path) -> None:
    """What decides which key comes out, the start of the cipher, is covered by no checksum of the format."""
    store = a_keystore()
    store["crypto"]["cipherparams"]["iv"] = "11" * 16
    keystore.write_text(json.dumps(store))

    with pytest.raises(BadKeyError, match=f"is of another address than it names, 0x{ADDRESS[2:]}"):
        await signer_from_keystore(keystore, passphrase_fd=a_descriptor(PASSPHRASE), learn=len)


def test_a_key_from_the_environment_is_taken_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVE_PRIVATE_KEY", KEY)
    learnt: list[bytes] = []

    assert signer_from_text(SecretStr(KEY), variable="LIVE_PRIVATE_KEY", learn=learnt.append).address == ADDRESS
    assert "LIVE_PRIVATE_KEY" not in os.environ
    assert learnt == [bytes.fromhex(KEY[2:])]


@pytest.mark.parametrize(
    ("variables", "gate", "said"),
    [
        ({}, LiveGateName.KEY_SOURCE, "there is no key; set LIVE_KEYSTORE"),
        ({"LIVE_PRIVATE_KEY": KEY}, LiveGateName.KEY_SOURCE, "LIVE_ACCEPT_ENV_KEY=true"),
        (
            {"LIVE_PRIVATE_KEY": KEY, "LIVE_ACCEPT_ENV_KEY": "true", "LIVE_KEYSTORE": "k.json"},
            LiveGateName.KEY_SOURCE,
            "LIVE_KEYSTORE and LIVE_PRIVATE_KEY are all set",
        ),
        ({"LIVE_KEYSTORE": "k.json"}, LiveGateName.CAPS, "LIVE_MAX_USDC_PER_ORDER is not set"),
        ({"LIVE_MAX_USDC_PER_ORDER": "5"}, LiveGateName.CAPS, "LIVE_MAX_USDC_PER_DAY is not set"),
    ],
)
async def test_live_without_a_key_or_a_cap_is_refused_by_its_gate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], gate: LiveGateName, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ({"EXECUTION_MODE": "live"} | variables).items():
        monkeypatch.setenv(name, value)

    app.upgrade_schema(load())
    facts = await configured_facts(load(), MemoryLedger(), SystemClock())

    why = {refused.gate: refused.why for refused in refusals(facts)}
    assert said in why[gate]
    assert KEY[2:10] not in repr(facts) + repr(why)


def test_a_wallet_that_is_not_the_keys_own_is_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"EXECUTION_MODE": "live", "LIVE_SIGNATURE_TYPE": "3"}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match="LIVE_WALLET is not set"):
        load()


def test_a_process_that_holds_a_key_dumps_no_core_and_shows_nobody_its_memory() -> None:
    script = (
        "import ctypes, resource\n"
        "from copytrade.adapters.live.keys import harden_process\n"
        "harden_process()\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
    )

    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert said.strip() == "(0, 0) 0"


class Ear(logging.Handler):
    """Hears everything that any library logs, with its arguments."""

    def __init__(self) -> None:
        super().__init__(level=0)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(f"{record.getMessage()} {record.__dict__}")


TROUBLES = [
    {"kind": "lost_response"},
    {"kind": "lost_request"},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 401, "body": {"error": "Unauthorized/Invalid api key"}},
    {"kind": "status", "status": 403, "body": "<html>no</html>"},
    {"kind": "status", "status": 200, "body": "<html>no</html>"},
    {"kind": "status", "status": 200, "body": {"success": True}},
]
TARGETS = ["POST /order", "DELETE /order", "GET /data", "GET /auth", "POST /auth"]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(min_size=32, max_size=32).filter(lambda raw: 0 < int.from_bytes(raw) < 2**255),
    st.lists(st.tuples(st.sampled_from(TARGETS), st.sampled_from(TROUBLES)), max_size=4),
)
def test_no_secret_reaches_a_log_an_error_or_the_ledger(raw: bytes, troubles: list[tuple[str, dict[str, Any]]]) -> None:
    ear, said = Ear(), []
    root = logging.getLogger()
    root.addHandler(ear)
    level, root.level = root.level, 1
    secrets = {raw.hex(), str(int.from_bytes(raw))}

    async def story(floor: Floor) -> None:
        with mock.patch("tests.unit.live.life.KEY", "0x" + raw.hex()):
            life = Life(floor)
        await life.fund()
        await floor.show()
        await floor.control("drop", kind="user")
        for target, trouble in troubles:
            await floor.control("trouble", target=target, **trouble)
        await life.start()
        await asyncio.sleep(3)
        for number in range(3):
            attempt = await life.trade(f"order {number}")
            await asyncio.sleep(2)
            said.append(repr((await life.now(attempt.id)).reasons))
            said.append(repr(life.following.open))
        await floor.control("credentials", revoke=True)
        await asyncio.sleep(40)
        api_key = await life.transport.api_key()
        secrets.update({api_key.passphrase, api_key.encoded_secret, api_key.secret.hex()})
        signed = [order for order in life.following.open.values() if order.signed is not None]
        secrets.update(order.signed[1].hex() for order in signed if order.signed is not None)
        said.extend(map(repr, [life.signer, api_key, life.transport, life.executor, *life.ledger.events]))
        said.extend(map(repr, [life.ledger.venue_orders, life.ledger._attempts, life.notifier.told]))
        said.append(repr([one for one in life.ledger._attempts.values() if one.status in OPEN_STATUSES]))
        await life.stop()

    try:
        with structlog.testing.capture_logs() as captured:
            run_virtual(lambda: on_floor(story), epoch_ms=NOW_MS)
    finally:
        root.removeHandler(ear)
        root.level = level
    everything = "\n".join([*said, *ear.heard, *map(repr, captured)])
    assert not [secret for secret in secrets if secret.lower() in everything.lower()]


async def test_the_first_frame_is_in_no_log_however_much_is_logged() -> None:
    ear, heard = Ear(), []
    logging.getLogger().addHandler(ear)
    level, logging.getLogger().level = logging.getLogger().level, 1

    async def listen(socket: ServerConnection) -> None:
        heard.append(await socket.recv())

    try:
        async with serve(listen, "127.0.0.1", 0, logger=logging.getLogger("the other end")) as server:
            logging.getLogger("the other end").setLevel(logging.WARNING)
            socket = await connect_to_user(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            await socket.send("a frame with a secret")
            await socket.close()
    finally:
        logging.getLogger().removeHandler(ear)
        logging.getLogger().level = level
    assert heard == ["a frame with a secret"]
    assert "secret" not in "".join(ear.heard)


def test_the_module_is_loaded_in_live_mode_only() -> None:
    script = (
        "import sys, copytrade.__main__, copytrade.app.worker\n"
        "print([name for name in sys.modules if name.startswith(('copytrade.adapters.live', 'coincurve'))])\n"
    )

    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert said.strip() == "[]"
    assert keys
