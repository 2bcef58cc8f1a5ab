"""How long an order takes on its way, as an operator writes it down; the paper adapter draws from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from copytrade.domain.units import MICRO, format_micro, parse_micro

if TYPE_CHECKING:
    from copytrade.domain.units import Millis, Ratio

LATENCY_MS_MAX: Final[Millis] = 600_000
"""No latency is longer, whether written down or drawn."""
SIGMA_MAX: Final[Ratio] = 5 * MICRO
_DIGITS_MAX: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """A delay with a median; `sigma` is zero for a fixed one, else that of a lognormal distribution."""

    median_ms: Millis
    sigma: Ratio = 0

    @classmethod
    def parse(cls, text: str) -> Latency:
        """Return what "150" or "lognormal:150:0.4" means.

        :raises ValueError: neither form, or out of bounds.
        """
        kind, *parameters = text.strip().split(":")
        if not parameters:
            return cls(median_ms=_millis(kind))
        if kind != "lognormal" or len(parameters) != len(("median", "sigma")):
            raise ValueError(f"not an integer (ms) or lognormal:MEDIAN_MS:SIGMA: {text!r}")
        sigma = parse_micro(parameters[1])
        if not 0 <= sigma <= SIGMA_MAX:
            raise ValueError(f"sigma is not from 0 to {format_micro(SIGMA_MAX)}: {parameters[1]!r}")
        return cls(median_ms=_millis(parameters[0]), sigma=sigma)

    def __str__(self) -> str:
        if self.sigma == 0:
            return str(self.median_ms)
        return f"lognormal:{self.median_ms}:{format_micro(self.sigma)}"


def _millis(text: str) -> Millis:
    digits = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    if not digits or int(text) > LATENCY_MS_MAX:
        raise ValueError(f"not an integer from 0 to {LATENCY_MS_MAX} (ms): {text!r}")
    return int(text)
