"""The part of the client for models, runs and versions."""

from typing import Any

from leverframe.apps.client.paths import path_of
from leverframe.apps.platform import views
from leverframe.apps.transport import Transport
from leverframe.core.model import ModelSpec, ModelVersion
from leverframe.training.difference import VersionDifference
from leverframe.training.reproduction_commands import ReproductionRecord


class TrainingClient:
    """Models, runs and versions."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def apply_model(self, spec: ModelSpec, *, key: str | None = None) -> dict[str, Any]:
        """Declare or change a model."""
        return self._transport.send("POST", path_of("models"), dict[str, Any], spec, key=key)

    def start(self, request: views.TrainRequest, *, key: str | None = None) -> views.RunView:
        """Start a durable training run."""
        return self._transport.send("POST", path_of("runs"), views.RunView, request, key=key)

    def run(self, run_id: str) -> views.RunView:
        """One run, step by step."""
        return self._transport.get(path_of("runs", run_id), views.RunView)

    def runs(self, model: str = "") -> tuple[views.RunView, ...]:
        """All runs (of ``model``)."""
        return self._transport.get(path_of("runs"), tuple[views.RunView, ...], model=model or None)

    def models(self) -> tuple[ModelSpec, ...]:
        """Every declared model."""
        return self._transport.get(path_of("models"), tuple[ModelSpec, ...])

    def versions(self, model: str) -> tuple[ModelVersion, ...]:
        """Every registered version of ``model``."""
        return self._transport.get(path_of("models", model, "versions"), tuple[ModelVersion, ...])

    def register_import(self, model: str, request: views.ImportRequest, *, key: str | None = None) -> dict[str, Any]:
        """Register a signed bundle of a model made elsewhere."""
        return self._transport.send("POST", path_of("models", model, "versions"), dict[str, Any], request, key=key)

    def version(self, name: str) -> views.VersionView:
        """One version (``model@v2``) with its evidence."""
        return self._transport.get(path_of("versions", name), views.VersionView)

    def reproduce(self, name: str, *, key: str | None = None) -> ReproductionRecord:
        """Make a version again from its lineage, as a durable job; one that is under way is joined."""
        return self._transport.send("POST", path_of("versions", name, "reproduction"), ReproductionRecord, key=key)

    def reproduction(self, name: str) -> ReproductionRecord:
        """The newest attempt to make a version again."""
        return self._transport.get(path_of("versions", name, "reproduction"), ReproductionRecord)

    def compare(self, before: str, after: str) -> VersionDifference:
        """What is different about version ``after``, beside ``before``."""
        return self._transport.get(path_of("versions", after, "against", before), VersionDifference)
