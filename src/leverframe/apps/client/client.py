"""The Python client: every use case of the platform over HTTP, with the same records coming back.

>>> client = Client("http://127.0.0.1:7337", "lf_...")
>>> client.url
'http://127.0.0.1:7337'
>>> client.close()
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType

import httpx

from leverframe.apps.client.data import DataClient
from leverframe.apps.client.exceptions import ExceptionsClient
from leverframe.apps.client.experiments import ExperimentsClient
from leverframe.apps.client.feature_services import FeatureServicesClient
from leverframe.apps.client.features import FeaturesClient
from leverframe.apps.client.keeping import KeepingClient
from leverframe.apps.client.lineage import LineageClient
from leverframe.apps.client.monitoring import MonitoringClient
from leverframe.apps.client.operating import OperatingClient
from leverframe.apps.client.paths import path_of
from leverframe.apps.client.policies import PoliciesClient
from leverframe.apps.client.projects import ProjectsClient
from leverframe.apps.client.promoting import PromotingClient
from leverframe.apps.client.record import AccessClient, AuditClient
from leverframe.apps.client.registries import RegistriesClient
from leverframe.apps.client.release import ReleaseClient
from leverframe.apps.client.rollouts import RolloutsClient
from leverframe.apps.client.sources import SourcesClient
from leverframe.apps.client.streams import StreamsClient
from leverframe.apps.client.tables import TablesClient
from leverframe.apps.client.training import TrainingClient
from leverframe.apps.client.webhooks import WebhooksClient
from leverframe.apps.gateway_view.client import Gateway, Prediction
from leverframe.apps.platform import views
from leverframe.apps.transport import Transport
from leverframe.core.errors import InvalidInput
from leverframe.core.schema import DataType


class Client:
    """The platform over HTTP.

    Parameters
    ----------
    url: address of the control plane.
    token: bearer token.
    gateway_url: address of a gateway, for :meth:`predict`.
    timeout_s: limit for one attempt, seconds.
    keys: idempotency keys of changes that are given none (fresh ones when None).
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
        keys: Iterator[str] | None = None,
    ) -> None:
        self.url = url
        self._transport = Transport(url, token, timeout_s=timeout_s, http=http, sleep=sleep or time.sleep, keys=keys)
        self._gateway = None
        if gateway_url:
            self._gateway = Transport(gateway_url, gateway_token or token, timeout_s=timeout_s, attempts=1, http=http)
        self.data = DataClient(self._transport)
        self.keeping = KeepingClient(self._transport)
        self.sources = SourcesClient(self._transport)
        self.streams = StreamsClient(self._transport)
        self.features = FeaturesClient(self._transport)
        self.services = FeatureServicesClient(self._transport)
        self.projects = ProjectsClient(self._transport)
        self.lineage = LineageClient(self._transport)
        self.training = TrainingClient(self._transport)
        self.registries = RegistriesClient(self._transport)
        self.release = ReleaseClient(self._transport)
        self.experiments = ExperimentsClient(self._transport)
        self.tables = TablesClient(self._transport)
        self.promoting = PromotingClient(self._transport)
        self.exceptions = ExceptionsClient(self._transport)
        self.rollouts = RolloutsClient(self._transport)
        self.operating = OperatingClient(self._transport)
        self.monitoring = MonitoringClient(self._transport)
        self.audit = AuditClient(self._transport)
        self.access = AccessClient(self._transport)
        self.policies = PoliciesClient(self._transport)
        self.webhooks = WebhooksClient(self._transport)

    def status(self) -> views.StatusView:
        """Is everything all right? What changed? What needs me?"""
        return self._transport.get(path_of("status"), views.StatusView)

    def doctor(self) -> tuple[views.Check, ...]:
        """Every health check of the installation."""
        return self._transport.get(path_of("doctor"), tuple[views.Check, ...])

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
