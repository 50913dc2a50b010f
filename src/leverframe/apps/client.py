"""The Python client: every use case of the platform over HTTP, with the same records coming back.

>>> client = Client("http://127.0.0.1:7337", "lf_...")
>>> client.url
'http://127.0.0.1:7337'
>>> client.close()
"""

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from leverframe.apps.client_operating import OperatingClient
from leverframe.apps.client_transport import Transport
from leverframe.apps.gateway_view.client import Gateway, Prediction
from leverframe.apps.platform import views
from leverframe.core.actor import Actor
from leverframe.core.alert import Alert
from leverframe.core.errors import InvalidInput
from leverframe.core.feature import FeatureView
from leverframe.core.model import ModelSpec, ModelVersion
from leverframe.core.route import Priority
from leverframe.core.schema import DataType

API = "/api/v1"


def _path(*parts: str) -> str:
    return "/".join((API, *(quote(part, safe="@:") for part in parts)))


class DataClient:
    """Contracts and snapshots."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def apply_contract(self, text: str, *, key: str | None = None) -> dict[str, Any]:
        """Put an ODCS contract (YAML text) in force."""
        return self._transport.send("POST", _path("contracts"), dict[str, Any], raw=text.encode(), key=key)

    def ingest(self, dataset: str, body: bytes, *, format: str = "parquet", key: str | None = None) -> views.IngestView:
        """Offer a file (``format`` parquet or csv); the answer says accepted, or every fault."""
        path = _path("datasets", dataset, "snapshots")
        return self._transport.send("POST", path, views.IngestView, raw=body, key=key, format=format)

    def datasets(self) -> tuple[views.DatasetView, ...]:
        """Every dataset with its contract and newest snapshot."""
        return self._transport.get(_path("datasets"), tuple[views.DatasetView, ...])

    def reports(self, dataset: str) -> tuple[views.IngestView, ...]:
        """What became of each file offered to ``dataset``."""
        return self._transport.get(_path("datasets", dataset, "reports"), tuple[views.IngestView, ...])


class FeaturesClient:
    """Feature views."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def apply(self, view: FeatureView, *, key: str | None = None) -> dict[str, Any]:
        """Declare or change a feature view."""
        return self._transport.send("POST", _path("views"), dict[str, Any], view, key=key)

    def views(self) -> tuple[views.FeatureViewView, ...]:
        """Every feature view with its freshness and consumers."""
        return self._transport.get(_path("views"), tuple[views.FeatureViewView, ...])

    def materialize(self, names: Sequence[str] = (), to_us: int | None = None, *, key: str | None = None) -> dict[str, Any]:
        """Bring the online store up to ``to_us`` (None: now) for ``names`` (none: all)."""
        body = {"names": list(names), "to_us": to_us}
        return self._transport.send("POST", _path("views", "materialize"), dict[str, Any], body, key=key)


class TrainingClient:
    """Models, runs and versions."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def apply_model(self, spec: ModelSpec, *, key: str | None = None) -> dict[str, Any]:
        """Declare or change a model."""
        return self._transport.send("POST", _path("models"), dict[str, Any], spec, key=key)

    def start(self, request: views.TrainRequest, *, key: str | None = None) -> views.RunView:
        """Start a durable training run."""
        return self._transport.send("POST", _path("runs"), views.RunView, request, key=key)

    def run(self, run_id: str) -> views.RunView:
        """One run, step by step."""
        return self._transport.get(_path("runs", run_id), views.RunView)

    def runs(self, model: str = "") -> tuple[views.RunView, ...]:
        """All runs (of ``model``)."""
        return self._transport.get(_path("runs"), tuple[views.RunView, ...], model=model or None)

    def models(self) -> tuple[ModelSpec, ...]:
        """Every declared model."""
        return self._transport.get(_path("models"), tuple[ModelSpec, ...])

    def versions(self, model: str) -> tuple[ModelVersion, ...]:
        """Every registered version of ``model``."""
        return self._transport.get(_path("models", model, "versions"), tuple[ModelVersion, ...])

    def register_import(self, model: str, request: views.ImportRequest, *, key: str | None = None) -> dict[str, Any]:
        """Register a signed bundle of a model made elsewhere."""
        return self._transport.send("POST", _path("models", model, "versions"), dict[str, Any], request, key=key)

    def version(self, name: str) -> views.VersionView:
        """One version (``model@v2``) with its evidence."""
        return self._transport.get(_path("versions", name), views.VersionView)


class ReleaseClient:
    """Plans, releases, endpoints and their levers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def plan(self, request: views.PlanRequest, *, key: str | None = None) -> views.PlanView:
        """Compute a plan; nothing runs yet."""
        return self._transport.send("POST", _path("plans"), views.PlanView, request, key=key)

    def plan_of(self, digest: str) -> views.PlanView:
        """The plan called ``digest``."""
        return self._transport.get(_path("plans", digest), views.PlanView)

    def plans(self) -> tuple[views.PlanView, ...]:
        """Every plan."""
        return self._transport.get(_path("plans"), tuple[views.PlanView, ...])

    def approve(self, digest: str, note: str = "", *, key: str | None = None) -> views.PlanView:
        """Approve exactly the plan called ``digest``."""
        return self._transport.send("POST", _path("plans", digest, "approve"), views.PlanView, {"note": note}, key=key)

    def apply(self, digest: str, *, key: str | None = None) -> views.ReleaseView:
        """Run the approved plan."""
        return self._transport.send("POST", _path("plans", digest, "apply"), views.ReleaseView, key=key)

    def get(self, release_id: str) -> views.ReleaseView:
        """One release with its stage log."""
        return self._transport.get(_path("releases", release_id), views.ReleaseView)

    def list(self, endpoint: str = "") -> tuple[views.ReleaseView, ...]:
        """All releases (to ``endpoint``)."""
        return self._transport.get(_path("releases"), tuple[views.ReleaseView, ...], endpoint=endpoint or None)

    def endpoints(self) -> tuple[views.EndpointView, ...]:
        """Every endpoint, desired and running."""
        return self._transport.get(_path("endpoints"), tuple[views.EndpointView, ...])

    def rollback(self, environment: str, endpoint: str, reason: str, *, key: str | None = None) -> views.EndpointView:
        """Point the route back at the version that was live before."""
        path = _path("endpoints", environment, endpoint, "rollback")
        return self._transport.send("POST", path, views.EndpointView, {"reason": reason}, key=key)

    def operate(
        self, environment: str, endpoint: str, lever: str, argument: str = "", reason: str = "", *, key: str | None = None
    ) -> views.EndpointView:
        """Pull an operator's lever (pin, kill, disable-feature, freeze, abort, …)."""
        path = _path("endpoints", environment, endpoint, "levers", lever)
        return self._transport.send("POST", path, views.EndpointView, {"argument": argument, "reason": reason}, key=key)

    def history(self, environment: str, endpoint: str, at_us: int | None = None) -> tuple[views.HistoryEntry, ...]:
        """What was live (at ``at_us``) and why."""
        return self._transport.get(_path("endpoints", environment, endpoint, "history"), tuple[views.HistoryEntry, ...], at_us=at_us)


class MonitoringClient:
    """What the platform sees."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def monitor(self, endpoint: str) -> views.MonitorView:
        """Drift, performance, feeds and log totals of ``endpoint``."""
        return self._transport.get(_path("monitor", endpoint), views.MonitorView)

    def alerts(self, open_only: bool = False) -> tuple[Alert, ...]:
        """Alerts, newest first."""
        return self._transport.get(_path("alerts"), tuple[Alert, ...], open_only="true" if open_only else None)

    def diagnose(self, endpoint: str) -> views.DiagnosisView:
        """Ranked causes for trouble at ``endpoint``."""
        return self._transport.get(_path("diagnose", endpoint), views.DiagnosisView)


class AuditClient:
    """The record."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def entries(self, after: int = 0, limit: int = 100, newest_first: bool = True) -> tuple[views.AuditView, ...]:
        """Audit entries; ``after`` is a sequence number."""
        order = "true" if newest_first else "false"
        return self._transport.get(_path("audit"), tuple[views.AuditView, ...], after=after, limit=limit, newest_first=order)

    def verify(self) -> views.VerifyView:
        """Recompute the whole chain on the server."""
        return self._transport.get(_path("audit", "verify"), views.VerifyView)

    def export(self) -> bytes:
        """The whole chain as JSON lines."""
        return self._transport.get_bytes(_path("audit", "export"))


class AccessClient:
    """Tokens."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def issue(
        self,
        subject: str,
        roles: Sequence[str],
        teams: Sequence[str] = (),
        *,
        days: int = 90,
        priority: Priority = "normal",
        per_second: float = 0.0,
        burst: float = 0.0,
        key: str | None = None,
    ) -> views.TokenView:
        """Make a token; its ``secret`` is in this answer and nowhere else. Gateways give it ``per_second`` requests a second (0: any)."""
        body = {"subject": subject, "roles": list(roles), "teams": list(teams), "days": days}
        body |= {"priority": priority, "per_second": per_second, "burst": burst}
        return self._transport.send("POST", _path("tokens"), views.TokenView, body, key=key)

    def revoke(self, token_id: str, *, key: str | None = None) -> None:
        """End a token now."""
        self._transport.send("DELETE", _path("tokens", token_id), dict[str, Any], key=key)

    def tokens(self) -> tuple[views.TokenView, ...]:
        """Every live token, without secrets."""
        return self._transport.get(_path("tokens"), tuple[views.TokenView, ...])

    def whoami(self) -> Actor:
        """Who this client's token speaks for."""
        return self._transport.get(_path("whoami"), Actor)


class Client:
    """The platform over HTTP.

    Parameters
    ----------
    url: address of the control plane.
    token: bearer token.
    gateway_url: address of a gateway, for :meth:`predict`.
    timeout_s: limit for one attempt, seconds.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        gateway_url: str = "",
        gateway_token: str = "",
        timeout_s: float = 30.0,
        http: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.url = url
        self._transport = Transport(url, token, timeout_s=timeout_s, http=http, sleep=sleep or time.sleep)
        self._gateway = None
        if gateway_url:
            self._gateway = Transport(gateway_url, gateway_token or token, timeout_s=timeout_s, attempts=1, http=http)
        self.data = DataClient(self._transport)
        self.features = FeaturesClient(self._transport)
        self.training = TrainingClient(self._transport)
        self.release = ReleaseClient(self._transport)
        self.operating = OperatingClient(self._transport)
        self.monitoring = MonitoringClient(self._transport)
        self.audit = AuditClient(self._transport)
        self.access = AccessClient(self._transport)

    def status(self) -> views.StatusView:
        """Is everything all right? What changed? What needs me?"""
        return self._transport.get(_path("status"), views.StatusView)

    def doctor(self) -> tuple[views.Check, ...]:
        """Every health check of the installation."""
        return self._transport.get(_path("doctor"), tuple[views.Check, ...])

    @property
    def gateway(self) -> Gateway:
        """What the gateway says of itself and of its models.

        Raises
        ------
        InvalidInput: no gateway address was given.
        """
        return Gateway(self._asked())

    def _asked(self) -> Transport:
        if self._gateway is None:
            raise InvalidInput("this client was given no gateway", where="Client", next_step="Client(url, token, gateway_url=...)")
        return self._gateway

    def predict(
        self,
        endpoint: str,
        inputs: Mapping[str, Sequence[object]],
        *,
        id: str | None = None,
        datatypes: Mapping[str, DataType] | None = None,
    ) -> Prediction:
        """Ask a gateway: ``inputs`` maps each request field to one value a row; ``datatypes`` names types that the values do not show.

        Raises
        ------
        InvalidInput: no gateway address was given, or the inputs do not fit the signature.
        """
        return self.gateway.predict(endpoint, inputs, id=id, datatypes=datatypes)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
        if self._gateway is not None:
            self._gateway.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
