"""What a look at a stage costs when much has been folded in: the production stage, record by record."""

import time

import msgspec
import numpy as np
from benchmarks.release.worlds import CANARY, RULES, World, draw

from leverframe.core.digest import digest_bytes
from leverframe.core.prediction import LabelRecord, LogRecord, PredictionRecord
from leverframe.release.evidence.evidence import StageEvidence
from leverframe.release.evidence.paths import Traffic
from leverframe.release.plans.plan import ReleasePlan, Stage, VersionRef

ENDPOINT = "flight-delay"
LOOKS = 300
BATCH = 20_000


def _stage_evidence(lag_us: int) -> StageEvidence:
    champion, candidate = (
        VersionRef(version=f"{ENDPOINT}@v{number}", bundle=digest_bytes(b"b"), envelope=digest_bytes(b"e")) for number in (1, 2)
    )
    plan = ReleasePlan(
        id="bench",
        environment="bench",
        endpoint=ENDPOINT,
        team="bench",
        strategy="canary",
        candidate=candidate,
        champion=champion,
        stages=(CANARY, Stage(name="100 %", role="full", weight=100.0)),
        rules=tuple(msgspec.structs.replace(rule, bound_us=100) for rule in RULES),
        watch_us=1,
        label_horizon_us=lag_us,
        stall_us=1,
        risk_tier="low",
        gates="pass",
        author="bench",
        created_at_us=0,
    )
    return StageEvidence(plan, 0, 1, 0)


def _records(traffic: Traffic, row: int, id: int) -> list[LogRecord]:
    """What the log has of one request: the answer, the candidate's unseen copy, the label."""
    own = bool(traffic.to_candidate[row])
    found: list[LogRecord] = []
    for candidate in (True,) if own else (False, True):
        failed = bool((traffic.failed_candidate if candidate else traffic.failed_champion)[row])
        score = float((traffic.score_candidate if candidate else traffic.score_champion)[row])
        found.append(
            PredictionRecord(
                id=str(id),
                endpoint=ENDPOINT,
                tenant="default",
                version=f"{ENDPOINT}@v{2 if candidate else 1}",
                role="canary" if own else "shadow" if candidate else "live",
                generation=1,
                asked_at_us=1 + id,
                latency_us=500 if traffic.slow[row] else 10,
                status="error" if failed else "ok",
                outputs=() if failed else (score,),
            )
        )
    return [*found, LabelRecord(id=str(id), endpoint=ENDPOINT, label=float(traffic.label[row]), known_at_us=1 + id)]


def look_ms(observations: int) -> float:
    """Milliseconds of processor time, median, to fold one more request in and judge all six rules."""
    lag = 600
    evidence, done, id = _stage_evidence(lag), 0, 0
    while done < observations:
        traffic = draw(World(rows=BATCH), np.random.default_rng(done))
        for row in range(BATCH):
            records = _records(traffic, row, id)
            evidence.fold(records)
            done, id = done + len(records), id + 1
        evidence.look(id)
    costs, traffic = [], draw(World(rows=LOOKS), np.random.default_rng(1))
    for row in range(LOOKS):
        records = _records(traffic, row, id)
        id += 1
        started = time.process_time()
        evidence.fold(records)
        evidence.look(id)
        costs.append(time.process_time() - started)
    return 1e3 * float(np.median(costs))
