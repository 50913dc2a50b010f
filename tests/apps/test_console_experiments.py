"""The pages of experiments: the split first, gains only when it holds, and nothing ends or starts without a typed name."""

import msgspec
import pytest
from tests.apps.browser import dom, needs_chromium, served
from tests.apps.fake_experiments import ENDED, PLAN, READOUT, REPORT, RUNNING, VIEW, WAITING, verdict
from tests.apps.fake_platform import FakePlatform
from tests.apps.test_console import pages, platform, submit  # noqa: F401  fixtures

from leverframe.apps.console.experiment_charts import Gain, gains_chart


def test_the_split_is_shown_before_any_gain(pages):  # noqa: F811
    text = pages.get(f"/experiments/{RUNNING}").text
    assert text.index("Split of callers") < text.index("<h2>Gains") < text.index("<h2>Guardrails") < text.index("<h2>Segments")
    assert "about 3 h more" in text
    assert "&lt;b&gt;" in text, "a segment's value must not run in the page"
    assert "30.0 % planned" in text


def test_a_broken_split_hides_every_gain(pages, platform):  # noqa: F811
    broken = verdict("sample_ratio", "fail", "callers are not split as planned", next_step="find what filters requests")
    arms = tuple(msgspec.structs.replace(arm, gain=None, low=None, high=None, mean=None, standing="") for arm in READOUT.arms)
    readout = msgspec.structs.replace(READOUT, split=broken, hidden=broken.reason, arms=arms, segments=())
    platform.experiments.experiment = lambda id: msgspec.structs.replace(VIEW, readout=readout)
    text = pages.get(f"/experiments/{RUNNING}").text
    assert "No lift is shown" in text
    assert "find what filters requests" in text
    assert "look by look" not in text, "the intervals' past shows what must not be shown"
    assert "+0.0120" not in text


def test_stopping_needs_the_experiments_name_and_a_reason(pages, platform):  # noqa: F811
    page = f"/experiments/{RUNNING}"
    assert submit(pages, page, f"{page}/stop", confirm="flight-delay", reason="over").status_code == 400
    assert submit(pages, page, f"{page}/stop", confirm=RUNNING, reason="").status_code == 400
    assert platform.calls.made == []
    assert submit(pages, page, f"{page}/stop", confirm=RUNNING, reason="over").headers["location"] == f"{page}?done=experiment-stopped"
    assert platform.calls.made[0][3] == (RUNNING, "over")
    assert "Stop this experiment" not in pages.get(f"/experiments/{ENDED}").text


def test_a_plan_is_approved_and_started_by_its_typed_digest(pages, platform):  # noqa: F811
    page = f"/experiment-plans/{PLAN.digest}"
    assert submit(pages, page, f"{page}/approve", confirm="yes", note="").status_code == 400
    assert submit(pages, page, f"{page}/approve", confirm=PLAN.digest[7:15], note="worth it").status_code == 303
    assert platform.calls.made[0][3] == (PLAN.digest, "worth it")
    platform.experiments.plan_of = lambda digest: msgspec.structs.replace(WAITING, missing=(), approvals=("ben", "bea"))
    done = submit(pages, page, f"{page}/start", confirm=PLAN.digest[7:15])
    assert done.headers["location"] == f"/experiments/{RUNNING}?done=experiment-started"
    assert "about 3 days" in pages.get(page).text


def test_a_report_that_the_log_does_not_give_any_more_is_said_to_be_so(pages, platform):  # noqa: F811
    assert "Compute it again" in pages.get(f"/experiments/{ENDED}/report").text
    assert "the log gives it again" in pages.get(f"/experiments/{ENDED}/report?again=1").text
    platform.experiments.answered = msgspec.structs.replace(REPORT, same=False, finding="records_digest differ")
    assert "the log does not give it any more" in pages.get(f"/experiments/{ENDED}/report?again=1").text


def test_the_chart_of_gains_keeps_its_lines_in_the_frame_and_says_what_is_not_known():
    lines = [
        Gain(label="a", gain=0.01, low=-0.4, high=0.42),
        Gain(label="b <i>", gain=0.03, low=0.01, high=0.05, stands=True),
        Gain(label="c", gain=None, low=None, high=None),
    ]
    drawn = str(gains_chart(lines, 0.02, "gains"))
    assert "not enough data" in drawn
    assert "b &lt;i&gt;" in drawn
    assert drawn.count("<rect") == 1, "what is told from zero is marked by shape, not by colour alone"
    assert "No gain" in str(gains_chart(lines[2:], 0.02, "gains"))


@needs_chromium
@pytest.mark.slow
def test_the_page_runs_under_its_own_content_security_policy(tmp_path):
    with served(FakePlatform(), "admin-token") as address:
        _, complaints = dom(f"{address}/experiments/{RUNNING}", profile=tmp_path / "profile")
    assert "Refused to" not in complaints
