"""Who is told what happens: the log, lines, the live table, the score."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

from copytrade.adapters.notify.lines import LineNotifier
from copytrade.adapters.notify.table import TableNotifier
from copytrade.adapters.notify.tally import Tally
from copytrade.adapters.system import SystemClock
from copytrade.app.redacting import redact_event, redact_libraries

if TYPE_CHECKING:
    from collections.abc import Callable


def configure_logging(*, level: int = logging.INFO) -> None:
    """Send log events from `level` up to standard error, one line each without secrets; tracebacks at debug level."""
    # At INFO it writes the URL of every request, and some URLs hold a key.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    redact_libraries()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact_event,
            structlog.dev.ConsoleRenderer(colors=False) if sys.stderr.isatty() else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def log_traceback(error: BaseException) -> None:
    """Log where an unexpected error came from, at debug level only."""
    structlog.get_logger(__name__).debug("process.failed", exc_info=error)


def line_notifier(write: Callable[[str], None]) -> LineNotifier:
    """Return a listener that writes one line for each happening."""
    return LineNotifier(write, SystemClock())


def table_notifier(score: Tally, *, title: str) -> TableNotifier:
    """Return a listener that draws a live table."""
    return TableNotifier(score, title=title, now_ms=SystemClock().now_ms)


def tally() -> Tally:
    """Return a listener that keeps the score."""
    return Tally()
