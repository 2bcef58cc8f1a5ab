"""Where the program starts: everything else is loaded under the hand that catches Ctrl-C."""

from __future__ import annotations

import sys

EXIT_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""


def main() -> None:
    """Run one verb and end the process with its exit code."""
    try:
        from copytrade.cli import program

        program.main()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
