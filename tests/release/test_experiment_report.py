"""The final report can be computed again from the log by anyone, byte for byte, and a log that was changed does not give it."""

import msgspec
import numpy as np
import pytest
from tests.release.experiment_rig import ALICE, ENV, REGION, TEAM, Crowd, ExperimentRig, tampered

from leverframe.core.clock import HOUR_US
from leverframe.core.errors import LimitExceeded
from leverframe.core.prediction import LabelRecord, PredictionRecord
from leverframe.monitoring.label_match import LabelMatcher
from leverframe.release.experiments import report as page
from leverframe.release.experiments.plan import KIND_EXPERIMENT_PLAN, ExperimentPlan
from leverframe.release.experiments.records import Experiment
from leverframe.release.experiments.report import Report, final_report, report_bytes
from leverframe.release.experiments.running import StopExperiment

SPAN = ()


@pytest.fixture(scope="module")
def ended() -> tuple[ExperimentRig, ExperimentPlan, Experiment]:
    rig = ExperimentRig(seed=21)
    id = rig.start(segments=(REGION,))
    rig.run_experiment(id, crowd=Crowd(callers=3_000, gain=lambda v, r: 0.1 if v.endswith("2") else 0.0))
    experiment = rig.experiment(id)
    rig.callers_ask(200)
    plan = rig.journal.get(KIND_EXPERIMENT_PLAN, experiment.plan, ExperimentPlan)
    assert plan is not None
    return rig, plan, experiment


def again(plan, experiment, log) -> bytes:
    made = final_report(plan, experiment, log, SPAN, LabelMatcher().match)
    return report_bytes(made)


def test_the_same_log_in_any_order_gives_the_same_bytes(ended):
    rig, plan, experiment = ended
    stored = msgspec.json.decode(rig.kept[experiment.report], type=Report)
    first = again(plan, experiment, rig.log)
    assert report_bytes(msgspec.structs.replace(stored, span=SPAN)) == first
    shuffled = [rig.log[index] for index in np.random.default_rng(0).permutation(len(rig.log))]
    assert again(plan, experiment, shuffled) == first
    assert (stored.outcome, stored.winner) == ("winner", "flight-delay@v2")
    assert stored.records == sum(
        experiment.started_us <= (r.asked_at_us if isinstance(r, PredictionRecord) else r.known_at_us) < experiment.ended_us
        for r in rig.log
    )


@pytest.mark.parametrize("field", ["version", "id", "latency_us", "outputs", "gone", "twice", "label"])
def test_a_log_that_was_changed_gives_another_report(ended, field):
    """Even where no figure of the read-out changes (an id, a latency within its bound)."""
    rig, plan, experiment = ended
    changes = {
        "version": lambda r: msgspec.structs.replace(r, version="flight-delay@v9"),
        "id": lambda r: msgspec.structs.replace(r, id="another"),
        "latency_us": lambda r: msgspec.structs.replace(r, latency_us=r.latency_us + 1),
        "outputs": lambda r: msgspec.structs.replace(r, outputs=(0.123,)),
    }
    first = next(i for i, r in enumerate(rig.log) if isinstance(r, PredictionRecord) and r.exposure)
    if field == "gone":
        log = [*rig.log[:first], *rig.log[first + 1 :]]
    elif field == "twice":
        log = [*rig.log, rig.log[first]]
    elif field == "label":
        at = next(i for i, r in enumerate(rig.log) if isinstance(r, LabelRecord) and r.known_at_us < experiment.ended_us)
        log = [*rig.log[:at], msgspec.structs.replace(rig.log[at], label=0.0), *rig.log[at + 1 :]]
    else:
        log = tampered(rig.log, changes[field])
    assert again(plan, experiment, log) != again(plan, experiment, rig.log)


def test_what_came_after_the_end_changes_nothing(ended):
    rig, plan, experiment = ended
    assert max(r.asked_at_us for r in rig.log if isinstance(r, PredictionRecord)) > experiment.ended_us
    before = [r for r in rig.log if (r.asked_at_us if isinstance(r, PredictionRecord) else r.known_at_us) < (experiment.ended_us or 0)]
    assert again(plan, experiment, before) == again(plan, experiment, rig.log)


def test_the_report_says_what_the_last_look_said(ended):
    """Looks fold as records come, the report in canonical order: sums agree but for rounding."""
    rig, plan, experiment = ended
    made = final_report(plan, experiment, rig.log, SPAN, LabelMatcher().match).readout
    for arm, said in zip(made.arms, rig.readout(plan.id).arms, strict=True):
        assert (arm.version, arm.keys, arm.rows, arm.standing) == (said.version, said.keys, said.rows, said.standing)
        assert arm.gain == (pytest.approx(said.gain) if said.gain is not None else None)


def test_labels_that_name_an_entity_find_their_request():
    rig = ExperimentRig(seed=22)
    id = rig.start()
    rig.callers_ask(300)
    exposed = [r for r in rig.log if isinstance(r, PredictionRecord)]
    rig.log[:] = [msgspec.structs.replace(r, entities={"customer": r.id}) for r in exposed]
    rig.log += [
        LabelRecord(
            id="",
            endpoint=r.endpoint,
            label=1.0,
            known_at_us=r.asked_at_us + 60_000_000,
            entities={"customer": r.id},
            asked_at_us=r.asked_at_us,
        )
        for r in exposed
    ]
    rig.clock.advance(3 * HOUR_US)
    rig.write(ALICE, StopExperiment(experiment=id, owner_team=TEAM, reason="enough"))
    rig.look()
    assert rig.experiment(id).state == "ended"
    assert [arm.mean for arm in rig.readout(id).arms] == [1.0, 1.0]
    assert sum(arm.rows for arm in rig.readout(id).arms) == 300
    assert rig.journal.get("endpoint", f"{ENV}/flight-delay", type(rig.endpoint())).experiment is None


def test_there_is_a_bound_and_it_is_said(ended, monkeypatch):
    rig, plan, experiment = ended
    monkeypatch.setattr(page, "RECORDS_MAX", 10)
    with pytest.raises(LimitExceeded, match="at most 10"):
        again(plan, experiment, rig.log)
