"""The passphrase of a keystore, from a file descriptor or the terminal. An interrupt ends the waiting at once."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
from typing import TYPE_CHECKING, Final

from copytrade.adapters.live.signer import BadKeyError

if TYPE_CHECKING:
    from pathlib import Path

PASSPHRASE_BYTES_MAX: Final = 4_096
_LOCAL_FLAGS: Final = 3


async def from_descriptor(descriptor: int) -> bytes:
    """Read a passphrase to the end of its line, and close the descriptor.

    :raises BadKeyError: it is none that can be read.
    """
    try:
        try:
            return await _line(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BadKeyError(f"LIVE_PASSPHRASE_FD={descriptor} cannot be read ({error.strerror})") from None


async def asked_for(path: Path) -> bytes:
    """Ask for the passphrase of a keystore, unseen; however that ends, the terminal is as it was.

    :raises BadKeyError: there is no terminal.
    """
    if not sys.stdin.isatty():
        raise BadKeyError("there is no terminal to ask for the passphrase; set LIVE_PASSPHRASE_FD")
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    unseen = [*before]
    unseen[_LOCAL_FLAGS] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSAFLUSH, unseen)
    try:
        _say(f"Passphrase of {path}: ")
        return await _line(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        _say("\n")


async def _line(descriptor: int) -> bytes:
    read = b""
    while b"\n" not in read and len(read) < PASSPHRASE_BYTES_MAX:
        await _readable(descriptor)
        part = os.read(descriptor, PASSPHRASE_BYTES_MAX)
        if not part:
            break
        read += part
    return read.partition(b"\n")[0].rstrip(b"\r")


async def _readable(descriptor: int) -> None:
    """Wait until there is something to read; a file, which cannot be waited for, always has."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:
        return
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
