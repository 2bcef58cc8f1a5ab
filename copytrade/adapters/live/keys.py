"""Where the key comes from, and how it is kept from everybody else."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import hmac
import os
import re
import resource
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from Crypto.Cipher import AES
from Crypto.Util import Counter

from copytrade.adapters.live.passphrase import asked_for, from_descriptor
from copytrade.adapters.live.signer import KEY_BYTES, BadKeyError, LocalSigner
from copytrade.adapters.live.typed_data import keccak256

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

KEYSTORE_BYTES_MAX: Final = 64 * 1024
SCRYPT_MEMORY_MAX: Final = 512 * 2**20
_ROUNDS_MAX: Final = 10_000_000
_PR_SET_DUMPABLE: Final = 4
_IV: Final = re.compile(f"[0-9a-fA-F]{{1,{2 * AES.block_size}}}")


def harden_process() -> None:
    """Let nobody read this process: no core dump, and no look at its memory or environment by others of this user.

    :raises BadKeyError: the system does not let it be closed.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise BadKeyError("this process cannot be closed to others, so it takes no key")


def signer_from_text(key: SecretStr, *, variable: str, learn: Callable[[bytes], None]) -> LocalSigner:
    """Take a key from an environment variable, and take the variable away; `learn` is told what may not be told.

    :raises BadKeyError: it is none.
    """
    os.environ.pop(variable, None)
    text = key.get_secret_value().strip().removeprefix("0x")
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raise BadKeyError(f"{variable} is no private key; accepted: 0x and 64 hex digits") from None
    learn(raw)
    return LocalSigner(raw)


async def signer_from_keystore(
    path: Path, *, passphrase_fd: int | None, learn: Callable[[bytes | str], None]
) -> LocalSigner:
    """Unlock a keystore v3 file with a passphrase from a file descriptor, or asked for at the terminal.

    `learn` is told what may not be told: the passphrase and the key.

    :raises BadKeyError: the file cannot be read, is open to others, or is not unlocked by that.
    """
    sealed = await asyncio.to_thread(_read, path)
    phrase = await (asked_for(path) if passphrase_fd is None else from_descriptor(passphrase_fd))
    learn(phrase.decode(errors="replace"))
    key = await asyncio.to_thread(unlock, sealed, phrase)
    learn(key)
    signer = LocalSigner(key)
    if (named := _named_address(sealed)) not in {"", signer.address}:
        raise BadKeyError(f"LIVE_KEYSTORE={path} is of another address than it names, {named}")
    return signer


def _named_address(sealed: bytes) -> str:
    """Return the address a keystore says it is of, "" where it says none; wallet programs write it without 0x."""
    named = str(msgspec.json.decode(sealed).get("address") or "").lower().removeprefix("0x")
    return f"0x{named}" if named else ""


def unlock(sealed: bytes, passphrase: bytes) -> bytes:
    """Return the 32 bytes of the key in a keystore v3 (scrypt or PBKDF2, AES-128-CTR).

    :raises BadKeyError: not such a keystore, or another passphrase.
    """
    try:
        store = msgspec.json.decode(sealed)
        crypto = store.get("crypto") or store["Crypto"]
        if store.get("version") != 3 or crypto["cipher"] != "aes-128-ctr":
            raise BadKeyError("the keystore is not of version 3 with aes-128-ctr")
        cipher_text, mac = bytes.fromhex(crypto["ciphertext"]), bytes.fromhex(crypto["mac"])
        start = _start(crypto["cipherparams"]["iv"])
        derived = _derive(crypto["kdf"], crypto["kdfparams"], passphrase)
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError, ValueError):
        raise BadKeyError("the keystore cannot be read: not a keystore v3") from None
    if not hmac.compare_digest(keccak256(derived[16:32] + cipher_text), mac):
        raise BadKeyError("the keystore is not unlocked by this passphrase")
    counter = Counter.new(128, initial_value=start)
    key = AES.new(derived[:16], AES.MODE_CTR, counter=counter).decrypt(cipher_text)
    return key.rjust(KEY_BYTES, bytes(1))


def _start(written: str) -> int:
    """Read where the cipher starts; wallet programs leave zeros away at the front."""
    if _IV.fullmatch(written) is None:
        raise ValueError("iv")
    return int(written, 16)


def _derive(kind: str, given: dict[str, Any], passphrase: bytes) -> bytes:
    salt, length = bytes.fromhex(given["salt"]), int(given["dklen"])
    if length != 32:
        raise ValueError("dklen")
    if kind == "scrypt":
        n, r, p = (int(given[name]) for name in ("n", "r", "p"))
        return hashlib.scrypt(passphrase, salt=salt, n=n, r=r, p=p, dklen=length, maxmem=SCRYPT_MEMORY_MAX)
    if kind != "pbkdf2" or given.get("prf") != "hmac-sha256" or not 0 < int(given["c"]) <= _ROUNDS_MAX:
        raise ValueError("kdf")
    return hashlib.pbkdf2_hmac("sha256", passphrase, salt, int(given["c"]), length)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise BadKeyError(f"LIVE_KEYSTORE={path} can be read by others; accepted: a file of mode 0600")
            if facts.st_uid != os.geteuid():
                raise BadKeyError(f"LIVE_KEYSTORE={path} belongs to another user; accepted: a file of your own")
            return file.read(KEYSTORE_BYTES_MAX)
    except OSError as error:
        raise BadKeyError(f"LIVE_KEYSTORE={path} cannot be read ({error.strerror})") from None
