"""A release plan: everything that will happen, written down before it happens, and named by its digest.

What is approved is exactly what runs: an approval names the plan's digest, and the digest covers every field below.

**A plan once stored keeps its digest.** A field added later is ``UNSET`` until somebody sets it, and an unset field is not written: a plan
of an older shape is read and named as it was (decision 0042). Never give a new field another default.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.digest import Digest, digest_record
from leverframe.core.statistics.levels import split_level
from leverframe.release.plans.team_rules import Dependants
from leverframe.release.plans.windows import Calendar

KIND_PLAN = "plan"

Strategy = Literal["initial", "blue_green", "canary", "shadow_canary", "challenger"]
StageRole = Literal["shadow", "canary", "full"]
Metric = Literal[
    "errors",
    "latency_budget",
    "latency_quantile",
    "prediction_shift",
    "outcome_brier",
    "outcome_log_loss",
    "outcome_auc",
    "outcome_hit",
    "outcome_value",
    "sample_ratio",
]
Unit = Literal["request", "key"]

FALSE_ABORT_BUDGET = 0.01
"""Chance that a release of an equal version is ever taken back wrongly, over all rules, stages and looks together."""

PROOF_ALPHA = 0.05
"""Level of the interval that must lie inside the margin. Not split: promotion needs *every* rule in *every* stage to be proven, so a
version beyond one margin is promoted only if that one rule errs (intersection-union test)."""

ERRORS_MARGIN = 0.02
"""Two points more failing answers. Tighter margins need about 6/margin answers each to prove; at 90 canary answers a day that is time."""

LATENCY_MARGIN = 0.05
"""Five points more answers slower than the bound."""

LATENCY_BOUND_US = 100_000
"""An answer slower than this is slow: the field's usual p95 objective for online models."""

SHIFT_MARGIN = 0.08
"""Mean score may move by this much. A retrained model follows the season by a few points; a broken input moves it by tens."""

BRIER_MARGIN = 0.0075
"""Mean squared error may rise by this much: about 5 % of the Brier score of a fair model at a base rate of 0.2."""

LOG_LOSS_MARGIN = 0.025
"""Mean log loss may rise by this much, the counterpart of :data:`BRIER_MARGIN`."""

QUANTILE = 0.99
"""The quantile of latency compared when a rule does not say."""

CUT = 0.5
"""The score that means 1 when a rule does not say."""

LABEL_HORIZON_US = 12 * HOUR_US
"""Age at which a request's label counts as decided: later labels are not used, so that quick labels weigh no more than slow ones."""

WATCH_US = 2 * DAY_US
"""How long a promoted version is watched at 100 %, beside the old one in shadow."""

STALL_US = 7 * DAY_US
"""A stage still inconclusive after this long is put on hold and a person is asked."""


class VersionRef(msgspec.Struct, frozen=True, kw_only=True):
    """A version as a route needs it: its name and the digests of bundle and signed envelope."""

    version: str
    bundle: Digest
    envelope: Digest


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the ladder. ``weight`` in percent; ``mirror``: the candidate also scores, unseen, what the champion answers.

    The stage is left upwards only when it lasted ``min_hold_us`` of observed traffic, the candidate scored ``rows_min`` requests and
    ``labels_min`` of them are labelled, and every rule is proven.
    """

    name: str
    role: StageRole
    weight: float
    mirror: bool = False
    min_hold_us: int = DAY_US
    rows_min: int = 100
    labels_min: int = 0


class MetricRule(msgspec.Struct, frozen=True, kw_only=True):
    """How much worse than the champion is too much.

    ``errors``            share of answers that failed or were not a finite number
    ``latency_budget``    share of served answers slower than ``bound_us``
    ``latency_quantile``  relative growth of the ``quantile`` of served answers' latency (0.25: a quarter slower)
    ``prediction_shift``  absolute difference of the mean scores
    ``outcome_brier``, ``outcome_log_loss``  difference of the mean losses on labelled requests
    ``outcome_auc``       loss of ROC AUC on labelled requests that both models scored
    ``outcome_hit``       difference of the shares of labels missed, a score of at least ``cut`` meaning 1
    ``outcome_value``     loss of the mean label itself, e.g. revenue a request; larger labels are better
    ``sample_ratio``      callers split as the route says (``margin`` unused)

    ``alpha`` is this rule's share, per stage, of the false-abort budget; ``alpha_proof`` is the level of the proof. ``unit`` says what one
    observation is: a request, or all requests of a sticky key (callers that ask often and alike; errors and outcomes only).
    The last three are read by :attr:`quantile_level`, :attr:`cut_score` and :attr:`counted_by`, which know what holds when they are unset.
    """

    metric: Metric
    margin: float
    alpha: float
    alpha_proof: float = PROOF_ALPHA
    bound_us: int = LATENCY_BOUND_US
    quantile: float | UnsetType = UNSET
    cut: float | UnsetType = UNSET
    unit: Unit | UnsetType = UNSET

    @property
    def quantile_level(self) -> float:
        """The quantile that is compared."""
        return QUANTILE if self.quantile is UNSET else self.quantile

    @property
    def cut_score(self) -> float:
        """The score from which on the answer means 1."""
        return CUT if self.cut is UNSET else self.cut

    @property
    def counted_by(self) -> Unit:
        """What one observation is."""
        return self.unit or "request"


class ReleasePlan(msgspec.Struct, frozen=True, kw_only=True):
    """From which version to which, by what ladder, judged by what rules. ``champion`` is also the rollback target.

    ``calendar``      when it may start and climb    ``promoted_from``  the environment whose release it rests on
    ``dependants``    whether it goes back, or is only flagged, when what it rests on is taken back
    ``queue``         it waits for the release under way to end    ``follows``  the release whose candidate must be live when it starts
    """

    id: str
    environment: str
    endpoint: str
    team: str
    strategy: Strategy
    candidate: VersionRef
    champion: VersionRef | None
    stages: tuple[Stage, ...]
    rules: tuple[MetricRule, ...]
    watch_us: int
    label_horizon_us: int
    stall_us: int
    risk_tier: str
    gates: str
    author: str
    created_at_us: int
    hash_field: str = ""
    note: str = ""
    supersede: bool = False
    calendar: Calendar | UnsetType = UNSET
    promoted_from: str | UnsetType = UNSET
    dependants: Dependants | UnsetType = UNSET
    queue: bool | UnsetType = UNSET
    follows: str | UnsetType = UNSET

    @property
    def digest(self) -> Digest:
        """The name of exactly this plan."""
        return digest_record(self)

    @property
    def endless(self) -> bool:
        """Whether the candidate only ever scores unseen, beside the champion: such a release neither climbs nor ends by itself."""
        return self.strategy == "challenger"

    @property
    def promotion(self) -> str:
        """The command that plans a challenger's own way to callers; it scored unseen long enough, so that a canary is what is left."""
        where = f" --environment {self.environment}" if self.environment != "prod" else ""
        sticky = f" --hash-field {self.hash_field}" if self.hash_field else ""
        return f"lever release plan {self.candidate.version} --endpoint {self.endpoint}{where} --strategy canary{sticky}"

    @property
    def endpoint_id(self) -> str:
        """``<environment>/<endpoint>``."""
        return f"{self.environment}/{self.endpoint}"


def default_stages(strategy: Strategy) -> tuple[Stage, ...]:
    """The ladder of a strategy.

    >>> [f"{s.role} {s.weight:g}" for s in default_stages("shadow_canary")]
    ['shadow 0', 'canary 10', 'canary 50', 'full 100']
    """
    if strategy == "challenger":
        return (Stage(name="challenger", role="shadow", weight=0.0, min_hold_us=0, rows_min=300, labels_min=200),)
    full = Stage(name="100 %", role="full", weight=100.0, min_hold_us=0, rows_min=100)
    if strategy in ("initial", "blue_green"):
        return (full,)
    canaries = (
        Stage(name="canary 10 %", role="canary", weight=10.0, mirror=True, rows_min=300, labels_min=300),
        Stage(name="canary 50 %", role="canary", weight=50.0, mirror=True, rows_min=300, labels_min=300),
    )
    shadow = (Stage(name="shadow", role="shadow", weight=0.0, rows_min=300, labels_min=200),) if strategy == "shadow_canary" else ()
    return (*shadow, *canaries, full)


def default_rules(stages: tuple[Stage, ...]) -> tuple[MetricRule, ...]:
    """Rules with the module's margins, the false-abort budget split evenly over rules and stages (a union bound).

    >>> round(sum(rule.alpha for rule in default_rules(default_stages("canary"))) * 3, 12)
    0.01
    """
    margins: dict[Metric, float] = {
        "errors": ERRORS_MARGIN,
        "latency_budget": LATENCY_MARGIN,
        "prediction_shift": SHIFT_MARGIN,
        "outcome_brier": BRIER_MARGIN,
        "sample_ratio": 0.0,
    }
    levels = split_level(FALSE_ABORT_BUDGET, dict.fromkeys(margins, 1.0), stages=len(stages))
    return tuple(MetricRule(metric=metric, margin=margin, alpha=levels[metric]) for metric, margin in margins.items())


def applies(rule: MetricRule, stage: Stage) -> bool:
    """Whether ``rule`` is asked in ``stage``: latency, value and the split need callers on both arms."""
    only_canary: tuple[Metric, ...] = ("latency_budget", "latency_quantile", "outcome_value", "sample_ratio")
    return stage.role == "canary" if rule.metric in only_canary else True
