"""Models and runs of a fake platform."""

from tests.apps import fake_records as records
from tests.apps.fake_access import Calls, FakeAccess

from leverframe.apps.platform import views
from leverframe.core.actor import Actor
from leverframe.core.errors import NotFound
from leverframe.core.model import ModelSpec, ModelVersion
from leverframe.core.training_set_report import Leak, TrainingSetReport, ViewMatch
from leverframe.training.difference import VersionDifference, difference


class FakeTraining:
    def __init__(self, calls: Calls, access: FakeAccess) -> None:
        self._calls, self._access = calls, access

    def apply_model(self, actor: Actor, spec: ModelSpec, *, key: str) -> dict[str, object]:
        self._calls.write(self._access, actor, "Training.ApplyModel", key, spec)
        return {"model": spec.name, "changed": True}

    def start(self, actor: Actor, request: views.TrainRequest, *, key: str) -> views.RunView:
        self._calls.write(self._access, actor, "Training.Start", key, request)
        return records.run("queued")

    def run(self, run_id: str) -> views.RunView:
        if run_id not in ("run-0001", "run-0002", "run-0003"):
            raise NotFound("no such run", where=run_id)
        return records.run()

    def runs(self, model: str = "") -> tuple[views.RunView, ...]:
        return (records.run(),)

    def models(self) -> tuple[ModelSpec, ...]:
        return (records.SPEC,)

    def versions(self, model: str) -> tuple[ModelVersion, ...]:
        return tuple(records.version(number) for number in (1, 2, 3)) if model == "flight-delay" else ()

    def version(self, name: str) -> views.VersionView:
        if name not in ("flight-delay@v1", "flight-delay@v2", "flight-delay@v3"):
            raise NotFound("no such version", where=name, next_step="lever models list")
        return records.version_view(int(name[-1]))

    def compare(self, before: str, after: str) -> VersionDifference:
        return difference(*(records.version_facts(self.version(name)) for name in (before, after)))

    def register_import(self, actor: Actor, model: str, request: views.ImportRequest, *, key: str) -> dict[str, object]:
        self._calls.write(self._access, actor, "Training.RegisterVersion", key, request)
        return {"version": f"{model}@v4", "number": 4}


class FakeLeakage:
    def report(self, model: str) -> TrainingSetReport:
        if model != "flight-delay":
            raise NotFound("no such model", where=model, next_step="lever models list")
        match = ViewMatch(view="weather", questions=200, matched=190, never_known=4, known_later=1, expired=5)
        leak = Leak(
            check="event_time_join",
            severity="note",
            view="weather",
            rows=1,
            out_of=200,
            of="questions",
            sentence="joined by event time alone, 1 of 200 questions would have had a row that was known later",
        )
        return TrainingSetReport(model=model, questions=200, matches=(match,), leaks=(leak,))
