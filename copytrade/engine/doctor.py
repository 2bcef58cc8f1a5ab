"""Whether everything the worker depends on is there and as it should be, asked once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

CHECK_SECONDS_MAX: Final = 15


class CheckFailedError(Exception):
    """A dependency is not as it should be; the text says what was found and what is wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing to ask: `ask` returns what was found, in words.

    `ask` raises CheckFailedError. A failure of one that is not `is_needed` is a warning.
    """

    name: str
    ask: Callable[[], Awaitable[str]]
    is_needed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found; `is_fine` is False for what must be put right."""

    name: str
    is_fine: bool
    is_needed: bool
    detail: str

    @property
    def verdict(self) -> str:
        """OK, WARNING or FAILED."""
        if self.is_fine:
            return "OK"
        return "FAILED" if self.is_needed else "WARNING"


async def examine(checks: Sequence[Check]) -> list[Finding]:
    """Ask everything at once and return the findings in the order of the checks."""
    async with asyncio.TaskGroup() as asking:
        asked = [asking.create_task(_ask(check), name=f"check {check.name}") for check in checks]
    return [task.result() for task in asked]


async def _ask(check: Check) -> Finding:
    try:
        async with asyncio.timeout(CHECK_SECONDS_MAX):
            is_fine, detail = True, await check.ask()
    except TimeoutError:
        is_fine, detail = False, f"no answer within {CHECK_SECONDS_MAX} s"
    except CheckFailedError as error:
        is_fine, detail = False, str(error)
    return Finding(name=check.name, is_fine=is_fine, is_needed=check.is_needed, detail=detail)
