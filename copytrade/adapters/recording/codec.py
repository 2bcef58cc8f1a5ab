"""Facts as JSON and back, by what their dataclasses say of themselves.

Nothing is listed here: a field that a fact gains is written and read like the others. A field that an older
recording lacks takes its default, if it has one.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints
from uuid import UUID

Names = Mapping[str, Any]
Read = Callable[[Any], Any]
_PLAIN: Final = (str, int, bool, type(None))


class UnreadableError(Exception):
    """A value that is not of the kind it should be; the text says where."""


def plain(value: Any) -> Any:
    """Return a fact as what JSON has: objects, arrays, text, integers.

    :raises TypeError: it holds something that is no fact.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, UUID):
        return str(value)
    if is_dataclass(value):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(one) for one in value)
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    raise TypeError(f"{type(value).__name__} is no fact")


class Reader:
    """Reads facts; `names` gives what annotations mean that their own module names only for type checkers."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._readers: dict[Any, Read] = {}

    def read(self, kind: Any, value: Any) -> Any:
        """Return a value of a kind.

        :raises UnreadableError: it is none.
        """
        return self._reader(kind)(value)

    def _reader(self, kind: Any) -> Read:
        if kind not in self._readers:
            self._readers[kind] = self._make(kind)
        return self._readers[kind]

    def _make(self, kind: Any) -> Read:
        if get_origin(kind) is not None:
            return self._container(get_origin(kind), get_args(kind))
        if kind in _PLAIN:
            return _exactly(kind)
        if kind is UUID or (isinstance(kind, type) and issubclass(kind, Enum)):
            return _made_from_text(kind)
        if isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields"):
            row = self._tuple(tuple(self._hints(kind).values()))
            return lambda value: kind(*row(value))
        if is_dataclass(kind):
            return self._dataclass(kind)
        raise TypeError(f"{kind} is no kind of fact")

    def _container(self, origin: Any, parts: tuple[Any, ...]) -> Read:
        if origin is Annotated:
            return self._reader(parts[0])
        if origin in (Union, types.UnionType):
            return self._one_of(parts)
        if origin is tuple:
            return self._tuple(parts)
        if origin is frozenset:
            items = self._tuple((parts[0], ...))
            return lambda value: frozenset(items(value))
        if origin in (Mapping, dict):
            return self._mapping(*parts)
        raise TypeError(f"{origin} is no kind of fact")

    def _one_of(self, parts: tuple[Any, ...]) -> Read:
        inner = [self._reader(part) for part in parts if part is not type(None)]
        may_lack = type(None) in parts
        if len(inner) == 1:
            reader = inner[0]
            return lambda value: None if value is None and may_lack else reader(value)

        def read(value: Any) -> Any:
            if value is None and may_lack:
                return None
            for reader in inner:
                try:
                    return reader(value)
                except UnreadableError:
                    continue
            raise UnreadableError(f"{type(value).__name__} where none belongs")

        return read

    def _tuple(self, parts: tuple[Any, ...]) -> Read:
        if parts[1:] == (...,):
            one = self._reader(parts[0])
            return lambda value: tuple([one(item) for item in _list(value)])
        readers = [self._reader(part) for part in parts]

        def read(value: Any) -> tuple[Any, ...]:
            if len(_list(value)) != len(readers):
                raise UnreadableError(f"{len(value)} values where {len(readers)} belong")
            return tuple(reader(item) for reader, item in zip(readers, value, strict=True))

        return read

    def _mapping(self, key: Any, kind: Any) -> Read:
        keys, values = self._reader(key), self._reader(kind)

        def read(value: Any) -> dict[Any, Any]:
            if not isinstance(value, dict):
                raise UnreadableError("no object where one belongs")
            return {keys(name): values(one) for name, one in value.items()}

        return read

    def _dataclass(self, kind: Any) -> Read:
        hints = self._hints(kind)
        needed = {one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING}
        readers: dict[str, Read] = {}

        def read(value: Any) -> Any:
            if not isinstance(value, dict) or needed - value.keys() or value.keys() - hints.keys():
                raise UnreadableError(f"not the fields of {kind.__name__}")
            found = {}
            for name, one in value.items():
                try:
                    found[name] = readers[name](one)
                except UnreadableError as error:
                    raise UnreadableError(f"{name}: {error}") from None
            return kind(**found)

        self._readers[kind] = read
        readers |= {one.name: self._reader(hints[one.name]) for one in fields(kind)}
        return read

    def _hints(self, kind: Any) -> dict[str, Any]:
        return get_type_hints(kind, {**self._names, **vars(sys.modules[kind.__module__])})


def _exactly(kind: Any) -> Read:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise UnreadableError(f"{type(value).__name__} where {kind.__name__} belongs")
        return value

    return read


def _made_from_text(kind: Any) -> Read:
    def read(value: Any) -> Any:
        try:
            return kind(value)
        except (ValueError, AttributeError, TypeError):
            raise UnreadableError(f"no {kind.__name__}: {str(value)[:40]!r}") from None

    return read


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise UnreadableError("no array where one belongs")
    return value
