"""Do releases decide soundly, and how soon? Thousands of simulated ones from fixed seeds, with what other tools do in the same run.

The evidence of every request is computed by the product's own functions (``leverframe.release.evidence.paths``), which a test compares
look by look with the stage that production runs; rollout-hours and the cost of a look are measured on that stage itself. ``--quick``: a
tenth of it.
"""

import argparse
import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
from benchmarks.release.baselines import (
    auc_variance,
    fewest_rate_answers,
    fixed_canary_rows,
    fixed_paired_auc_rows,
    fixed_proof_rows,
    kayenta_aborts,
    repeated_t_aborts,
)
from benchmarks.release.look import look_ms
from benchmarks.release.worlds import ALPHA, CANARY, MARGINS, RULES, SHARE, World, draw, worse
from benchmarks.report import Report

from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.digest import digest_bytes
from leverframe.core.statistics.auc import NEGATIVES, POSITIVES, auc_blocks
from leverframe.core.statistics.rates import rate_bets, rate_blocks
from leverframe.release.evidence.judge import beyond
from leverframe.release.evidence.paths import evidence_paths, first_harm, first_proof
from leverframe.release.plans.plan import Metric, ReleasePlan, VersionRef, default_rules, default_stages
from leverframe.release.simulate import World as RolloutWorld
from leverframe.release.simulate import simulate

SEED = 20_260
STAGE_ROWS = 2_500
LADDER = (0.05, 0.25, 0.5)
WRONG_MAX = 0.01
ALL_ERRORS_MAX = 30.0
BASELINE_PART_MAX = 1.0 / 3.0
PROOF_RATIO_MAX = 1.5
HOURS_A_MINUTE_MIN = 1_000.0
LOOK_MS_MAX = 1.0
ROWS_MAX = 40_000


def main(options: Sequence[str] = ()) -> None:
    """Run all parts and report."""
    parser = argparse.ArgumentParser(prog="benchmarks release")
    parser.add_argument("--quick", action="store_true", help="a tenth of the releases; does not replace the results")
    quick = parser.parse_args(list(options)).quick
    part = 10 if quick else 1
    report = Report(name="release", packages=("leverframe", "numpy", "scipy"))
    _wrong_aborts(report, 10_000 // part)
    _harms(report, 200 // part)
    _promotion(report, 400 // part)
    _replays(report, 40 // part)
    observations = 1_000_000 // part
    report.add(
        f"cost of a look with one new request, 6 rules, {observations:,} observations folded in",
        look_ms(observations),
        "ms",
        bar=LOOK_MS_MAX,
    )
    if quick:
        report.show()
    else:
        report.write()


def _wrong_aborts(report: Report, releases: int) -> None:
    """Equal versions, and versions exactly as bad as is tolerated, over a whole ladder."""
    equal, at_margin = World(rows=STAGE_ROWS), World(rows=STAGE_ROWS, errors=0.03, slow=0.10, noise=0.075)
    wrong, tolerated, t_test = 0, 0, 0
    for seed in range(releases):
        rng = np.random.default_rng((SEED, 1, seed))
        stages = [draw(replace(equal, share=share), rng) for share in LADDER]
        wrong += any(_aborts(traffic, share) for traffic, share in zip(stages, LADDER, strict=True))
        t_test += any(repeated_t_aborts(traffic) is not None for traffic in stages)
    few = max(releases // 5, 100)
    for seed in range(few):
        rng = np.random.default_rng((SEED, 2, seed))
        tolerated += any(_aborts(draw(replace(at_margin, share=share), rng), share) for share in LADDER)
    kayenta = sum(
        any(kayenta_aborts(draw(replace(equal, share=share), np.random.default_rng((SEED, 3, seed)))) is not None for share in LADDER)
        for seed in range(few // 10)
    )
    looks = f"{STAGE_ROWS * len(LADDER):,} looks each"
    report.add("equal releases simulated", releases, "releases")
    report.add(f"equal releases taken back or held, 6 rules, 3 stages, {looks}", wrong / releases, "share", bar=WRONG_MAX)
    report.add("releases at the margins of three rules taken back", tolerated / few, "share", bar=WRONG_MAX)
    report.add("equal releases taken back", t_test / releases, "share", peer="t-test at every look")
    report.add("equal releases taken back, 2 rules", kayenta / (few // 10), "share", peer="Mann-Whitney (Kayenta)")


def _aborts(traffic: object, share: float) -> bool:
    stage = msgspec.structs.replace(CANARY, weight=100.0 * share)
    return first_harm(RULES, evidence_paths(RULES, stage, traffic)) is not None  # type: ignore[arg-type]


def _harms(report: Report, releases: int) -> None:
    """Answers that callers got from a bad version, canary at 5 %, against a threshold at a fixed horizon of the same false-abort rate."""
    variance = auc_variance(draw(World(rows=200_000), np.random.default_rng(SEED)))
    for name, (world, metric) in worse(ROWS_MAX).items():
        bad, kayenta = [], []
        for seed in range(releases):
            traffic = draw(world, np.random.default_rng((SEED, 4, seed)))
            found = first_harm(RULES, evidence_paths(RULES, CANARY, traffic))
            answers = np.cumsum(traffic.to_candidate)
            bad.append(int(answers[found[0]]) if found else int(answers[-1]))
            if metric != "outcome_auc" and seed < releases // 4:
                at = kayenta_aborts(traffic)
                kayenta.append(int(answers[-1 if at is None else at]))
        lag = SHARE * traffic.label_lag if metric == "outcome_auc" else 0.0
        fixed = fixed_canary_rows(metric, variance) + lag
        median, high = float(np.median(bad)), float(np.quantile(bad, 0.95))
        report.add(f"{name}: bad answers until rollback, median", median, "answers", bar=ALL_ERRORS_MAX if name.startswith("100") else None)
        report.add(f"{name}: bad answers until rollback, p95", high, "answers", bar=ALL_ERRORS_MAX if name.startswith("100") else None)
        report.add(f"{name}: bad answers until rollback", fixed, "answers", peer="threshold at a fixed horizon")
        report.add(f"{name}: ours (median) / fixed horizon", median / fixed, "x", bar=BASELINE_PART_MAX)
        if metric == "outcome_auc":
            equal = World(rows=200_000)
            paired = SHARE * (
                fixed_paired_auc_rows(_auc_gap_variance(equal), _auc_gap_variance(replace(world, rows=200_000))) + traffic.label_lag
            )
            report.add(f"{name}: bad answers until rollback", paired, "answers", peer="fixed horizon, paired (DeLong)")
        else:
            alone = [_unmirrored(world, metric, seed) for seed in range(releases)]
            bar = ALL_ERRORS_MAX if name.startswith("100") else None
            report.add(f"{name}, canary not mirrored: bad answers, median", float(np.median(alone)), "answers", bar=bar)
            report.add(f"{name}, canary not mirrored: bad answers, p95", float(np.quantile(alone, 0.95)), "answers", bar=bar)
            ratio = float(np.median(alone)) / fixed
            report.add(f"{name}, canary not mirrored: ours (median) / fixed horizon", ratio, "x", bar=BASELINE_PART_MAX)
            if metric == "errors":
                fewest = fewest_rate_answers(world.errors, 0.01, MARGINS[metric], SHARE, ALPHA)
                report.add(
                    f"{name}, canary not mirrored: bad answers, mean", fewest, "answers", peer="fewest that any test can need (Wald)"
                )
        if kayenta:
            report.add(f"{name}: bad answers until rollback, median", float(np.median(kayenta)), "answers", peer="Mann-Whitney (Kayenta)")


def _unmirrored(world: World, metric: Metric, seed: int) -> int:
    """Bad answers when the candidate scores only what it answers: the same bets, on served answers alone."""
    traffic = draw(world, np.random.default_rng((SEED, 6, seed)))
    events = (
        traffic.slow if metric == "latency_budget" else np.where(traffic.to_candidate, traffic.failed_candidate, traffic.failed_champion)
    )
    ones, zeros, at = rate_blocks(traffic.to_candidate, events, SHARE)
    harm, _ = rate_bets(ones, zeros, MARGINS[metric], SHARE)
    crossed = beyond(np.cumsum(harm), ALPHA)
    return int(traffic.to_candidate[: (int(at[crossed.argmax()]) if crossed.any() else traffic.rows) + 1].sum())


def _auc_gap_variance(world: World) -> float:
    many = draw(world, np.random.default_rng(SEED))
    gaps, _ = auc_blocks(many.label, np.column_stack((many.score_candidate, many.score_champion)))
    return float(gaps.var()) * (POSITIVES + NEGATIVES)


def _promotion(report: Report, releases: int) -> None:
    """Requests until an equal version is proven, against the best fixed sample for the same data."""
    rules = tuple(rule for rule in RULES if rule.metric != "sample_ratio")
    rows: dict[str, list[float]] = {rule.metric: [] for rule in rules} | {"all": []}
    for seed in range(releases):
        traffic = draw(World(rows=12_000), np.random.default_rng((SEED, 5, seed)))
        paths = evidence_paths(RULES, CANARY, traffic)
        for rule in rules:
            proven = first_proof((rule,), paths)
            rows[rule.metric].append(float(traffic.rows if proven is None else proven + 1))
        together = first_proof(rules, paths)
        rows["all"].append(float(traffic.rows if together is None else together + 1))
    fixed = _fixed_sizes(traffic.label_lag)
    for rule in rules:
        ratio = float(np.median(rows[rule.metric])) / fixed[rule.metric]
        report.add(f"equal version proven by {rule.metric} alone: median / fixed sample of 80 % power", ratio, "x")
    best = max(fixed.values())
    report.add("equal version proven by all rules, median", float(np.median(rows["all"])), "requests")
    report.add("equal version proven by all rules, p95", float(np.quantile(rows["all"], 0.95)), "requests")
    report.add("the same, fixed sample of the slowest rule", best, "requests", peer="optimal fixed sample")
    report.add("equal version: ours (median) / fixed sample", float(np.median(rows["all"])) / best, "x", bar=PROOF_RATIO_MAX)


def _fixed_sizes(lag: int) -> dict[str, float]:
    many = draw(World(rows=200_000), np.random.default_rng(SEED))
    brier = (many.score_candidate - many.label) ** 2 - (many.score_champion - many.label) ** 2
    variances = {
        "prediction_shift": float((many.score_candidate - many.score_champion).var()),
        "outcome_brier": float(brier.var()),
        "outcome_auc": _auc_gap_variance(World(rows=200_000)),
    }
    sizes = {metric: fixed_proof_rows(metric, variances.get(metric, 0.0)) for metric in MARGINS if metric != "sample_ratio"}
    # A label comes when it comes, also for a fixed sample; and a sample of three rows is none: at least 30.
    return {metric: max(size, 30.0) + (lag if metric.startswith("outcome_") else 0) for metric, size in sizes.items()}


def _plan() -> ReleasePlan:
    stages = default_stages("canary")
    champion, candidate = (
        VersionRef(version=f"flight-delay@v{number}", bundle=digest_bytes(b"bundle"), envelope=digest_bytes(b"envelope"))
        for number in (1, 2)
    )
    return ReleasePlan(
        id="bench.flight-delay.0001",
        environment="bench",
        endpoint="flight-delay",
        team="bench",
        strategy="canary",
        candidate=candidate,
        champion=champion,
        stages=stages,
        rules=default_rules(stages),
        watch_us=2 * DAY_US,
        label_horizon_us=12 * HOUR_US,
        stall_us=7 * DAY_US,
        risk_tier="low",
        gates="pass",
        author="bench",
        created_at_us=0,
    )


def _replays(report: Report, rollouts: int) -> None:
    """Whole rollouts through the production stage, decision rule and machine, record by record; twice, to compare their traces."""
    plan, started = _plan(), time.process_time()
    traces = [simulate(plan, RolloutWorld(), seed) for seed in range(rollouts)]
    minutes = (time.process_time() - started) / 60.0
    again = [simulate(plan, RolloutWorld(), seed).digest for seed in range(max(rollouts // 4, 1))]
    differing = sum(trace.digest != digest for trace, digest in zip(traces, again, strict=False))
    sketch = hashlib.sha256("".join(trace.digest for trace in traces).encode()).hexdigest()
    report.add(
        "simulated rollout-hours a CPU-minute", sum(t.hours for t in traces) / minutes, "hours", bar=HOURS_A_MINUTE_MIN, better="higher"
    )
    report.add("traces that differ when replayed from their seed", differing, "traces", bar=0)
    report.add("digest of all traces", sketch[:16], "sha256")


if __name__ == "__main__":
    main()
