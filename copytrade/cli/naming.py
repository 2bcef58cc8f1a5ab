"""A leader as people name him, by address or by label: the one lookup of every verb."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

import typer

from copytrade import app
from copytrade.domain.leaders import normal_address
from copytrade.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copytrade.domain.leaders import Leader

NAMES_SHOWN_MAX: Final = 5
LIKENESS_MIN: Final = 0.5
"""Of two names, from 0 to 1; what is less alike is not meant."""
HEAD, GAP, TAIL = 6, "..", 4
"""An address as tables have it: its first and its last digits."""


def short(address: str) -> str:
    """Return an address, or any long id, as tables have it; `leader_called` understands it."""
    return f"{address[:HEAD]}{GAP}{address[-TAIL:]}" if len(address) > HEAD + TAIL + len(GAP) else address


def leader_called(leaders: Sequence[Leader], wanted: str, *, hint: str = "--leader") -> Leader:
    """Return the leader with that address (or the short form of it) or label, followed or not any more.

    Capitals make no difference, unless two labels differ by nothing else.

    :raises typer.BadParameter: nobody has it, or several have; `hint` is the parameter that is named.
    """
    name = wanted.strip()
    found = _exactly(leaders, name) or [one for one in leaders if one.label and one.label.lower() == name.lower()]
    if len(found) > 1:
        addresses = ", ".join(one.address for one in found)
        raise typer.BadParameter(f"{len(found)} leaders are called {name}: {addresses}; name one", param_hint=hint)
    if not found:
        raise typer.BadParameter(f"{name} is no leader of ours{_near(leaders, name)}", param_hint=hint)
    return found[0]


def account_called(leaders: Sequence[Leader], wanted: str, *, hint: str) -> str:
    """Return the address of any account, or of the leader with that label.

    :raises typer.BadParameter: it is neither an address nor what a leader is called.
    """
    try:
        return normal_address(wanted)
    except ValueError as error:
        if wanted.strip().lower().startswith("0x") and not _exactly(leaders, wanted.strip()):
            raise typer.BadParameter(str(error), param_hint=hint) from None
    return leader_called(leaders, wanted, hint=hint).address


async def address_of(settings: Settings, wanted: str) -> str:
    """Return the address of a leader of this database, as `leader_called` does."""
    async with app.open_ledger(settings) as ledger:
        return leader_called(await ledger.leaders(), wanted).address


def free_label(leaders: Sequence[Leader], label: str, *, address: str) -> str:
    """Return a label without the space around it, once it is sure to mean this leader alone.

    :raises typer.BadParameter: another has it, or it reads as an address.
    """
    name = label.strip()
    for one in leaders:
        if name and one.address != address and one.label.lower() == name.lower():
            removed = "" if one.enabled else ", who is no longer followed"
            raise typer.BadParameter(f"{one.label} is {one.address}{removed}; give another name", param_hint="--label")
    try:
        normal_address(name)
    except ValueError:
        return name
    raise typer.BadParameter(f"{name} is an address; give a name", param_hint="--label")


def _exactly(leaders: Sequence[Leader], name: str) -> list[Leader]:
    addressed = [one for one in leaders if name.lower() in {one.address, short(one.address)}]
    return addressed or [one for one in leaders if one.label == name]


def _near(leaders: Sequence[Leader], name: str) -> str:
    """Return what may have been meant, as the end of a sentence."""
    labels = {one.label.lower(): one.label for one in leaders if one.label}
    alike = difflib.get_close_matches(name.lower(), labels, n=NAMES_SHOWN_MAX, cutoff=LIKENESS_MIN)
    within = [low for low in labels if name and name.lower() in low and low not in alike]
    if near := [labels[low] for low in (*alike, *within)][:NAMES_SHOWN_MAX]:
        return f"; did you mean {' or '.join(near)}?"
    return "; see `leaders list`"
