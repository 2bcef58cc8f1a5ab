"""Every order that was ever posted, taken or not: what the venue could say in a dispute."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from copytrade.sandbox.trading.signed_order import SignedOrder

KEPT_MAX = 100_000
LOST = "lost on the way"


@dataclass(slots=True, kw_only=True)
class Receipt:
    """One order of one post. `outcome` is the status it was answered with, or the words it was refused with.

    A post that was lost on its way, or not even looked at ("answered 401"), is here too: the trader
    has sent it. Amounts in micro-units.
    """

    at_ms: int
    order_id: str
    key: str
    maker: str
    token_id: str
    side: str
    maker_amount: int
    taker_amount: int
    salt: int
    timestamp: int
    metadata: str
    order_type: str
    post_only: bool
    outcome: str = ""


class Record:
    """Receipts in the order the posts came; only the last ones are kept, `KEPT_MAX` of them."""

    def __init__(self) -> None:
        """Start empty."""
        self._receipts: deque[Receipt] = deque(maxlen=KEPT_MAX)

    def write(self, order: SignedOrder, *, order_id: str, at_ms: int) -> Receipt:
        """Add an order as it came; its outcome is filled in later."""
        fields = order.fields
        receipt = Receipt(
            at_ms=at_ms,
            order_id=order_id,
            key=order.owner,
            maker=fields.maker,
            token_id=str(fields.token),
            side="SELL" if fields.side else "BUY",
            maker_amount=fields.maker_amount,
            taker_amount=fields.taker_amount,
            salt=fields.salt,
            timestamp=fields.timestamp,
            metadata=f"0x{fields.metadata:064x}",
            order_type=order.order_type,
            post_only=order.post_only,
        )
        self._receipts.append(receipt)
        return receipt

    def rows(self) -> list[dict[str, Any]]:
        """Return every receipt as JSON."""
        return [asdict(receipt) for receipt in self._receipts]
