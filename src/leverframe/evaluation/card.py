"""The model card: what a person must know before relying on a model version, written from records and never by hand.

Source: Mitchell et al. 2019, "Model cards for model reporting", FAT*.
"""

from collections.abc import Iterable, Sequence

from leverframe.core.evaluation import EvaluationReport, Metric
from leverframe.core.model import Lineage, ModelSpec
from leverframe.core.schema import InputColumn
from leverframe.evaluation.slices import SLICE_ROWS_SMALL

NOT_STATED = "Not stated by the owner."
SLICE_METRICS = ("roc_auc", "log_loss", "calibration_bias")


def model_card(spec: ModelSpec, lineage: Lineage, report: EvaluationReport) -> str:
    """The card in Markdown: use, data, metrics, slices, gates, limitations, lineage, and whom to call."""
    sections = (
        f"# {spec.name}\n\n{spec.description}",
        _section("Owner", _owner(spec)),
        _section("Intended use", spec.intended_use or NOT_STATED),
        _section("Limitations", spec.limitations or NOT_STATED),
        _section("Data", _data(spec, lineage, report)),
        _section("Inputs", _inputs(spec)),
        _section("Gates", _gates(report)),
        _section("Metrics", _metrics(spec, report)),
        _section("Calibration", _calibration(report)),
        _section("Slices", _slices(report)),
        _section("Lineage", _lineage(lineage)),
    )
    return "\n\n".join(sections) + "\n"


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}"


def _cell(value: object) -> str:
    """Text that cannot leave its table cell or become markup."""
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)])


def _interval(metric: Metric) -> str:
    return f"{metric.value:.4f} [{metric.low:.4f}, {metric.high:.4f}]"


def _owner(spec: ModelSpec) -> str:
    return f"{spec.owner}, team {spec.team}. Runbook: {spec.runbook}. Risk tier: {spec.risk_tier}."


def _data(spec: ModelSpec, lineage: Lineage, report: EvaluationReport) -> str:
    rate = f"{report.positives / report.rows:.1%}" if report.rows else "unknown"
    return _table(
        ("what", "value"),
        (
            ("questions", f"{spec.dataset}, asked in [{lineage.window[0]}, {lineage.window[1]})"),
            ("label", f"{spec.label}, known at {spec.label_known_at}"),
            ("rows fitted", f"{lineage.rows_fit:,}"),
            ("rows held out", f"{lineage.rows_holdout:,} ({rate} positive), asked in [{report.window[0]}, {report.window[1]})"),
            *((f"prepared: {column}", sql) for column, sql in sorted(spec.prepare.items())),
        ),
    )


def _inputs(spec: ModelSpec) -> str:
    return _table(("column", "source", "when missing"), ((c.name, _source(c), _missing(c)) for c in spec.columns))


def _source(column: InputColumn) -> str:
    if column.source == "view":
        return f"feature {column.view}.{column.feature}"
    if column.source == "expression":
        return f"expression {column.sql}"
    return f"{column.function} of request field {column.field}" if column.function else f"request field {column.field}"


def _missing(column: InputColumn) -> str:
    default = "" if column.default is None else f" {column.default:g}"
    said = (("", column.on_missing), ("stale: ", column.on_stale), ("unreachable: ", column.on_unreachable))
    return "; ".join(f"{state}{policy}{default if policy == 'default' else ''}" for state, policy in said if policy)


def _gates(report: EvaluationReport) -> str:
    if not report.gates:
        return "No gate is declared, so nothing was proven: **inconclusive**."
    rows = ((v.rule, v.answer, "" if v.observed is None else f"{v.observed:.4f}", v.n, v.reason) for v in report.gates)
    return f"Answer: **{report.answer}**.\n\n" + _table(("rule", "answer", "observed", "rows", "why"), rows)


def _metrics(spec: ModelSpec, report: EvaluationReport) -> str:
    baseline = {m.name: _interval(m) for m in report.baseline}
    champion = {m.name: _interval(m) for m in report.champion_metrics}
    head = [
        "metric",
        "value [95 % interval]",
        f"baseline ({_cell(spec.baseline or 'constant rate')})",
        *([f"champion {_cell(report.champion)}"] if champion else []),
    ]
    rows = [[m.name, _interval(m), baseline.get(m.name, ""), *([champion.get(m.name, "")] if champion else [])] for m in report.metrics]
    return _table(head, rows)


def _calibration(report: EvaluationReport) -> str:
    return _table(("predicted", "observed", "rows"), ((f"{b.predicted:.3f}", f"{b.observed:.3f}", b.n) for b in report.calibration))


def _slices(report: EvaluationReport) -> str:
    if not report.slices:
        return "No slice columns are declared."
    by_slice: dict[str, dict[str, Metric]] = {}
    for metric in report.slices:
        by_slice.setdefault(metric.slice, {})[metric.name] = metric
    rows = []
    for name, metrics in by_slice.items():
        first = next(iter(metrics.values()))
        cells = (_interval(metrics[m]) if m in metrics else "not defined" for m in SLICE_METRICS)
        rows.append((name, f"{first.n}{' †' if first.small else ''}", *cells))
    return _table(("slice", "rows", *SLICE_METRICS), rows) + f"\n\n† fewer than {SLICE_ROWS_SMALL} rows: too few to be judged alone."


def _lineage(lineage: Lineage) -> str:
    return _table(
        ("what", "value"),
        (
            ("run", lineage.run_id),
            ("code", f"{lineage.code_commit} ({lineage.code_digest})"),
            *((f"snapshot of {name}", digest) for name, digest in sorted(lineage.snapshots.items())),
            *(("made from", parent.words) for parent in lineage.made_from or ()),
            ("training set", lineage.training_set),
            *((f"feature view {name}", digest) for name, digest in sorted(lineage.feature_views.items())),
            ("parameters", ", ".join(f"{k}={v}" for k, v in sorted(lineage.params.items())) or "defaults"),
            ("environment", lineage.environment_digest),
            ("seed", lineage.seed),
        ),
    )
