"""Durable workflows: steps that are remembered, so that a killed process goes on at the step where it died.

The one module that knows DBOS, and it imports it when first used: the control plane starts without. Step results are JSON text (never
pickle, the library's default); the bytes a step makes go to the artifact store, and only their digests pass through here.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dbos import DBOSClient

APPLICATION_VERSION = "1"
"""Workflows started by any build are recovered by any build; a change of a workflow's step order must raise this."""

TRAINING_QUEUE = "training"
FEATURES_QUEUE = "features"
"""A materialisation need not wait for a training run."""
DATA_QUEUE = "data"
"""Nor a fetch for either."""


class StepCaller(Protocol):
    """Runs ``step`` once and remembers its JSON-able result under ``name`` for this workflow."""

    def __call__(self, name: str, step: Callable[[], Any], *, retries: int = 0) -> Any:
        """Return the remembered result, or run the step (again after a transient fault, ``retries`` times) and remember it."""
        ...


WorkflowBody = Callable[[str, StepCaller], str]


class _JsonSerializer:
    """JSON in the workflow tables; an exception becomes its type and text, and comes back as a RuntimeError."""

    def name(self) -> str:
        """What the workflow tables call this format."""
        return "leverframe_json"

    def serialize(self, data: Any) -> str:
        """``data`` as JSON text."""
        if isinstance(data, BaseException):
            return json.dumps({"__error__": f"{type(data).__name__}: {data}"})
        return json.dumps(data)

    def deserialize(self, serialized_data: str) -> Any:
        """The inverse of :meth:`serialize`."""
        value = json.loads(serialized_data)
        if isinstance(value, dict) and "__error__" in value:
            return RuntimeError(value["__error__"])
        return value


def _json_serializer() -> Any:
    """The serializer as the engine wants it: a subclass of its own base class."""
    from dbos import Serializer

    return type("JsonSerializer", (_JsonSerializer, Serializer), {})()


def call_step(name: str, step: Callable[[], Any], *, retries: int = 0) -> Any:
    """A :class:`StepCaller` inside a durable workflow."""
    from dbos import DBOS

    options: Any = {"name": name, "retries_allowed": retries > 0, "max_attempts": retries + 1, "interval_seconds": 0.2, "backoff_rate": 2.0}
    return DBOS.run_step(options, step)


class DurableEngine:
    """Executes workflows in this process, recovering those a dead predecessor left behind.

    Parameters
    ----------
    url: SQLAlchemy URL of the workflow tables.
    executor: a name that stays the same over restarts of one worker, so that it recovers its own workflows at once.
    """

    def __init__(self, url: str, *, executor: str) -> None:
        from dbos import DBOS

        DBOS(
            config={
                "name": "leverframe",
                "system_database_url": url,
                "application_version": APPLICATION_VERSION,
                "executor_id": executor,
                "log_level": "ERROR",
                "serializer": _json_serializer(),
                "notification_listener_polling_interval_sec": 0.1,
            }
        )

    def workflow(self, name: str, body: WorkflowBody) -> None:
        """Register ``body(argument, call_step)`` as workflow ``name``; before :meth:`launch`."""
        from dbos import DBOS

        @DBOS.workflow(name=name)
        def run(argument: str) -> str:
            return body(argument, call_step)

    def launch(self) -> None:
        """Recover what was interrupted, then take work from the queue."""
        from dbos import DBOS

        DBOS.launch()
        for queue in (TRAINING_QUEUE, FEATURES_QUEUE, DATA_QUEUE):
            DBOS.register_queue(queue, concurrency=1, polling_interval_sec=0.1)

    def close(self) -> None:
        """Stop taking work; a step in flight is abandoned and resumed by the next worker."""
        from dbos import DBOS

        DBOS.destroy()


class DurableQueue:
    """Hands workflows to a worker from another process."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: DBOSClient | None = None

    def enqueue(self, workflow: str, workflow_id: str, argument: str, *, queue: str = TRAINING_QUEUE) -> None:
        """Ask for ``workflow`` to be run once under ``workflow_id``; asking again is the same request."""
        if self._client is None:
            from dbos import DBOSClient

            self._client = DBOSClient(system_database_url=self._url, serializer=_json_serializer())
        options: Any = {
            "queue_name": queue,
            "workflow_name": workflow,
            "workflow_id": workflow_id,
            "app_version": APPLICATION_VERSION,
        }
        self._client.enqueue(options, argument)

    def close(self) -> None:
        """Release the connection."""
        if self._client is not None:
            self._client.destroy()
