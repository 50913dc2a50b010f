"""An experiment's plan: who takes part, which versions they meet, what is measured and when it ends; named by its digest.

As with releases, what is approved is exactly what runs: the digest covers every field below.
"""

from typing import Literal

import msgspec

from leverframe.core.assignment import LAYER_BUCKETS
from leverframe.core.clock import DAY_US, HOUR_US
from leverframe.core.digest import Digest, digest_record
from leverframe.core.errors import Fault, InvalidInput
from leverframe.release.plans.plan import ERRORS_MARGIN, LABEL_HORIZON_US, LATENCY_BOUND_US, LATENCY_MARGIN, VersionRef

KIND_EXPERIMENT_PLAN = "experiment_plan"

PrimaryMetric = Literal["outcome_value", "outcome_hit", "outcome_brier", "outcome_log_loss", "score"]
GuardrailMetric = Literal["errors", "latency_budget", "latency_quantile"]
Better = Literal["higher", "lower"]

VARIANTS_MAX = 8
"""Versions beside the control; more are refused: each one widens every interval."""

SEGMENT_COLUMNS_MAX = 4
"""Columns read out by segment; more are refused."""

ALPHA = 0.05
"""Chance that any variant that is not better is called better, over all variants and all looks together."""

GUARDRAIL_BUDGET = 0.01
"""Chance that an experiment of harmless variants is ever stopped for harm, over all guardrails, variants and looks."""

SPLIT_ALPHA = 0.001
"""Chance that callers who are split as declared are ever called mismatched."""

MIN_US = DAY_US
"""Least duration of an experiment: callers of the night are not those of the day."""

HORIZON_US = 14 * DAY_US
HORIZON_MAX_US = 90 * DAY_US
"""Longest experiment; a longer one is refused. At its horizon every experiment ends, whatever it knows."""

START_WITHIN_US = 30 * DAY_US
"""A plan that was not started for so long describes traffic that is no more."""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A version beside the control; ``share`` in percent of the callers who take part."""

    version: VersionRef
    share: float


class Primary(msgspec.Struct, frozen=True, kw_only=True):
    """The one figure the experiment is about.

    ``outcome_value``     the label itself, e.g. revenue or a click
    ``outcome_hit``       share of labels missed, a score of at least ``cut`` meaning 1
    ``outcome_brier``, ``outcome_log_loss``   loss on labelled requests
    ``score``             the score, needing no label

    ``effect`` is the smallest gain that matters: the experiment is planned for it, and ends as futile once it is excluded. ``unlabelled``
    is what a request without a label at the label horizon counts as (None: it does not count; 0 for clicks and purchases).
    """

    metric: PrimaryMetric
    effect: float
    better: Better = "higher"
    cut: float = 0.5
    unlabelled: float | None = None


class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """How much worse than the control is too much: ``margin`` as in a release's rules; one that is broken ends the experiment."""

    metric: GuardrailMetric
    margin: float
    bound_us: int = LATENCY_BOUND_US
    quantile: float = 0.99


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """An input column that the log keeps: where it stands in each arm's rows, and each arm's categories if it has some; control first."""

    name: str
    positions: tuple[int, ...]
    categories: tuple[tuple[str, ...], ...] = ()


class ExperimentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions meet whom, judged by what, for how long.

    ``traffic`` percent of all callers take part. Experiments that name one ``layer`` never share a caller, whichever endpoints of the
    environment they run on; without a layer the experiment is alone in its own. ``covariate`` is a column known before anybody met an arm
    that explains part of the outcome (CUPED).
    """

    id: str
    environment: str
    endpoint: str
    team: str
    control: VersionRef
    variants: tuple[Variant, ...]
    primary: Primary
    guardrails: tuple[Guardrail, ...]
    traffic: float = 100.0
    layer: str = ""
    hash_field: str = ""
    covariate: Column | None = None
    segments: tuple[Column, ...] = ()
    alpha: float = ALPHA
    min_us: int = MIN_US
    horizon_us: int = HORIZON_US
    label_horizon_us: int = LABEL_HORIZON_US
    risk_tier: str = "high"
    author: str = ""
    created_at_us: int = 0
    note: str = ""

    @property
    def digest(self) -> Digest:
        """The name of exactly this plan."""
        return digest_record(self)

    @property
    def endpoint_id(self) -> str:
        """``<environment>/<endpoint>``."""
        return f"{self.environment}/{self.endpoint}"

    @property
    def versions(self) -> tuple[str, ...]:
        """Every arm's version, the control first."""
        return (self.control.version, *(variant.version.version for variant in self.variants))

    @property
    def shares(self) -> tuple[float, ...]:
        """Every arm's share of those who take part, from 0 to 1, the control first."""
        shares = [variant.share / 100.0 for variant in self.variants]
        return (1.0 - sum(shares), *shares)

    @property
    def buckets(self) -> int:
        """How much of a layer's line it takes."""
        return round(self.traffic * LAYER_BUCKETS / 100.0)

    @property
    def alpha_variant(self) -> float:
        """Level of each variant's interval: Bonferroni over the variants, so that all of them hold together."""
        return self.alpha / len(self.variants)

    @property
    def alpha_guardrail(self) -> float:
        """Each guardrail's share of the budget, for each variant."""
        return GUARDRAIL_BUDGET / max(1, len(self.guardrails) * len(self.variants))


DEFAULT_GUARDRAILS = (
    Guardrail(metric="errors", margin=ERRORS_MARGIN),
    Guardrail(metric="latency_budget", margin=LATENCY_MARGIN),
)


def check_experiment(plan: ExperimentPlan) -> ExperimentPlan:
    """Return ``plan`` if it can be carried out.

    Raises
    ------
    InvalidInput: with every fault found.
    """
    faults = [*_arm_faults(plan), *_measure_faults(plan), *_time_faults(plan)]
    if faults:
        raise InvalidInput(
            "the experiment cannot be carried out", where=plan.endpoint_id, faults=faults, next_step="lever experiment plan --help"
        )
    return plan


def _arm_faults(plan: ExperimentPlan) -> list[Fault]:
    faults = []
    if not 1 <= len(plan.variants) <= VARIANTS_MAX:
        faults.append(Fault(where="variants", what="how many", expected=f"1 to {VARIANTS_MAX}", got=str(len(plan.variants))))
    if len(set(plan.versions)) != len(plan.versions):
        faults.append(Fault(where="variants", what="a version appears twice, or is the live one", got=", ".join(plan.versions)))
    if any(not 1.0 <= variant.share <= 99.0 for variant in plan.variants) or sum(v.share for v in plan.variants) > 99.0:
        shares = ", ".join(f"{variant.share:g}" for variant in plan.variants)
        faults.append(Fault(where="variants", what="shares", expected="1 to 99 each, and at least 1 % left for the control", got=shares))
    if not 0.0 < plan.traffic <= 100.0 or abs(plan.traffic * LAYER_BUCKETS / 100.0 - plan.buckets) > 1e-6 or plan.buckets < 1:
        faults.append(Fault(where="traffic", what="percent of callers", expected="0.01 to 100 in hundredths", got=f"{plan.traffic:g}"))
    if not plan.layer.isprintable() or len(plan.layer) > 100 or "/" in plan.layer:
        faults.append(Fault(where="layer", what="not a name", expected="up to 100 printable characters without '/'", got=plan.layer[:40]))
    return faults


def _measure_faults(plan: ExperimentPlan) -> list[Fault]:
    faults = []
    if not plan.primary.effect > 0.0:
        faults.append(
            Fault(where="primary.effect", what="the smallest gain that matters", expected="above 0", got=f"{plan.primary.effect:g}")
        )
    metrics = [guardrail.metric for guardrail in plan.guardrails]
    if "errors" not in metrics or len(set(metrics)) != len(metrics):
        faults.append(Fault(where="guardrails", what="which", expected="'errors', and no metric twice", got=", ".join(metrics) or "none"))
    for guardrail in plan.guardrails:
        below_one = guardrail.metric != "latency_quantile"
        if not 0.0 < guardrail.margin < (1.0 if below_one else 100.0) or not 0.0 < guardrail.quantile < 1.0 or guardrail.bound_us <= 0:
            faults.append(Fault(where=f"guardrails.{guardrail.metric}", what="out of range", got=f"{guardrail.margin:g}"))
    for column in (*plan.segments, *([plan.covariate] if plan.covariate else [])):
        if len(column.positions) != len(plan.versions) or len(column.categories) not in (0, len(plan.versions)):
            faults.append(Fault(where=column.name, what="a place in every arm's rows", expected=str(len(plan.versions))))
    if len(plan.segments) > SEGMENT_COLUMNS_MAX:
        faults.append(Fault(where="segments", what="how many", expected=f"at most {SEGMENT_COLUMNS_MAX}", got=str(len(plan.segments))))
    if not 0.0 < plan.alpha <= 0.2:
        faults.append(Fault(where="alpha", what="out of range", expected="above 0, at most 0.2", got=f"{plan.alpha:g}"))
    return faults


def _time_faults(plan: ExperimentPlan) -> list[Fault]:
    if 0 <= plan.min_us <= plan.horizon_us <= HORIZON_MAX_US and plan.horizon_us > 0 and 0 < plan.label_horizon_us <= plan.horizon_us:
        return []
    hours = ", ".join(f"{us / HOUR_US:g} h" for us in (plan.label_horizon_us, plan.min_us, plan.horizon_us))
    expected = f"label horizon and least duration within the horizon, and that at most {HORIZON_MAX_US // DAY_US} days"
    return [Fault(where="times", what="they do not fit together", expected=expected, got=hours)]
