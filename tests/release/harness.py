"""A control plane in memory and a prediction log in a list, to release against."""

from collections.abc import Callable, Iterable

import numpy as np

from leverframe.core.actor import Actor
from leverframe.core.clock import DAY_US, HOUR_US, ManualClock
from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.descent import KIND_DESCENT, Descent, descent_id
from leverframe.core.model import ModelSpec, ModelVersion
from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord
from leverframe.core.route import Endpoint
from leverframe.governance.decision import Decides
from leverframe.governance.ledger.memory import AllowEverything, MemoryJournal
from leverframe.release.commands import HANDLERS, ApplyPlan, PlanRelease
from leverframe.release.control.controller import Controller
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan, Stage
from leverframe.release.records import KIND_ENDPOINT, KIND_MODEL, KIND_MODEL_VERSION, KIND_RELEASE, Release
from leverframe.release.requirements.observed import KIND_OBSERVED, ObservedBundle

ALICE = Actor(subject="alice", roles=("engineer",), teams=("delays",))
BOB = Actor(subject="bob", roles=("approver",), teams=("delays",))
CAROL = Actor(subject="carol", roles=("approver",), teams=("delays",))
START_US = 400 * DAY_US + 6 * HOUR_US
ENV, NAME, TEAM = "prod", "flight-delay", "delays"


class Register(Command, frozen=True, kw_only=True):
    """Puts a model version, as the training room would; ``evidence``: with all that its release may be asked for."""

    action = "Test.Register"
    record: ModelVersion
    evidence: bool = True

    def resource(self) -> str:
        return f"model_version/{self.record.name}"


def _register(command: Register, tx: Transaction) -> None:
    record = command.record
    for parent in record.made_from or ():
        tx.put(KIND_DESCENT, descent_id(parent.version, record.name), Descent(child=record.name, parent=parent))
    tx.put(KIND_MODEL_VERSION, f"{record.model}/{record.number:06d}", record)
    if not command.evidence:
        return
    spec = ModelSpec(
        name=record.model,
        description="d",
        owner="alice",
        team=TEAM,
        runbook="https://runbooks.example.com/d",
        dataset="x",
        label="y",
        request=(),
    )
    tx.put(KIND_MODEL, record.model, spec)
    seen = ObservedBundle(bundle=record.bundle, envelope=record.envelope, signed=True, card_missing=(), lineage_missing=(), at_us=tx.now_us)
    tx.put(KIND_OBSERVED, record.bundle, seen)


REGISTER = Handles(command=Register, run=_register)


def version(number: int, *, tier: str = "low", gates: str = "pass") -> ModelVersion:
    digest = f"sha256:{number:064x}"
    return ModelVersion(
        model=NAME,
        number=number,
        bundle=digest,
        envelope=digest,
        run_id=f"r{number}",
        created_by="alice",
        created_at_us=0,
        risk_tier=tier,
        gates=gates,
    )


SHORT = (
    Stage(name="shadow", role="shadow", weight=0.0, min_hold_us=6 * HOUR_US, rows_min=100, labels_min=100),
    Stage(name="canary 10 %", role="canary", weight=10.0, mirror=True, min_hold_us=6 * HOUR_US, rows_min=100, labels_min=100),
    Stage(name="100 %", role="full", weight=100.0, min_hold_us=0, rows_min=100),
)
"""A ladder that takes a good version about two days."""


class Rig:
    """Journal, clock, log and controller of one environment with ``flight-delay@v1`` live."""

    def __init__(
        self,
        *,
        seed: int = 0,
        policy: Decides | None = None,
        versions: Iterable[ModelVersion] = (),
        initial: bool = True,
        more: tuple[Handles, ...] = (),
    ) -> None:
        self.clock = ManualClock(START_US)
        self.journal = MemoryJournal(self.clock, policy or AllowEverything(), (*HANDLERS, REGISTER, *more))
        self.log: list[LogRecord] = []
        self.rng = np.random.default_rng(seed)
        self.controller = Controller(self.journal, ENV)
        self.serial = 0
        self.labels: list[LabelRecord] = []
        for record in versions or (version(1), version(2), version(3)):
            self.write(ALICE, Register(record=record))
        if initial:
            self.release("flight-delay@v1", strategy="initial")
            self.tick()

    def write(self, actor: Actor, command: Command, key: str = "") -> dict:
        self.serial += 1
        return self.journal.write(actor, command, key=key or f"k{self.serial}").result

    def plan(self, name: str, actor: Actor = ALICE, **fields: object) -> str:
        fields = {"strategy": "shadow_canary", "stages": None if fields.get("strategy") == "initial" else SHORT, **fields}
        return self.write(actor, PlanRelease(environment=ENV, endpoint=NAME, version=name, owner_team=TEAM, **fields))["plan"]

    def release(self, name: str, **fields: object) -> str:
        return self.write(ALICE, ApplyPlan(plan=self.plan(name, **fields), owner_team=TEAM))["release"]

    def endpoint(self) -> Endpoint:
        found = self.journal.get(KIND_ENDPOINT, f"{ENV}/{NAME}", Endpoint)
        assert found is not None
        return found

    def state(self, release: str) -> Release:
        found = self.journal.get(KIND_RELEASE, release, Release)
        assert found is not None
        return found

    def generation(self) -> int:
        from leverframe.release.records import KIND_GENERATION, Generation

        found = self.journal.get(KIND_GENERATION, ENV, Generation)
        return found.value if found else 0

    def observations(self, since: int) -> Iterable[tuple[int, LogRecord]]:
        return ((index + 1, self.log[index]) for index in range(since, len(self.log)))

    def tick(self) -> tuple:
        return self.controller.tick(self.observations, self.clock.now_us())

    def serve(
        self, requests: int = 40, *, score: Callable[[str, float], float] | None = None, labels: bool = True, share: float | None = None
    ) -> None:
        """An hour of traffic under the current route, then the clock moves on by that hour."""
        endpoint, now_us, generation = self.endpoint(), self.clock.now_us(), self.generation()
        live = endpoint.live
        assert live is not None
        for asked_us in np.sort(now_us + self.rng.integers(0, HOUR_US, requests)):
            self.serial += 1
            id, truth = f"q{self.serial}", float(self.rng.beta(2, 7))
            canary = next((arm for arm in endpoint.arms if arm.role == "canary"), None)
            weight = 0.0 if canary is None else canary.weight if share is None else share
            chosen = canary if canary is not None and self.rng.random() * 100 < weight else live
            for arm in endpoint.arms:
                served = arm is chosen
                if not served and arm.role != "shadow" and not (arm is canary and arm.mirror):
                    continue
                base = float(np.clip(truth + self.rng.normal(0, 0.02), 0, 1))
                self.log.append(
                    PredictionRecord(
                        id=id,
                        endpoint=NAME,
                        tenant="default",
                        version=arm.version,
                        role=arm.role if served else "shadow",
                        generation=generation,
                        asked_at_us=int(asked_us),
                        latency_us=3_000,
                        status="ok",
                        outputs=(score(arm.version, base) if score else base,),
                    )
                )
            if labels:
                known_us = int(asked_us + self.rng.uniform(1, 6) * HOUR_US)
                self.labels.append(LabelRecord(id=id, endpoint=NAME, label=float(self.rng.random() < truth), known_at_us=known_us))
        self.clock.advance(HOUR_US)
        ripe = [label for label in self.labels if label.known_at_us <= self.clock.now_us()]
        self.labels = [label for label in self.labels if label.known_at_us > self.clock.now_us()]
        self.log.extend(sorted(ripe, key=lambda label: label.known_at_us))

    def run(self, release: str, hours: int, **traffic: object) -> Release:
        """Serve and look hour by hour until the release ends or ``hours`` are over."""
        for _ in range(hours):
            self.serve(**traffic)
            self.tick()
            if not self.state(release).active:
                break
        return self.state(release)


def plan_of(rig: Rig, digest: str) -> ReleasePlan:
    found = rig.journal.get(KIND_PLAN, digest, ReleasePlan)
    assert found is not None
    return found


__all__ = ["ALICE", "BOB", "CAROL", "ENV", "ModelSpec", "NAME", "Rig", "SHORT", "START_US", "TEAM", "plan_of", "version"]
