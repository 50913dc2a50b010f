"""What the gateway says of itself: the running state, beside the desired one."""

import http.client
from collections.abc import Mapping

import msgspec

from leverframe.core.compatibility import SeenForm

PROBE_TIMEOUT_S = 1.0
PAGE_BYTES_MAX = 1 << 20


class GatewayState(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway's own word: the generation that all its workers run, and its prediction log's totals. ``generation`` is None when it
    does not answer. ``down`` are workers that stay down after a crash loop."""

    generation: int | None
    sentence: str
    down: tuple[str, ...] = ()
    served: int = 0
    logged: int = 0
    dropped: int = 0
    table_age_s: float = 0.0
    forms: Mapping[str, tuple[SeenForm, ...]] = {}
    """Endpoint to the shapes of requests that one of its workers has seen."""


class _Requests(msgspec.Struct, frozen=True):
    forms: tuple[SeenForm, ...] = ()


class _Table(msgspec.Struct, frozen=True):
    age_s: float | None = None
    source: str = ""
    problem: str = ""


class _Log(msgspec.Struct, frozen=True):
    served: int = 0
    logged: int = 0
    dropped: int = 0
    problem: str = ""


class _Worker(msgspec.Struct, frozen=True):
    worker: str
    state: str


class _Page(msgspec.Struct, frozen=True):
    """The part of the gateway's health page that is read here."""

    generation: int | None = None
    worker: str = ""
    table: _Table = _Table()
    log: _Log = _Log()
    workers: tuple[_Worker, ...] = ()
    requests: dict[str, _Requests] = {}

    def sentence(self) -> str:
        who = self.worker if len(self.workers) < 2 else f"{sum(w.state == 'serving' for w in self.workers)} of {len(self.workers)} workers"
        verb = "runs" if len(self.workers) < 2 else "run"
        problems = [problem for problem in (self.table.problem, self.log.problem) if problem]
        if problems:
            return f"{who}: {'; '.join(problems)}"
        if self.generation is None:
            return f"{who} {verb}, no routes yet"
        return f"{who} {verb} generation {self.generation} from {self.table.source}"


_DECODE = msgspec.json.Decoder(_Page).decode


class GatewayProbe:
    """Asks one gateway for its health page.

    Parameters
    ----------
    host, port: where it listens.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    def state(self) -> GatewayState:
        """The gateway's state now; a gateway that does not answer within a second is a state too."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=PROBE_TIMEOUT_S)
        try:
            connection.request("GET", "/", headers={"Accept": "application/json"})
            answer = connection.getresponse()
            page = _DECODE(answer.read(PAGE_BYTES_MAX))
        except (OSError, msgspec.MsgspecError, http.client.HTTPException) as error:
            return GatewayState(generation=None, sentence=f"does not answer at {self._host}:{self._port} ({type(error).__name__})")
        finally:
            connection.close()
        return GatewayState(
            generation=page.generation,
            sentence=page.sentence(),
            down=tuple(each.worker for each in page.workers if each.state == "quarantined"),
            served=page.log.served,
            logged=page.log.logged,
            dropped=page.log.dropped,
            table_age_s=page.table.age_s or 0.0,
            forms={name: requests.forms for name, requests in page.requests.items()},
        )
