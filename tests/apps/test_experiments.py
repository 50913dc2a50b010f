"""Experiments by their use cases over a real log and a real store, and the verbs in front of them."""

import json
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from tests.apps.fake_experiments import ENDED, PLAN, REPORT, RUNNING, WAITING
from tests.apps.fake_records import SPEC
from tests.apps.test_cli import lever, platform  # noqa: F401  fixtures
from tests.release.experiment_rig import ALICE, BOB, CLICK, ENV, NAME, TEAM, Crowd, ExperimentRig

from leverframe.apps.console.experiment_words import plan_facts, report_markdown
from leverframe.apps.experiment_loop import ExperimentLoop
from leverframe.apps.platform.experiments import Experiments
from leverframe.apps.platform.views.experiments import ExperimentRequest
from leverframe.core.clock import HOUR_US
from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.errors import InvalidInput, NotFound, Refused
from leverframe.core.model import ModelSpec
from leverframe.core.prediction import FRAME, LabelRecord, PredictionRecord, decode_frames, encode_frame
from leverframe.core.schema import InputColumn, RequestField, Signature
from leverframe.core.segment import DATA_OFFSET, unpack_header
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.policy import Policy
from leverframe.monitoring.compaction import compact
from leverframe.monitoring.log_archive import LogArchive
from leverframe.monitoring.log_reader import Position, WorkerPosition
from leverframe.release.records import KIND_MODEL
from leverframe.serving.log_segments import SegmentLog

V1, V2 = (f"flight-delay@v{n}" for n in (1, 2))


def signature(*categories: str) -> Signature:
    return Signature(
        request=(
            RequestField(name="customer", datatype="BYTES", entity=True),
            RequestField(name="loyalty", datatype="FP64"),
            RequestField(name="region", datatype="BYTES"),
        ),
        columns=(
            InputColumn(name="loyalty", source="request", field="loyalty"),
            InputColumn(name="region", source="request", field="region", categories=categories),
        ),
    )


class Declare(Command, frozen=True, kw_only=True):
    """Puts a model, as the training room would."""

    action = "Training.ApplyModel"
    record: ModelSpec

    def resource(self) -> str:
        return f"model/{self.record.name}"


def _declare(command: Declare, tx: Transaction) -> None:
    tx.put(KIND_MODEL, command.record.name, command.record)


class Bench:
    """The use cases over a ledger in memory, with a log of two gateway workers and an artifact store on disk."""

    def __init__(self, home: Path, seed: int = 0) -> None:
        self.rig = ExperimentRig(seed=seed, more=(Handles(command=Declare, run=_declare),))
        self.rig.write(ALICE, Declare(record=msgspec.structs.replace(SPEC, name=NAME, team=TEAM)))
        self.folder = home / "log"
        self.writers = [SegmentLog(self.folder, name, self.rig.clock, segment_bytes=1 << 18) for name in ("gw-0", "gw-1")]
        self.written = 0
        settings = SimpleNamespace(environment=ENV, log_folder=self.folder, log_archive=home / "log-archive", home=home)
        self.parts = SimpleNamespace(
            ledger=self.rig.journal,
            clock=self.rig.clock,
            settings=settings,
            artifacts=ArtifactStore(f"file://{home / 'artifacts'}"),
            publisher=SimpleNamespace(publish=lambda: None),
            trust=None,
            policy=Policy(),
        )
        self.parts.whole = self.parts
        self.experiments = Experiments(self.parts)  # type: ignore[arg-type]
        self.signatures = {1: signature("north", "south"), 2: signature("south", "north"), 3: signature("south", "north")}
        self.experiments._requirements = SimpleNamespace(observe=lambda version: None)  # type: ignore[assignment]
        self.experiments._signature = lambda bundle, envelope: self.signatures[int(bundle[-1])]  # type: ignore[method-assign]
        self.loop = ExperimentLoop(self.parts)  # type: ignore[arg-type]

    def request(self, **facts: object) -> ExperimentRequest:
        defaults = {"endpoint": NAME, "versions": (V2,), "primary": CLICK, "hash_field": "customer", "segments": ("region",)}
        times = {"min_us": 2 * HOUR_US, "horizon_us": 96 * HOUR_US, "label_horizon_us": HOUR_US}
        return msgspec.convert({**defaults, **times, **facts}, ExperimentRequest)

    def serve(self, requests: int = 400, gain: float = 0.1) -> None:
        """An hour of callers, written to the log as two workers would, and a look."""
        self.rig.callers_ask(requests, Crowd(callers=4_000, gain=lambda v, r: gain if v == V2 else 0.0))
        for number, record in enumerate(self.rig.log[self.written :]):
            writer = self.writers[number % 2]
            if isinstance(record, LabelRecord):
                writer.label(record)
            else:
                writer.answer(record)
        self.written = len(self.rig.log)
        self.loop.look()

    def close(self) -> None:
        while self.writers:
            self.writers.pop().close()


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path, seed=31)
    yield made
    made.close()


def run(bench: Bench) -> str:
    plan = bench.experiments.plan(ALICE, bench.request(), key="plan")
    bench.experiments.approve(BOB, plan.digest, note="", key="approve")
    id = bench.experiments.start(ALICE, plan.digest, key="start").id
    for _ in range(12):
        bench.serve()
        if bench.experiments.experiment(id).state == "ended":
            break
    return id


def change_one_answer(folder: Path) -> None:
    """What whoever has the machine can do: change one outcome and make the checksum right again."""
    for path in sorted([*folder.glob("*.sealed"), *folder.glob("*.open")]):
        data = bytearray(path.read_bytes())
        offset = DATA_OFFSET
        for record, after in decode_frames(memoryview(bytes(data))[: unpack_header(bytes(data)).used], DATA_OFFSET):
            if isinstance(record, PredictionRecord) and record.exposure is not None:
                other = msgspec.structs.replace(record, latency_us=record.latency_us + 1)
                frame = encode_frame(other)
                assert len(frame) == after - offset
                data[offset:after] = frame
                path.write_bytes(bytes(data))
                return
            offset = after
    raise AssertionError("there was nothing to change")


def test_from_plan_to_a_report_that_anybody_can_compute_again(bench: Bench):
    id = run(bench)
    shown = bench.experiments.experiment(id)
    assert (shown.state, shown.outcome, shown.winner) == ("ended", "winner", V2)
    assert shown.proposed
    report = bench.experiments.report(id, again=True)
    assert (report.same, report.digest) == (True, shown.report), report.finding
    assert [end.worker for end in report.report.span] == ["gw-0", "gw-1"]
    bench.serve()
    bench.close()
    assert bench.experiments.report(id, again=True).same is True, "what came later, or a segment that was sealed, changed the report"
    assert bench.experiments.report(id, again=False).same is None
    everything = Position(workers={name: WorkerPosition(number=999) for name in ("gw-0", "gw-1")})
    archive = LogArchive(bench.parts.settings.log_archive)
    done = compact(bench.folder, archive, read_until=everything, sealed_before_us=2**62)
    assert done.segments >= 2
    assert not list(bench.folder.glob("*.sealed"))
    assert bench.experiments.report(id, again=True).same is True, "what became Parquet does not give the report's bytes"
    archived = next(path for _, path in archive.files())
    archived.unlink()
    assert bench.experiments.report(id, again=True).same is False, "the control: without a file of it"


@pytest.mark.parametrize("damage", ["a rewritten answer", "a flipped bit", "a lost segment"])
def test_a_log_that_was_tampered_with_is_noticed(bench: Bench, damage: str):
    id = run(bench)
    bench.close()
    assert bench.experiments.report(id, again=True).same is True
    first = min(bench.folder.glob("gw-0-*"))
    if damage == "a rewritten answer":
        change_one_answer(bench.folder)
    elif damage == "a flipped bit":
        data = bytearray(first.read_bytes())
        data[DATA_OFFSET + FRAME.size + 30] ^= 1
        first.write_bytes(bytes(data))
    else:
        first.unlink()
    report = bench.experiments.report(id, again=True)
    assert report.same is False
    expected = {"a rewritten answer": "records_digest", "a flipped bit": "damaged", "a lost segment": "gone"}[damage]
    assert expected in report.finding or (damage == "a lost segment" and "differ" in report.finding)


def test_categories_are_each_arms_own(bench: Bench):
    """The variant counts south before north: codes alone would mix the segments."""
    digest = bench.experiments.plan(ALICE, bench.request(), key="plan").digest
    (column,) = bench.experiments._plan(digest).segments
    assert (column.positions, column.categories) == ((1, 1), (("north", "south"), ("south", "north")))


def test_what_not_every_arm_has_is_refused_with_what_is_close(bench: Bench):
    with pytest.raises(InvalidInput, match="region"):
        bench.experiments.plan(ALICE, bench.request(segments=("regoin",)), key="a")
    with pytest.raises(InvalidInput, match="customer"):
        bench.experiments.plan(ALICE, bench.request(hash_field="customr"), key="b")
    bench.signatures[2] = msgspec.structs.replace(bench.signatures[2], request=bench.signatures[2].request[:2])
    other = RequestField(name="age", datatype="FP64")
    bench.signatures[2] = msgspec.structs.replace(bench.signatures[2], request=(*bench.signatures[2].request, other))
    with pytest.raises(Refused, match="break"):
        bench.experiments.plan(ALICE, bench.request(), key="c")


def test_a_plan_says_how_long_it_takes_by_todays_traffic(bench: Bench):
    digest = bench.experiments.plan(ALICE, bench.request(), key="plan").digest
    nobody = bench.experiments.plan_of(digest).forecast
    assert nobody is not None
    assert nobody.hours is None
    for _ in range(4):
        bench.serve(500)
    seen = bench.experiments.plan_of(digest).forecast
    assert seen is not None
    assert seen.requests_per_hour == pytest.approx(500, rel=0.1)
    assert seen.sd == pytest.approx(0.4, rel=0.2), "of a click with chance 0.2"
    assert seen.keys_needed == pytest.approx(4_000, rel=0.25)
    assert f"{seen.keys_needed:,} callers" in seen.sentence


def test_nothing_is_read_while_no_experiment_is_open(bench: Bench, monkeypatch):
    monkeypatch.setattr("leverframe.apps.experiment_loop.LogTape", None)
    bench.serve()
    plan = bench.experiments.plan(ALICE, bench.request(), key="plan")
    bench.experiments.start(ALICE, plan.digest, key="start")
    with pytest.raises(TypeError):
        bench.serve()


def test_a_worker_that_starts_over_reads_what_it_needs(bench: Bench):
    plan = bench.experiments.plan(ALICE, bench.request(min_us=48 * HOUR_US), key="plan")
    id = bench.experiments.start(ALICE, plan.digest, key="start").id
    bench.serve(300)
    bench.loop = ExperimentLoop(bench.parts)  # type: ignore[arg-type]
    bench.serve(300)
    readout = bench.experiments.experiment(id).readout
    assert readout is not None
    assert readout.counts.answers == 600


def test_what_there_is_not_is_told(bench: Bench):
    for ask in (lambda: bench.experiments.experiment("x"), lambda: bench.experiments.report("x", again=True)):
        with pytest.raises(NotFound):
            ask()
    plan = bench.experiments.plan(ALICE, bench.request(), key="plan")
    id = bench.experiments.start(ALICE, plan.digest, key="start").id
    with pytest.raises(NotFound, match="before the end"):
        bench.experiments.report(id, again=True)
    assert [p.digest for p in bench.experiments.plans()] == []
    assert [e.id for e in bench.experiments.experiments(NAME)] == [id]
    assert bench.experiments.experiments("other") == ()


# The verbs ------------------------------------------------------------------------------------------------------------


def test_a_report_that_the_log_does_not_give_any_more_exits_with_3(lever, platform):  # noqa: F811
    assert lever("experiment", "report", ENDED)[0] == 0
    platform.experiments.answered = msgspec.structs.replace(REPORT, same=False, finding="the log does not give this report any more")
    code, out, _ = lever("experiment", "report", ENDED)
    assert code == 3
    assert "NOT THE SAME" in out


def test_a_report_is_written_as_markdown_or_as_the_very_bytes(lever, tmp_path):  # noqa: F811
    lever("experiment", "report", ENDED, "--output", str(tmp_path / "r.md"))
    text = (tmp_path / "r.md").read_text()
    assert text == report_markdown(REPORT)
    assert "| flight-delay@v2 | 30.0 % | 610 |" in text
    assert "| carrier = UA | flight-delay@v2 | 200 | +0.0500 | +0.0100 to +0.0900 | yes |" in text
    lever("experiment", "report", ENDED, "--output", str(tmp_path / "r.json"))
    assert json.loads((tmp_path / "r.json").read_bytes())["records"] == REPORT.report.records


def test_a_plan_arrives_as_typed(lever, platform):  # noqa: F811
    options = ("--metric", "outcome_hit", "--effect", "0.03", "--lower", "--share", "30", "--share", "20", "--layer", "booking")
    more = ("--guardrail", "errors:margin=0.01", "--guardrail", "latency_quantile:margin=0.5,quantile=0.9", "--min-hours", "2")
    code, out, _ = lever("experiment", "plan", V2, "flight-delay@v3", *options, *more, "--segment", "carrier", "--horizon-hours", "48")
    assert code == 0
    _, _, _, (request,) = platform.calls.made[-1]
    assert (request.primary.metric, request.primary.better, request.shares) == ("outcome_hit", "lower", (30.0, 20.0))
    assert [(g.metric, g.margin, g.quantile) for g in request.guardrails] == [("errors", 0.01, 0.99), ("latency_quantile", 0.5, 0.9)]
    assert (request.min_us, request.horizon_us, request.segments, request.layer) == (2 * HOUR_US, 48 * HOUR_US, ("carrier",), "booking")
    assert "about 3 days" in out
    assert "next: lever experiment approve" in out
    code, _, err = lever("experiment", "plan", V2, "--guardrail", "errors:margin=low")
    assert (code, "--guardrail" in err) == (2, True)


def test_a_status_shows_the_split_before_any_gain(lever):  # noqa: F811
    _, out, _ = lever("experiment", "status", RUNNING)
    assert out.index("callers are split as planned") < out.index("+0.0120")
    assert "about 3 h more" in out


def test_the_words_of_a_plan_leave_nothing_out():
    said = dict(plan_facts(WAITING))
    assert said["who takes part"] == "60 % of callers, in layer booking"
    assert said["without a label"] == "a request counts as 0"
    assert said["less variance by"] == "distance"
    assert PLAN.note == said["note"]
