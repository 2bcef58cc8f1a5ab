"""One target under the fuzzer: `python -m tests.fuzz.feeding TARGET -libfuzzer_option=... CORPUS`."""

from __future__ import annotations

import logging
import sys

import atheris
import structlog

with atheris.instrument_imports(include=["copytrade.adapters", "copytrade.domain", "copytrade.settings"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Feed the target until the fuzzer ends the process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    name, *options = sys.argv[1:]
    target = TARGETS[name]

    def feed(data: bytes) -> None:
        target(data)

    atheris.Setup([sys.argv[0], *options], feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
