"""What waits at the venue to be redeemed or merged, in words; part of `status` and of `live status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from copytrade import app
from copytrade.cli.output import print_line, print_table
from copytrade.cli.tables import Shape
from copytrade.domain.units import format_micro

if TYPE_CHECKING:
    from copytrade.app import Redeemable
    from copytrade.settings import Settings

WHERE: Final = (
    "Redeem and merge on the venue's own page, or let it redeem by itself; this program cannot. "
    "The ledger has counted what was won."
)
UNASKED: Final = "redeemed or merged since is listed too, for the Data API does not tell what is held by"


async def redeemable(settings: Settings) -> Redeemable:
    """Look for it."""
    async with app.open_reports(settings) as reports:
        return await app.look_for_redeemable(settings, reports)


def redeemable_document(found: Redeemable) -> dict[str, Any]:
    """Return it as JSON; amounts are decimal text."""
    return {
        "to_redeem": [
            {
                "account_id": one.account_id,
                "condition_id": one.condition_id,
                "token_id": one.token_id,
                "title": one.title,
                "outcome": one.outcome,
                "shares": format_micro(one.shares),
                "usdc": format_micro(one.worth_usdc),
            }
            for one in found.won
        ],
        "to_redeem_usdc": format_micro(sum(one.worth_usdc for one in found.won)),
        "to_merge": [
            {
                "account_id": one.account_id,
                "condition_id": one.condition_id,
                "title": one.title,
                "usdc": format_micro(one.sets),
            }
            for one in found.pairs
        ],
        "to_merge_usdc": format_micro(sum(one.sets for one in found.pairs)),
        "wallets_not_asked": found.unasked,
    }


def print_redeemable(found: Redeemable) -> None:
    """Print it, nothing where nothing waits."""
    document = redeemable_document(found)
    for what in ("to_redeem", "to_merge"):
        rows = document[what]
        if rows:
            title = f"{what.replace('_', ' ')}: {document[f'{what}_usdc']} USDC"
            print_table(
                title,
                list(rows[0]),
                ([*row.values()] for row in rows),
                Shape(right=("shares", "usdc"), wraps=("title",)),
            )
    if found.won or found.pairs:
        print_line(WHERE)
    if found.unasked:
        print_line(f"{UNASKED}: {', '.join(found.unasked)}")
