"""The windows in which the matching engine takes no orders, or only some (docs "Matching engine")."""

from __future__ import annotations

from typing import Any

from copytrade.sandbox.http_message import BadRequestError
from copytrade.sandbox.trading.conditions import Conditions, Mode

TEXTS = {
    Mode.RESTARTING: (425, "matching engine is restarting"),
    Mode.POST_ONLY: (503, "post-only mode: only post-only orders and cancels are allowed"),
    Mode.CANCEL_ONLY: (503, "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."),
    Mode.DISABLED: (503, "Trading is currently disabled. Check polymarket.com for updates"),
}


class WindowError(BadRequestError):
    """The engine does not take this now; `text` is for answers to one order among several."""

    def __init__(self, body: dict[str, Any], *, status: int, text: str) -> None:
        """Keep the answer."""
        super().__init__(body, status=status)
        self.text = text


def check_window(conditions: Conditions, *, now_ms: int, cancels: bool = False, post_only: bool = False) -> None:
    """Raise WindowError when orders, or cancels, are not taken now."""
    mode, seconds_left = conditions.mode(now_ms)
    if mode is Mode.NORMAL:
        return
    if (cancels and mode in (Mode.CANCEL_ONLY, Mode.POST_ONLY)) or (post_only and mode is Mode.POST_ONLY):
        return
    status, text = TEXTS[mode]
    body: dict[str, Any] = {conditions.spelling: text}
    if mode is Mode.POST_ONLY and conditions.spelling == "error":
        body["code"] = "post_only_mode"
    if seconds_left is not None and mode in (Mode.RESTARTING, Mode.POST_ONLY):
        body["retry_after_seconds"] = seconds_left
    raise WindowError(body, status=status, text=text)
