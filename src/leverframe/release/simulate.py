"""Releases in a model world: the same evidence, the same decision rule, the same machine, and time that costs nothing.

Used to calibrate (how often is an equal version taken back? how long does a good one take? how many bad answers?), and replayable: one
seed, one trace, to the byte.
"""

import hashlib
import heapq

import msgspec
import numpy as np

from leverframe.core.clock import HOUR_US
from leverframe.core.digest import canonical_json
from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord
from leverframe.release.control.decide import decide
from leverframe.release.evidence.evidence import StageEvidence
from leverframe.release.machine import ENDED, Progress, State, step
from leverframe.release.plans.plan import ReleasePlan


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Traffic and two models: a champion whose scores follow the truth with noise, and a candidate that differs as told.

    ``requests_per_hour`` by day; nights (0 to 5 h) are quiet. Labels come ``label_delay_hours`` (least, most) after the question, never
    for ``unlabelled_share``. ``candidate_noise`` is the scatter between the two models' scores; ``candidate_shift`` is added to the
    candidate's; ``saturated_share`` of its scores are 0.95 whatever the truth. ``split_bias`` multiplies the share of callers it gets.
    """

    requests_per_hour: float = 48.0
    base_rate: float = 0.22
    spread: float = 0.12
    label_delay_hours: tuple[float, float] = (2.0, 9.0)
    unlabelled_share: float = 0.03
    candidate_noise: float = 0.05
    candidate_shift: float = 0.0
    saturated_share: float = 0.0
    candidate_error_rate: float = 0.0
    champion_error_rate: float = 0.0
    candidate_slow_rate: float = 0.002
    champion_slow_rate: float = 0.002
    split_bias: float = 1.0


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """How a simulated release went. ``bad_answers``: what callers got from the candidate until the end of the release."""

    state: State
    hours: float
    hours_to_full: float | None
    bad_answers: int
    rule: str
    log: tuple[str, ...]
    digest: str


class _Traffic:
    """Draws an hour of traffic at a time, routed by the current stage."""

    def __init__(self, world: World, plan: ReleasePlan, rng: np.random.Generator) -> None:
        self._world, self._plan, self._rng = world, plan, rng
        self._labels: list[tuple[int, int, LabelRecord]] = []
        self._serial = 0

    def hour(self, start_us: int, stage: int, generation: int) -> list[LogRecord]:
        """The log of the hour from ``start_us``: answers, and the labels that became known meanwhile."""
        world, rng = self._world, self._rng
        quiet = (start_us // HOUR_US) % 24 < 5
        n = int(rng.poisson(world.requests_per_hour * (0.05 if quiet else 1.0)))
        asked = np.sort(start_us + rng.integers(0, HOUR_US, n))
        truth = np.clip(rng.beta(world.base_rate * 8, (1 - world.base_rate) * 8, n), 0.01, 0.99)
        champion = np.clip(truth + rng.normal(0, world.spread / 2, n), 0, 1)
        candidate = np.clip(champion + rng.normal(0, world.candidate_noise, n) + world.candidate_shift, 0, 1)
        candidate[rng.random(n) < world.saturated_share] = 0.95
        labels = (rng.random(n) < truth).astype(float)
        delays = (rng.uniform(*world.label_delay_hours, n) * HOUR_US).astype(np.int64)
        chance = rng.random((5, n))
        records: list[LogRecord] = []
        for i in range(n):
            self._serial += 1
            id = f"q{self._serial}"
            records.extend(self._answers(id, int(asked[i]), float(champion[i]), float(candidate[i]), chance[:, i], stage, generation))
            if chance[4, i] >= world.unlabelled_share:
                label = LabelRecord(id=id, endpoint=self._plan.endpoint, label=float(labels[i]), known_at_us=int(asked[i] + delays[i]))
                heapq.heappush(self._labels, (label.known_at_us, self._serial, label))
        while self._labels and self._labels[0][0] < start_us + HOUR_US:
            records.append(heapq.heappop(self._labels)[2])
        return records

    def _answers(
        self, id: str, asked_us: int, champion: float, candidate: float, chance: np.ndarray, index: int, generation: int
    ) -> list[LogRecord]:
        world, stage = self._world, self._plan.stages[index]
        to_candidate = stage.role == "full" or (stage.role == "canary" and chance[0] < stage.weight / 100.0 * world.split_bias)
        compared = stage.role in ("shadow", "full") or stage.mirror
        answers: list[LogRecord] = []
        for is_candidate, score, errors, slow in (
            (False, champion, world.champion_error_rate, world.champion_slow_rate),
            (True, candidate, world.candidate_error_rate, world.candidate_slow_rate),
        ):
            served = is_candidate == to_candidate
            if not served and not (compared and (is_candidate or stage.role == "full")):
                continue
            failed = bool(chance[1 + is_candidate] < errors)
            ref = self._plan.candidate if is_candidate else self._plan.champion
            assert ref is not None
            answers.append(
                PredictionRecord(
                    id=id,
                    endpoint=self._plan.endpoint,
                    tenant="default",
                    version=ref.version,
                    role="shadow" if not served else "canary" if is_candidate and stage.role == "canary" else "live",
                    generation=generation,
                    asked_at_us=asked_us,
                    latency_us=500_000 if chance[3] < slow else 3_000,
                    status="error" if failed else "ok",
                    outputs=() if failed else (score,),
                )
            )
        return answers


def simulate(plan: ReleasePlan, world: World, seed: int, *, hours_max: int = 24 * 60, start_us: int = 6 * HOUR_US) -> Trace:
    """Run a release of ``plan`` (which has a champion) in ``world`` until it ends or ``hours_max`` simulated hours passed.

    The controller looks once a simulated hour. The same arguments give the same trace.
    """
    traffic = _Traffic(world, plan, np.random.default_rng(seed))
    progress, _ = step(Progress(), "apply", len(plan.stages))
    generation, now_us = 1, start_us
    evidence = StageEvidence(plan, progress.stage, generation, now_us)
    sketch = hashlib.sha256()
    log: list[str] = []
    bad, full_us, rule, hour = 0, None, "", 0
    while hour < hours_max and progress.state not in ENDED:
        evidence.fold(traffic.hour(now_us, progress.stage, generation))
        hour, now_us = hour + 1, now_us + HOUR_US
        decision = decide(progress, evidence, now_us)
        sketch.update(canonical_json(decision.verdicts))
        if decision.event is None:
            continue
        rule = next((v.rule for v in decision.verdicts if v.answer == "fail"), "")
        log.append(f"{hour} h: {decision.event} at {evidence.stage.name}: {decision.reason}")
        progress, action = step(progress, decision.event, len(plan.stages))
        if action != "none":
            bad += evidence.counts.answers_by_candidate
            generation += 1
        if action == "route_stage":
            evidence = StageEvidence(plan, progress.stage, generation, now_us)
            full_us = now_us if progress.state == "watching" else full_us
    if progress.state not in ENDED:
        bad += evidence.counts.answers_by_candidate
    sketch.update(canonical_json(log))
    return Trace(
        state=progress.state,
        hours=float(hour),
        hours_to_full=(full_us - start_us) / HOUR_US if full_us is not None else None,
        bad_answers=bad,
        rule=rule,
        log=tuple(log),
        digest=sketch.hexdigest(),
    )
