"""One worker for one account on this machine: a lock that ends with the process that holds it, however that ends."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def account_lock(account_id: str, *, folder: Path | None = None) -> Iterator[bool]:
    """Hold the lock of an account; yields False where another process has it, or it cannot be had at all.

    `folder` is that of temporary files where none is given.
    """
    path = (folder or Path(tempfile.gettempdir())) / f"copytrade-{account_id}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        yield False
        return
    try:
        yield _is_taken(descriptor)
    finally:
        os.close(descriptor)


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
