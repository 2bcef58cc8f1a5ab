"""The metrics and where they are served."""

from __future__ import annotations

import ipaddress
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from copytrade.app.outside import system_clock
from copytrade.engine.loop_lag import LoopLag
from copytrade.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from copytrade.adapters.http.metrics import Metrics
    from copytrade.adapters.http.server import Answer
    from copytrade.domain.gates import GateState
    from copytrade.domain.halts import Halt
    from copytrade.engine.worker import Worker
    from copytrade.settings import Settings


@dataclass(slots=True)
class Observatory:
    """The metrics of one worker; `url` is where they are served."""

    metrics: Metrics
    url: str = ""
    worker: Worker | None = None

    def watch(self, worker: Worker) -> Worker:
        """Return the worker as it is watched from now on."""
        self.metrics.watch(
            books=worker.book_figures,
            depths=worker.depths,
            halts=worker.risk.halts.open,
            gates=worker.risk.gates.states,
        )
        worker.listeners.add(self.metrics)
        lag = LoopLag(worker.clock, self.metrics.lagged)
        self.worker = replace(worker, onlookers={**worker.onlookers, "loop-lag": lag})
        return self.worker

    def health(self) -> Answer:
        """Say whether the worker is up, and what stops its orders.

        One that is halted is up, 200: whoever starts it again for that would end nothing by it.
        """
        from copytrade.adapters.http.server import Answer

        if self.worker is None:
            return Answer(body=b'{"status":"starting"}\n', kind="application/json", status=503)
        told = {
            **standing(self.worker.risk.halts.open(), self.worker.risk.gates.states()),
            "mode": self.worker.executor.mode,
            "leaders": len(self.worker.roll.leaders()),
        }
        return Answer(body=f"{json.dumps(told)}\n".encode(), kind="application/json")

    def page(self) -> Answer:
        """Return the metrics."""
        from copytrade.adapters.http.metrics import FORMAT
        from copytrade.adapters.http.server import Answer

        return Answer(body=self.metrics.page(), kind=FORMAT)


def standing(halts: Sequence[Halt], gates: Sequence[GateState]) -> dict[str, Any]:
    """Return in a word whether orders are made, and everything that stops them.

    `halted` while anything is, `entries refused` while no more than a gate is closed, else `ok`.
    """
    from copytrade.adapters.sql.plain import iso

    closed = [
        {"gate": state.name, "value": state.reading.value, "limit": state.reading.limit, "since": iso(state.since_ms)}
        for state in gates
        if not state.reading.is_healthy
    ]
    stopped = [
        {"level": halt.level, "cause": halt.cause, "why": halt.why, "since": iso(halt.started_at_ms)} for halt in halts
    ]
    word = "halted" if stopped else "entries refused" if closed else "ok"
    return {"status": word, "halts": stopped, "closed_gates": closed}


@asynccontextmanager
async def open_observatory(settings: Settings, *, warn: Callable[[str], None]) -> AsyncIterator[Observatory | None]:
    """Serve metrics at HTTP_BIND; None where that is empty, or where nobody chose it and somebody else has the port.

    :raises ConfigurationError: an address that was chosen cannot be listened on.
    """
    bind = settings.http_bind
    if bind is None:
        yield None
        return
    from copytrade.adapters.http.metrics import Metrics
    from copytrade.adapters.http.server import CannotBindError, HttpServer

    observatory = Observatory(Metrics(system_clock(), version=version("copytrade")))
    server = HttpServer({"/metrics": observatory.page, "/healthz": observatory.health}, host=bind.host)
    try:
        port = await server.start(bind.port)
    except CannotBindError as error:
        line = f"HTTP_BIND is '{bind}', where it is not possible to listen: {error}"
        if "http_bind" in settings.model_fields_set:
            raise ConfigurationError(line) from error
        warn(f"{line}; going on without metrics (set HTTP_BIND to another address, or to nothing)")
        yield None
        return
    if not _is_loopback(bind.host):
        warn(f"HTTP_BIND is '{bind}': whoever can reach that port can read the metrics")
    observatory.url = f"http://{replace(bind, port=port)}"
    try:
        yield observatory
    finally:
        await server.stop()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
