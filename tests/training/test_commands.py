import msgspec
import pytest

from leverframe.core.actor import Actor
from leverframe.core.clock import ManualClock
from leverframe.core.descent import MadeFrom, descendants
from leverframe.core.digest import canonical_json
from leverframe.core.errors import Conflict, InvalidInput, NotFound, Refused
from leverframe.core.model import ModelSpec, ModelVersion, version_id_of
from leverframe.core.verdict import GateRule
from leverframe.governance.ledger.memory import AllowEverything, MemoryJournal
from leverframe.training.commands import (
    HANDLERS,
    KIND_MODEL,
    KIND_MODEL_VERSION,
    ApplyModel,
    FinishRun,
    RecordStep,
    RegisterVersion,
    StartRun,
    apply_model_facts,
)
from leverframe.training.runs import KIND_RUN, RunRecord, RunStep

ANA = Actor(subject="ana", roles=("engineer",), teams=("flights",))
BUNDLE, OTHER, ENVELOPE = ("sha256:" + c * 64 for c in "abc")


@pytest.fixture
def ledger(spec):
    journal = MemoryJournal(ManualClock(100), AllowEverything(), HANDLERS)
    journal.write(ANA, ApplyModel(spec=spec), key="model")
    counter = iter(range(1_000))
    journal.do = lambda command: journal.write(ANA, command, key=f"k{next(counter)}").result
    return journal


def start(**changes):
    settings = {
        "run_id": "r1",
        "model": "flight-delay",
        "owning_team": "flights",
        "window": ("a", "b"),
        "seed": 1,
        "steps": ("fit", "register"),
    }
    return StartRun(**(settings | changes))


def register(**changes):
    settings = {
        "model": "flight-delay", "owning_team": "flights", "bundle": BUNDLE, "envelope": ENVELOPE, "run_id": "r1", "risk_tier": "low",
        "gates": "pass", "metrics": {"roc_auc": 0.7}, "roc_auc_low": 0.69, "roc_auc_high": 0.71,
    }  # fmt: skip
    return RegisterVersion(**(settings | changes))


RUN = {"run_id": "r1", "model": "flight-delay", "owning_team": "flights"}


def test_a_run_from_start_to_version(ledger):
    ledger.do(start())
    queued = ledger.get(KIND_RUN, "r1", RunRecord)
    assert (queued.status, queued.started_by, queued.started_at_us, queued.team) == ("queued", "ana", 100, "flights")
    assert queued.steps == (RunStep(name="fit"), RunStep(name="register"))
    done = RunStep(name="fit", status="done", seconds=1.5, attempts=1)
    ledger.do(RecordStep(**RUN, step=done))
    running = ledger.get(KIND_RUN, "r1", RunRecord)
    assert (running.status, running.steps[0], running.steps[1].status) == ("running", done, "pending")
    assert ledger.do(register()) == {"version": "flight-delay@v1", "number": 1}
    ledger.do(RecordStep(**RUN, step=RunStep(name="register", status="done")))
    ledger.do(FinishRun(**RUN, outcome="succeeded", version="flight-delay@v1"))
    finished = ledger.get(KIND_RUN, "r1", RunRecord)
    assert (finished.status, finished.version, finished.finished_at_us) == ("succeeded", "flight-delay@v1", 100)


def test_numbers_are_given_in_order_and_a_bundle_once(ledger):
    assert [ledger.do(register(bundle=b))["number"] for b in (BUNDLE, OTHER)] == [1, 2]
    with pytest.raises(Conflict, match="flight-delay@v1"):
        ledger.do(register())
    record = ledger.get(KIND_MODEL_VERSION, "flight-delay/000002", ModelVersion)
    assert (record.name, record.bundle, record.created_by, record.metrics) == ("flight-delay@v2", OTHER, "ana", {"roc_auc": 0.7})
    assert [v.number for v in ledger.find(KIND_MODEL_VERSION, ModelVersion, prefix="flight-delay/")] == [1, 2]


def test_what_a_version_was_made_from_is_kept_with_it_and_found_from_there(ledger, spec):
    ledger.do(ApplyModel(spec=msgspec.structs.replace(spec, name="base")))
    ledger.do(register(model="base"))
    parent = MadeFrom(version="base@v1", how="rows", dataset="scores")
    ledger.do(register(bundle=OTHER, made_from=(parent,)))
    made = ledger.get(KIND_MODEL_VERSION, "flight-delay/000001", ModelVersion)
    assert made.made_from == (parent,)
    assert {child: descent.parent for child, descent in descendants(ledger, "base@v1").items()} == {"flight-delay@v1": parent}
    first = ledger.get(KIND_MODEL_VERSION, "base/000001", ModelVersion)
    assert b"made_from" not in canonical_json(first), "a record of an older shape keeps its byte form"
    with pytest.raises(NotFound, match="no such model version to be made from"):
        ledger.do(register(bundle="sha256:" + "9" * 64, made_from=(MadeFrom(version="base@v2"),)))
    with pytest.raises(InvalidInput, match="too many"):
        ledger.do(register(bundle="sha256:" + "9" * 64, made_from=(parent,) * 65))
    assert len(ledger.find(KIND_MODEL_VERSION, ModelVersion)) == 2


def test_the_same_key_registers_once(ledger):
    """A worker killed after registering asks again with the same key and gets the first answer."""
    first = ledger.write(ANA, register(), key="register/r1")
    second = ledger.write(ANA, register(), key="register/r1")
    assert (first.result["version"], second.result["version"], second.replayed) == ("flight-delay@v1", "flight-delay@v1", True)
    assert len(ledger.find(KIND_MODEL_VERSION, ModelVersion)) == 1


def test_models_with_a_common_prefix_count_apart(ledger, spec):
    ledger.do(ApplyModel(spec=msgspec.structs.replace(spec, name="flight-delay-2")))
    ledger.do(register())
    assert ledger.do(register(model="flight-delay-2"))["number"] == 1


def test_nothing_is_registered_for_strangers(ledger):
    with pytest.raises(NotFound, match="flight-delay"):
        ledger.do(register(model="other"))
    with pytest.raises(Conflict, match="another team"):
        ledger.do(register(owning_team="thieves"))
    with pytest.raises(InvalidInput):
        ledger.do(register(bundle="/etc/passwd"))
    assert ledger.find(KIND_MODEL_VERSION, ModelVersion) == []


def test_a_run_cannot_claim_a_success_it_did_not_have(ledger):
    ledger.do(start())
    ledger.do(register(run_id="someone-else"))
    with pytest.raises(Refused, match="fit, register"):
        ledger.do(FinishRun(**RUN, outcome="succeeded", version="flight-delay@v1"))
    with pytest.raises(InvalidInput, match="reason"):
        ledger.do(FinishRun(**RUN, outcome="failed"))
    ledger.do(FinishRun(**RUN, outcome="failed", failure="step fit: no rows"))
    assert ledger.get(KIND_RUN, "r1", RunRecord).failure == "step fit: no rows"


def test_a_finished_run_does_not_change(ledger):
    ledger.do(start())
    ledger.do(FinishRun(**RUN, outcome="failed", failure="x"))
    for command in (RecordStep(**RUN, step=RunStep(name="fit")), FinishRun(**RUN, outcome="failed", failure="y")):
        with pytest.raises(Conflict, match="is over"):
            ledger.do(command)
    with pytest.raises(Conflict, match="exists"):
        ledger.do(start())


def test_runs_and_steps_that_are_not_there(ledger):
    ledger.do(start())
    with pytest.raises(NotFound, match="no such step"):
        ledger.do(RecordStep(**RUN, step=RunStep(name="bake")))
    with pytest.raises(NotFound, match="no such run"):
        ledger.do(RecordStep(**(RUN | {"run_id": "r2"}), step=RunStep(name="fit")))
    with pytest.raises(NotFound, match="no such run"):
        ledger.do(RecordStep(**(RUN | {"owning_team": "thieves"}), step=RunStep(name="fit")))
    for bad in ({"run_id": "../x"}, {"steps": ()}, {"steps": ("a", "a")}):
        with pytest.raises(InvalidInput):
            ledger.do(start(**bad))


def test_a_model_stays_with_its_team(ledger, spec):
    with pytest.raises(Conflict, match="another team"):
        ledger.do(ApplyModel(spec=msgspec.structs.replace(spec, team="thieves")))
    assert ledger.get(KIND_MODEL, "flight-delay", ModelSpec).team == "flights"


def test_the_policy_is_told_when_a_declaration_gets_weaker(ledger, spec):
    class Held:
        def get(self, kind, id, type):
            return msgspec.structs.replace(spec, risk_tier="high", gates=(*spec.gates, GateRule(metric="brier", op="<=", threshold=0.2)))

    facts = apply_model_facts(ApplyModel(spec=spec), Held())
    assert facts == {"exists": True, "risk_tier": "low", "lowers_risk_tier": True, "removes_gates": True}


def test_names_of_versions():
    assert version_id_of("flight-delay@v12") == "flight-delay/000012"
    for bad in ("flight-delay", "@v1", "m@vx", "m@v²"):
        with pytest.raises(InvalidInput):
            version_id_of(bad)
