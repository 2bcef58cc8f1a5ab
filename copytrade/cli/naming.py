"""A leader as people name him: by address or by label."""

from __future__ import annotations

import typer

from copytrade import app
from copytrade.settings import Settings


async def address_of(settings: Settings, wanted: str) -> str:
    """Return the address of the leader with that address or label, followed or not any more.

    :raises typer.BadParameter: nobody has it, or several have that label.
    """
    async with app.open_ledger(settings) as ledger:
        leaders = await ledger.leaders()
    found = {one.address for one in leaders if one.address == wanted.lower() or one.label == wanted}
    if len(found) > 1:
        raise typer.BadParameter(f"{len(found)} leaders are called {wanted}; give an address", param_hint="--leader")
    if not found:
        raise typer.BadParameter(f"{wanted} is no leader of ours; see `leaders list`", param_hint="--leader")
    return found.pop()
