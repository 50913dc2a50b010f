"""The evidence of a mirrored canary after *every* request at once, from arrays: what calibration by thousands of releases needs.

Not a second judge: the same functions of :mod:`leverframe.core.statistics` that the sequences of a stage add up row by row, added up for
all rows in one go, and :func:`.judge.beyond` decides in both. A test folds the same traffic, record by record, into
:class:`.evidence.StageEvidence` and compares every look.
"""

import math
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from leverframe.core.errors import InvalidInput
from leverframe.core.statistics.auc import BURN_IN_BLOCKS, auc_blocks
from leverframe.core.statistics.bernoulli import rate_log_evidence
from leverframe.core.statistics.bounded import HARM_BETS, harm_bets, proof_bets
from leverframe.core.statistics.means import mean_log_evidence, trusted
from leverframe.core.statistics.rates import paired_bets, rate_bets, rate_blocks
from leverframe.core.statistics.sequential import BURN_IN_ROWS
from leverframe.release.evidence.judge import beyond
from leverframe.release.plans.plan import Metric, MetricRule, Stage

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SPLIT_CONCENTRATION = 10.0
"""As :class:`leverframe.core.statistics.multinomial.ShareSequence` has it."""


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one stage in the order they were asked, ``[rows]`` each; the candidate scores all of them, the champion what it answers.

    ``label_lag`` is the label horizon in rows: the label of row ``t`` is judged after row ``t + label_lag``.
    """

    to_candidate: Bools
    failed_candidate: Bools
    failed_champion: Bools
    slow: Bools
    score_candidate: Floats
    score_champion: Floats
    label: Floats
    label_lag: int = 0

    @property
    def rows(self) -> int:
        """Requests."""
        return int(self.to_candidate.size)


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """A rule's evidence after each request, ``[rows]``."""

    log_harm: Floats
    log_proof: Floats


def _placed(rows: int, at: NDArray[np.int64], gains: Floats) -> Floats:
    """Gains that came after the rows ``at``, added up over all rows; those beyond the last row have not come."""
    increments = np.zeros(rows)
    seen = at < rows
    np.add.at(increments, at[seen], gains[seen])
    return np.asarray(np.cumsum(increments))


def _held(rows: int, at: NDArray[np.int64], values: Floats) -> Floats:
    """A value that holds from row ``at`` until the next one, 0 before the first."""
    counts = np.searchsorted(at, np.arange(rows), side="right")
    return np.asarray(np.concatenate(([0.0], values))[counts])


def _errors(rule: MetricRule, traffic: Traffic, share: float) -> Path:
    pairs = np.flatnonzero(~traffic.to_candidate)
    differences = traffic.failed_candidate[pairs].astype(float) - traffic.failed_champion[pairs]
    both = [_placed(traffic.rows, pairs, bets) for bets in paired_bets(differences, rule.margin)]
    served = np.where(traffic.to_candidate, traffic.failed_candidate, traffic.failed_champion)
    own = _rates(rule, traffic, served, share)
    half = math.log(2.0)
    return Path(log_harm=np.logaddexp(both[0], own.log_harm) - half, log_proof=np.logaddexp(both[1], own.log_proof) - half)


def _rates(rule: MetricRule, traffic: Traffic, events: Bools, share: float) -> Path:
    ones, zeros, at = rate_blocks(traffic.to_candidate, events, share)
    harm, proof = rate_bets(ones, zeros, rule.margin, share)
    return Path(log_harm=_placed(traffic.rows, at, harm), log_proof=_placed(traffic.rows, at, proof))


def _slow(rule: MetricRule, traffic: Traffic, share: float) -> Path:
    return _rates(rule, traffic, traffic.slow, share)


def _usable(traffic: Traffic) -> NDArray[np.int64]:
    return np.flatnonzero(~traffic.to_candidate & ~traffic.failed_candidate & ~traffic.failed_champion)


def _shift(rule: MetricRule, traffic: Traffic, share: float) -> Path:
    at = _usable(traffic)
    gap = traffic.score_candidate[at] - traffic.score_champion[at]
    sides = []
    for sign in (1.0, -1.0):
        bets = harm_bets(sign * gap, rule.margin).cumsum(axis=-1)
        sides.append((np.logaddexp.reduce(bets, axis=0) - np.log(len(HARM_BETS)), proof_bets(sign * gap, rule.margin).cumsum()))
    harm = np.logaddexp(sides[0][0], sides[1][0]) - math.log(2.0)
    return Path(log_harm=_held(traffic.rows, at, harm), log_proof=_held(traffic.rows, at, np.minimum(sides[0][1], sides[1][1])))


def _mean(rule: MetricRule, rows: int, at: NDArray[np.int64], values: Floats, burn_in: int) -> Path:
    n = np.arange(1, values.size + 1, dtype=np.float64)
    mean = np.cumsum(values) / n
    variance = np.maximum(np.cumsum(values * values) / n - mean * mean, 0.0)
    harm, proof = mean_log_evidence(n, mean, trusted(variance, n, rule.margin), rule.margin, rule.margin)
    young = n < burn_in
    return Path(log_harm=_held(rows, at, np.where(young, 0.0, harm)), log_proof=_held(rows, at, np.where(young, 0.0, proof)))


def _brier(rule: MetricRule, traffic: Traffic, share: float) -> Path:
    at = _usable(traffic)
    label = traffic.label[at]
    values = (traffic.score_candidate[at] - label) ** 2 - (traffic.score_champion[at] - label) ** 2
    return _mean(rule, traffic.rows, at + traffic.label_lag, values, BURN_IN_ROWS)


def _auc(rule: MetricRule, traffic: Traffic, share: float) -> Path:
    at = _usable(traffic)
    gaps, completed = auc_blocks(traffic.label[at], np.column_stack((traffic.score_candidate[at], traffic.score_champion[at])))
    return _mean(rule, traffic.rows, at[completed] + traffic.label_lag, gaps, BURN_IN_BLOCKS)


def _split(rule: MetricRule, traffic: Traffic, share: float) -> Path:
    prior = (SPLIT_CONCENTRATION * share, SPLIT_CONCENTRATION * (1.0 - share))
    n = np.arange(1, traffic.rows + 1)
    harm = rate_log_evidence(np.cumsum(traffic.to_candidate), n, share, prior=prior)
    # The split is no matter of proof; it must only not have been found wrong.
    return Path(log_harm=harm, log_proof=np.full(traffic.rows, math.inf))


_PATHS: dict[Metric, Callable[[MetricRule, Traffic, float], Path]] = {
    "errors": _errors,
    "latency_budget": _slow,
    "prediction_shift": _shift,
    "outcome_brier": _brier,
    "outcome_auc": _auc,
    "sample_ratio": _split,
}


def evidence_paths(rules: tuple[MetricRule, ...], stage: Stage, traffic: Traffic) -> dict[Metric, Path]:
    """The evidence of each rule after each request of a mirrored canary.

    Raises
    ------
    InvalidInput: another kind of stage, or a rule that has no path here.
    """
    if stage.role != "canary" or not stage.mirror:
        raise InvalidInput("evidence paths are of mirrored canaries", where=stage.name, expected="canary with mirror", got=stage.role)
    unknown = [rule.metric for rule in rules if rule.metric not in _PATHS]
    if unknown:
        raise InvalidInput("no evidence path for this rule", where=stage.name, expected=", ".join(_PATHS), got=", ".join(unknown))
    return {rule.metric: _PATHS[rule.metric](rule, traffic, stage.weight / 100.0) for rule in rules}


def first_harm(rules: tuple[MetricRule, ...], paths: dict[Metric, Path]) -> tuple[int, Metric] | None:
    """The first request after which a rule fails, and which; None when none ever does."""
    found: list[tuple[int, Metric]] = []
    for rule in rules:
        harmed = beyond(paths[rule.metric].log_harm, rule.alpha)
        if harmed.any():
            found.append((int(harmed.argmax()), rule.metric))
    return min(found) if found else None


def first_proof(rules: tuple[MetricRule, ...], paths: dict[Metric, Path]) -> int | None:
    """The first request after which every rule passes; None when that never is."""
    proven = np.logical_and.reduce([beyond(paths[rule.metric].log_proof, rule.alpha_proof) for rule in rules])
    return int(proven.argmax()) if proven.any() else None
