"""Use cases of serving: where the gateway is, what a model takes, and one question put to it on somebody's behalf."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.training import Training
from leverframe.core.actor import Actor
from leverframe.core.errors import NotFound
from leverframe.core.route import Endpoint
from leverframe.core.schema import RequestField
from leverframe.governance.decision import require
from leverframe.release.records import KIND_ENDPOINT

ASK_TIMEOUT_S = 5.0


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway's answer: the first row's outputs by name (a vector is a tuple), every row's in ``rows``, who gave them, and what the
    model went without."""

    id: str
    outputs: dict[str, Any]
    version: str
    arm: str
    missing: tuple[str, ...] = ()
    fallback: str = ""
    rows: tuple[dict[str, Any], ...] = ()


class Serving:
    """Asks the gateway as the person who is asking: the platform has no token of its own to lend."""

    def __init__(self, parts: Parts, training: Training) -> None:
        self._parts = parts
        self._training = training

    @property
    def address(self) -> str:
        """Where this installation's gateway listens."""
        return f"http://{self._parts.settings.gateway_host}:{self._parts.settings.gateway_port}"

    @property
    def grpc_address(self) -> str:
        """Where it listens for gRPC (``host:port``); empty: nowhere."""
        settings = self._parts.settings
        return f"{settings.gateway_host}:{settings.gateway_grpc_port}" if settings.gateway_grpc_port else ""

    def fields(self, environment: str, endpoint: str) -> tuple[RequestField, ...]:
        """What the live model of an endpoint takes, with its team's examples.

        Raises
        ------
        NotFound: no such endpoint, or nothing is live there.
        """
        found = self._parts.ledger.get(KIND_ENDPOINT, f"{environment}/{endpoint}", Endpoint)
        if found is None or found.live is None:
            raise NotFound("nothing is live at this endpoint", where=f"{environment}/{endpoint}"[:200], next_step="lever status")
        return self._training.version(found.live.version).spec.request

    def ask(self, actor: Actor, bearer: str, environment: str, endpoint: str, *rows: Mapping[str, Any]) -> Answered:
        """Put rows of the same inputs to the gateway in one request under the asker's own token: routed, logged and counted like any.

        Raises
        ------
        Forbidden: the actor may not see this endpoint.    Unauthenticated: the token is none that may ask a gateway.
        """
        require(self._parts.policy, actor, "Release.Read", f"endpoint/{environment}/{endpoint}", "", {})
        return ask_gateway(self.address, bearer, endpoint, self.fields(environment, endpoint), *rows)


def ask_gateway(address: str, bearer: str, endpoint: str, fields: Sequence[RequestField], *rows: Mapping[str, Any]) -> Answered:
    """Ask the gateway at ``address`` once."""
    # The HTTP client is loaded when somebody asks: the control plane starts without it.
    from leverframe.apps import transport as client_transport
    from leverframe.apps.gateway_view.client import Gateway

    datatypes = {field.name: field.datatype for field in fields}
    transport = client_transport.Transport(address, bearer, timeout_s=ASK_TIMEOUT_S, attempts=1)
    try:
        said = Gateway(transport).predict(endpoint, {name: [row[name] for row in rows] for name in rows[0]}, datatypes=datatypes)
    finally:
        transport.close()
    about, each = said.parameters, {name: _by_row(values, len(rows)) for name, values in said.outputs.items()}
    missing = str(about.get("missing_features", ""))
    return Answered(
        id=said.id,
        outputs={name: values[0] for name, values in each.items()},
        rows=tuple({name: values[place] for name, values in each.items()} for place in range(len(rows))),
        version=said.version,
        arm=str(about.get("arm", "")),
        missing=tuple(missing.split(",")) if missing else (),
        fallback=str(about.get("fallback_reason", about.get("fallback", ""))),
    )


def _by_row(values: Sequence[Any], rows: int) -> list[Any]:
    """One value a row, or a tuple of them where the output is a vector."""
    width = len(values) // rows
    return list(values) if width == 1 else [tuple(values[row * width : (row + 1) * width]) for row in range(rows)]
