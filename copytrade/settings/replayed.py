"""The settings that decisions and paper depend on: written into a recording, and changed for a replay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from copytrade.domain.copy_rules import RULES, write_rule
from copytrade.domain.units import format_micro
from copytrade.settings import copying, paper
from copytrade.settings.copying import CopySettings
from copytrade.settings.loading import ConfigurationError, Settings, check_together
from copytrade.settings.paper import PaperSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_REPLAYED: Final = frozenset({"leader_event_policies"})
"""What decides which fills there are: in a replay they are those of the session."""
REPLAYED: Final = (
    *(name for name in CopySettings.model_fields if name not in NOT_REPLAYED),
    *PaperSettings.model_fields,
    *("fill_max_age_ms", "quote_fresh_ms", "quote_stale_ms"),
)
"""By field name; none of them is a secret."""
_ACCEPTED: Final = copying.ACCEPTED | paper.ACCEPTED


def replayed(settings: Settings) -> dict[str, Any]:
    """Return the replayed settings by variable name, as the program has them."""
    return {name.upper(): getattr(settings, name) for name in REPLAYED}


def kind_of(name: str) -> Any:
    """Return what the value of a replayed setting is, None if it is none."""
    return Settings.model_fields[name.lower()].annotation if name.lower() in REPLAYED else None


def with_changes(recorded: Mapping[str, Any], changes: Mapping[str, str]) -> Settings:
    """Return recorded settings with some of them changed, as they are written in the environment.

    :raises ConfigurationError: no such setting plays a part in a replay, or the value is none for it.
    """
    for name in changes:
        if name.lower() not in REPLAYED:
            names = ", ".join(sorted(one.upper() for one in REPLAYED))
            raise ConfigurationError(f"{name} plays no part in a replay; these do: {names}")
    given = {name.lower(): value for name, value in {**recorded, **changes}.items()}
    try:
        settings = Settings.model_validate({"database_url": "sqlite:///none", "leaders": (), **given})
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        why = _ACCEPTED.get(field) or first["msg"].removeprefix("Value error, ")
        wrong = paper.what_is_wrong(first["input"], first["msg"]) if field in PaperSettings.model_fields else ""
        raise ConfigurationError(f"{field.upper()} is {str(first['input'])!r}; accepted: {why}{wrong}") from None
    check_together(settings)
    return settings


def shown(name: str, value: Any) -> str:
    """Return a value as a person writes it."""
    if name.lower() in RULES:
        return write_rule(name.lower(), value)
    if name.lower().endswith("_usdc"):
        return format_micro(value)
    return ",".join(sorted(map(str, value))) if isinstance(value, frozenset | tuple) else str(value)
