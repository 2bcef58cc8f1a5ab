"""Requests and answers as the services see them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


class BadRequestError(Exception):
    """The caller's mistake; `body` is the JSON the venue would answer with `status`."""

    def __init__(self, body: Any, *, status: int = 400) -> None:
        """Keep the answer for the server to send."""
        super().__init__(str(body))
        self.body = body
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request; `query` keeps repeated parameters in order."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def first(self, *names: str) -> str | None:
        """Return the first value of the first parameter present, under any of its spellings."""
        for name in names:
            for key, value in self.query:
                if key == name:
                    return value
        return None

    def every(self, name: str) -> list[str]:
        """Return all values of a repeatable parameter, splitting commas."""
        values = [value for key, value in self.query if key in (name, f"{name}[]")]
        return [part for value in values for part in value.split(",") if part]

    def flag(self, *names: str, default: bool) -> bool:
        """Return a boolean parameter."""
        value = self.first(*names)
        return default if value is None else value.lower() in ("true", "1")

    def json(self) -> Any:
        """Parse the body; raises BadRequestError when it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise BadRequestError({"error": "Invalid payload"}) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def split_target(target: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Split a request target into its path and its parameters."""
    parts = urlsplit(target)
    return unquote(parts.path), tuple(parse_qsl(parts.query, keep_blank_values=True))


def json_response(payload: Any, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Answer with compact JSON."""
    body = json.dumps(payload, separators=(",", ":")).encode()
    return Response(status=status, body=body, headers=headers)


def text_response(text: str, *, status: int = 200) -> Response:
    """Answer with plain text."""
    return Response(status=status, body=text.encode(), content_type="text/plain; charset=utf-8")
