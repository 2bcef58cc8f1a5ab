"""What the venue says when it does not take an order."""

from __future__ import annotations


class RefusedError(Exception):
    """The order is not taken; `text` is the venue's, `order_id` where the answer names the order."""

    def __init__(self, text: str, *, status: int = 400, order_id: str = "") -> None:
        """Keep the answer."""
        super().__init__(text)
        self.text = text
        self.status = status
        self.order_id = order_id
