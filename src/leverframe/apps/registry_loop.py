"""The worker's look at registries that other people keep."""

from leverframe.apps.egress.client import Egress
from leverframe.apps.platform.parts import Parts
from leverframe.apps.registries.follower import RegistryFollower
from leverframe.apps.registries.mlflow import MlflowServer


class RegistryLoop:
    """Looks at every registry, through the one egress client.

    Raises
    ------
    InvalidInput: a setting is no list of hosts or networks.
    """

    def __init__(self, parts: Parts) -> None:
        self._egress = Egress.by_settings(parts.settings, parts.key)
        self._follower = RegistryFollower(parts, lambda url: MlflowServer(self._egress, url, parts.settings.mlflow_token))

    def look(self) -> None:
        """One look."""
        self._follower.look()

    def close(self) -> None:
        """Close the connections."""
        self._egress.close()
