"""How long an order takes on its way, as an operator writes it down; the paper adapter draws from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from copytrade.domain.units import MICRO, format_micro, parse_micro

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copytrade.domain.units import Millis, Ratio

LATENCY_MS_MAX: Final[Millis] = 600_000
"""No latency is longer, whether written down, drawn or measured."""
SIGMA_MAX: Final[Ratio] = 5 * MICRO
MEASURED_MAX: Final = 100_000
"""A file of measured latencies has no more of them."""
FILE_PREFIX: Final = "file:"
_DIGITS_MAX: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """A delay with a median: fixed, lognormal (`sigma` above zero), or as often as it was `measured`.

    `measured` is in ascending order; `source` is the name of the file it was read from.
    """

    median_ms: Millis
    sigma: Ratio = 0
    measured: tuple[Millis, ...] = ()
    source: str = ""

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

    @classmethod
    def fit(cls, lines: Iterable[str], *, source: str) -> Latency:
        """Return the distribution of measured latencies, one number of milliseconds a line; blank lines are skipped.

        :raises ValueError: a line is no number from 0 to LATENCY_MS_MAX, or there are none or too many.
        """
        measured = sorted(
            _measured_millis(line.strip(), number=number, source=source)
            for number, line in enumerate(lines, start=1)
            if line.strip()
        )
        if not 0 < len(measured) <= MEASURED_MAX:
            raise ValueError(f"{source} has {len(measured)} latencies, not 1 to {MEASURED_MAX}")
        return cls(median_ms=measured[len(measured) // 2], measured=tuple(measured), source=source)

    def __str__(self) -> str:
        if self.measured:
            return f"{FILE_PREFIX}{self.source}"
        if self.sigma == 0:
            return str(self.median_ms)
        return f"lognormal:{self.median_ms}:{format_micro(self.sigma)}"


def _millis(text: str) -> Millis:
    digits = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    if not digits or int(text) > LATENCY_MS_MAX:
        raise ValueError(f"not an integer from 0 to {LATENCY_MS_MAX} (ms): {text!r}")
    return int(text)


def _measured_millis(text: str, *, number: int, source: str) -> Millis:
    """Read a number with up to six decimals, to the nearest millisecond, halves up."""
    try:
        millis = (2 * parse_micro(text) + MICRO) // (2 * MICRO)
    except ValueError as error:
        raise ValueError(f"line {number} of {source} is no number of milliseconds") from error
    if not 0 <= millis <= LATENCY_MS_MAX:
        raise ValueError(f"line {number} of {source} is not from 0 to {LATENCY_MS_MAX} (ms)")
    return millis
