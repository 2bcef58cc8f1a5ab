"""Stands where the world would be asked, in runs that know the answer or need none."""

from __future__ import annotations

from typing import Any


class Nobody:
    """Raises LookupError for whatever is asked of it; `whose` names the run that asked."""

    def __init__(self, whose: str) -> None:
        self._whose = whose

    def __getattr__(self, name: str) -> Any:
        raise LookupError(f"{self._whose} asks nobody for {name}")
