from leverframe.core.evaluation import CalibrationBin, EvaluationReport, Metric
from leverframe.core.model import Lineage, ModelSpec
from leverframe.core.schema import InputColumn, RequestField
from leverframe.core.verdict import Verdict
from leverframe.evaluation.card import NOT_STATED, model_card

DIGEST = "sha256:" + "a" * 64
SPEC = ModelSpec(
    name="flight-delay",
    description="Late by more than 15 minutes?",
    owner="ana@example.org",
    team="flights",
    runbook="docs/runbook.md",
    dataset="flights",
    label="late",
    request=(RequestField(name="distance", datatype="FP64"),),
    columns=(
        InputColumn(name="distance", source="request", field="distance", on_missing="default", default=500.0),
        InputColumn(name="delay", source="view", view="delays", feature="mean_2h"),
        InputColumn(name="weekday", source="request_time", field="at_s", function="day_of_week"),
    ),
    prepare={"delay": "delay / 60"},
    baseline="delay",
    intended_use="Rebooking offers.",
)
LINEAGE = Lineage(
    run_id="r7", code_commit="c0ffee", code_digest=DIGEST, dataset="flights", snapshots={"flights": DIGEST}, training_set=DIGEST,
    feature_views={"delays": DIGEST}, params={"num_leaves": 31}, environment_digest=DIGEST, seed=5, rows_fit=60_000, rows_holdout=10_000,
    window=("2013-01-01T00:00:00Z", "2013-04-01T00:00:00Z"),
)  # fmt: skip
REPORT = EvaluationReport(
    model="flight-delay",
    rows=10_000,
    positives=2_500,
    metrics=(Metric(name="roc_auc", value=0.7, low=0.69, high=0.71, n=10_000),),
    slices=(Metric(name="roc_auc", value=0.6, low=0.4, high=0.8, n=42, slice="carrier=<b>|x", small=True),),
    baseline=(Metric(name="roc_auc", value=0.62, low=0.61, high=0.63, n=10_000),),
    calibration=(CalibrationBin(predicted=0.1, observed=0.12, n=10_000),),
    gates=(Verdict(rule="roc_auc >= 0.75", answer="fail", observed=0.7, threshold=0.75, n=10_000, reason="0.05 short"),),
    answer="fail",
    window=("2013-03-18T00:00:00Z", "2013-04-01T00:00:00Z"),
)


def test_the_card_says_all_a_reader_must_know():
    card = model_card(SPEC, LINEAGE, REPORT)
    for text in (
        "# flight-delay", "Late by more than 15 minutes?", "ana@example.org, team flights. Runbook: docs/runbook.md. Risk tier: low.",
        "Rebooking offers.", f"## Limitations\n\n{NOT_STATED}", "asked in [2013-01-01T00:00:00Z, 2013-04-01T00:00:00Z)",
        "| rows fitted | 60,000 |", "10,000 (25.0% positive)", "| prepared: delay | delay / 60 |",
        "| distance | request field distance | default 500 |", "| delay | feature delays.mean_2h | nan |",
        "| weekday | day_of_week of request field at_s | nan |", "Answer: **fail**.",
        "| roc_auc >= 0.75 | fail | 0.7000 | 10000 | 0.05 short |",
        "| roc_auc | 0.7000 [0.6900, 0.7100] | 0.6200 [0.6100, 0.6300] |", "baseline (delay)", "| 0.100 | 0.120 | 10000 |",
        "| run | r7 |", "c0ffee", f"| snapshot of flights | {DIGEST} |", f"| feature view delays | {DIGEST} |",
        "num_leaves=31", "| seed | 5 |",
    ):  # fmt: skip
        assert text in card, f"the card lacks: {text}"


def test_values_cannot_leave_their_cell_and_small_slices_are_marked():
    card = model_card(SPEC, LINEAGE, REPORT)
    assert "| carrier=&lt;b>\\|x | 42 † | 0.6000 [0.4000, 0.8000] | not defined | not defined |" in card


def test_without_gates_the_card_does_not_claim_a_pass():
    import msgspec

    assert "**inconclusive**" in model_card(SPEC, LINEAGE, msgspec.structs.replace(REPORT, gates=(), answer="inconclusive"))
