"""The kill-switch that needs nothing but a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.ports.risk import HaltSwitch

if TYPE_CHECKING:
    from pathlib import Path

TEXT_READ_MAX: Final = 4_096


class HaltFile(HaltSwitch):
    """Thrown while the file is there; its text is the reason.

    A file that is there and cannot be read halts too. Looking is one system call on a local file system, so it
    is not handed to a thread: a thread may be busy just when it matters.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def thrown(self) -> str | None:
        """Return the file's text, None if there is no file."""
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                return file.read(TEXT_READ_MAX)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return f"{self._path} cannot be read: {error.strerror}"
