"""Fetches carried out where they are asked for, so that a test sees what a worker would have run into."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from leverframe.apps.fetch_workflow import FetchWorkflow
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views import IngestView
from leverframe.apps.platform.views.sources import FetchRequest
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_parts
from leverframe.core.actor import Actor
from leverframe.core.dataset import ContractReport, Snapshot
from leverframe.data.commands import KIND_SNAPSHOT


class AtOnce:
    """A queue that does the work at once, remembers nothing, and keeps the errors of steps."""

    def __init__(self) -> None:
        self.parts: Parts | None = None
        self.errors: list[Exception] = []

    def enqueue(self, workflow: str, workflow_id: str, argument: str, *, queue: str = "") -> None:
        def call(name: str, step: Callable[[], Any], *, retries: int = 0) -> Any:
            try:
                return json.loads(json.dumps(step()))
            except Exception as error:
                self.errors.append(error)
                raise

        assert self.parts is not None
        FetchWorkflow(self.parts).run(argument, call)

    def close(self) -> None:
        """Nothing is open."""


def open_at_once(home: Path, **settings: Any) -> Platform:
    parts = open_parts(Settings(home=home, **settings))
    parts.queue.close()
    queue = AtOnce()
    queue.parts = dataclasses.replace(parts, queue=queue)  # type: ignore[arg-type]
    return Platform(queue.parts)


def fetch(platform: Platform, actor: Actor, dataset: str, source: str, *, pattern: str = "", full: bool = False, key: str) -> IngestView:
    """What became of a fetch; raises what the worker ran into."""
    job = platform.fetching.start(actor, dataset, FetchRequest(source=source, pattern=pattern, full=full), key=key)
    if job.status == "failed":
        raise platform.parts.queue.errors[-1]  # type: ignore[attr-defined]
    assert job.status in ("done", "refused", "nothing_new"), job
    snapshot = platform.parts.ledger.get(KIND_SNAPSHOT, f"{dataset}/{job.snapshot}", Snapshot) if job.snapshot else None
    if job.report_digest:
        report = msgspec.json.decode(platform.parts.artifacts.get(job.report_digest), type=ContractReport)
    else:
        report = ContractReport(dataset=dataset, contract="", contract_version="", rows=0, accepted=True, results=())
    return IngestView(dataset=dataset, accepted=job.status != "refused", report=report, snapshot=snapshot, quarantine=job.quarantine)
