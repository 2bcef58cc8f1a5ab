"""Secrets taken out of whatever is told: known ones wherever they stand, and what looks like one."""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from numbers import Real
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

REDACTED: Final = "[redacted]"
SECRET_LENGTH_MIN: Final = 4
"""Anything shorter is found in every other word."""
LASTING_MAX: Final = 256
"""Secrets of the process: its key, its passwords, the keys in its URLs. Those beyond push out the oldest."""
PASSING_MAX: Final = 64
"""Secrets that are replaced by others while it runs: an API key has three."""
_WORD_DIGITS: Final = 64
_URL: Final = re.compile(
    r"\b(?P<scheme>\w[\w+.-]{0,30}://)(?!USER:PASSWORD@)(?:[^/@\s\"']*@)?(?P<host>[^/\s\"'?#]+)(?P<rest>[^\s\"']*)"
)
_NAMES: Final = "poly_signature|api_?key|passphrase|password|secret|private_?key|authorization"
_NAMED: Final = re.compile(
    rf"(?P<name>(?:{_NAMES})[\"']?\s*[:=]\s*)(?!\[redacted\])(?P<value>b?\"[^\"]+\"|b?'[^']+'|[^\s,;}}\])\"']+)",
    re.IGNORECASE,
)
_NAME: Final = re.compile(rf"([a-z]+_)*({_NAMES})", re.IGNORECASE)
_SCHEMED: Final = re.compile(r"\b(?P<scheme>Bearer|Basic) +[\w.~+/=-]{4,}", re.IGNORECASE)
_HEX_RUN: Final = re.compile(r"(0x)?(?P<digits>[0-9a-fA-F]{130,})")
"""The signature of an order has 65 bytes, or more of a number that does not come in words of the chain."""


class Redaction:
    """What may not be told. A bounded number of secrets is known; each is found in the forms it may take."""

    def __init__(self, *, public_hosts: Iterable[str] = ()) -> None:
        """Know no secret yet; a URL of a public host holds none, of others only the host is shown."""
        self._public_hosts = frozenset(public_hosts)
        self._lasting: deque[str | bytes] = deque(maxlen=LASTING_MAX)
        self._passing: deque[str | bytes] = deque(maxlen=PASSING_MAX)
        self._forms: tuple[str, ...] = ()
        self._hex: tuple[str, ...] = ()

    def learn(self, *secrets: str | bytes, passing: bool = False) -> None:
        """Know these too: texts, and bytes that may be shown as hexadecimal, base64 or a number."""
        known = self._passing if passing else self._lasting
        new = [one for one in secrets if len(one) >= SECRET_LENGTH_MIN and one not in known]
        if not new:
            return
        known.extend(new)
        every = [*self._lasting, *self._passing]
        forms = {form for one in every for form in (_text_forms(one) if isinstance(one, str) else _byte_forms(one))}
        self._forms = tuple(sorted((form for form in forms if form not in REDACTED), key=len, reverse=True))
        self._hex = tuple(one.hex() for one in every if isinstance(one, bytes))

    def known(self, text: str) -> str:
        """Return a text without the secrets that are known."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, REDACTED)
        lowered = text.lower() if self._hex else ""
        for digits in self._hex:
            if digits in lowered:
                text = re.sub(digits, REDACTED, text, flags=re.IGNORECASE)
        return text

    def text(self, text: str) -> str:
        """Return a text without secrets, known or not: credentials, signatures, all of a URL but its host."""
        text = _URL.sub(self._url, self.known(text))
        text = _SCHEMED.sub(rf"\g<scheme> {REDACTED}", text)
        text = _NAMED.sub(rf"\g<name>{REDACTED}", text)
        return _HEX_RUN.sub(_run, text)

    def value(self, value: Any) -> Any:
        """Return a JSON-ready value without secrets, also in its keys; what JSON lacks becomes text."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Real):
            text = str(value)
            return value if self.known(text) == text else REDACTED
        if isinstance(value, dict):
            return {self.text(str(key)): self._named(key, inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return self.text(str(value))

    def _named(self, key: object, value: Any) -> Any:
        is_secret = isinstance(value, str | bytes) and value and _NAME.fullmatch(str(key))
        return REDACTED if is_secret else self.value(value)

    def _url(self, found: re.Match[str]) -> str:
        shown = f"{found['scheme']}{found['host']}"
        if found["rest"].strip("/") == "" or found["host"].lower() in self._public_hosts:
            return shown + found["rest"]
        return f"{shown}/{REDACTED}"


def _run(found: re.Match[str]) -> str:
    """Leave what is whole words of the chain: the data of a log."""
    return found[0] if len(found["digits"]) % _WORD_DIGITS == 0 else REDACTED


def _text_forms(text: str) -> set[str]:
    """Return a text as it stands, in JSON, in Python's own notation, and in a URL."""
    python = {repr(text)[1:-1], text.encode("unicode_escape").decode()}
    quoted = {one.replace(mark, f"\\{mark}") for one in python for mark in ("'", '"')}
    json_too = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    return {text, *python, *quoted, *json_too, quote(text), quote(text, safe=""), unquote(text)}


def _byte_forms(raw: bytes) -> set[str]:
    """Return bytes as base64, a number of either order, a list of numbers, and in Python's own notation."""
    encoded = {base64.b64encode(raw), base64.urlsafe_b64encode(raw)}
    numbers = {str(int.from_bytes(raw)), str(int.from_bytes(raw, "little"))}
    lists = {mark.join(map(str, raw)) for mark in (", ", ",", " ")}
    return {*(one.decode().rstrip("=") for one in encoded), *numbers, *lists, repr(raw)[2:-1]}
