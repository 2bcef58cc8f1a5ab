"""What becomes of an order, and how it is simulated on paper."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field
from pydantic_settings import BaseSettings

from copytrade.domain import effects, interruptions
from copytrade.domain.effects import ALL_EFFECTS
from copytrade.domain.latency import FILE_PREFIX, Latency
from copytrade.domain.orders import OrderType
from copytrade.settings.values import Delay, Effects, Interruptions

_LATENCY: Final = "an integer, lognormal:MEDIAN_MS:SIGMA or file:PATH of measured ones"
ACCEPTED: Final[dict[str, str]] = {
    "order_type": ", ".join(OrderType),
    "decision_latency_ms": _LATENCY,
    "submit_latency_ms": _LATENCY,
    "paper_seed": "an integer of 64 bits",
    "paper_effects": effects.ACCEPTED,
    "paper_interruptions": interruptions.ACCEPTED,
}


def what_is_wrong(value: object, why: str) -> str:
    """Return why a file of latencies is refused, as the end of a line for a person; nothing for any other value."""
    is_file = isinstance(value, str) and value.strip().startswith(FILE_PREFIX)
    return f"; {' '.join(why.removeprefix('Value error, ').split())}" if is_file else ""


class PaperSettings(BaseSettings):
    """The kind of order, and what a simulated one feels of the venue."""

    order_type: OrderType = OrderType.GTC
    decision_latency_ms: Delay = Latency.parse("0")
    submit_latency_ms: Delay = Latency.parse("150")
    paper_seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    paper_effects: Effects = ALL_EFFECTS
    paper_interruptions: Interruptions = ()
