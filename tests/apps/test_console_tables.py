"""The console's page of a batch table: what readers see, how the candidate compares, and what is done about it by typed names."""

import msgspec
import pytest
from tests.apps.fake_tables import PLAN, SEEN, TABLE, VIEW, WAITING, output
from tests.apps.test_console import pages, platform, submit  # noqa: F401  fixtures and how a form is sent

from leverframe.apps.console.pages_tables import losses_chart, rule_rows, scored
from leverframe.release.tables.limits import Limits, judge

AT = f"/tables/nightly/plans/{PLAN.digest}"
CODE = PLAN.digest.removeprefix("sha256:")[:8]


def test_the_page_says_what_readers_see_and_what_waits(pages):  # noqa: F811
    html = pages.get("/tables/nightly").text
    assert "Readers see 900 rows by" in html
    assert "flight-delay@v2 in place of flight-delay@v1" in html
    assert "1 more approval by someone other than ana" in html
    assert "Switch the table" not in html, "what is not approved cannot be switched"
    assert "flight-delay@v1 is watched until" in html
    assert "nightly" in pages.get("/tables").text


def test_figures_stand_beside_their_limits_with_their_intervals():
    told = {row["rule"]: (row["answer"], row["seen"], row["interval"], row["limit"]) for row in rule_rows(WAITING)}
    assert told["rows on another side of the cut"] == ("pass", "1.00 %", "", "5.00 %")
    assert told["rows in one table only"] == ("pass", "0", "", "0")
    assert told["Brier score, worse by"] == ("pass", "-0.0020", "-0.0055 to 0.0015", "0.0100")


def test_losses_are_drawn_in_margins():
    drawn = losses_chart(SEEN, Limits(brier=0.002))
    assert "Brier score: -1.0000, -2.7500 to +0.7500" in drawn
    assert losses_chart(msgspec.structs.replace(SEEN, losses=()), Limits()) == ""


def test_every_output_is_listed_once_with_what_it_is_to_readers():
    again = msgspec.structs.replace(VIEW, table=msgspec.structs.replace(TABLE, earlier=(output(3), TABLE.current)))
    assert [(version, role) for version, _, _, _, role in scored(again)] == [
        ("flight-delay@v1", "readers see it"),
        ("flight-delay@v2", "waits"),
        ("flight-delay@v3", "can be gone back to"),
    ]


def test_an_approval_takes_the_first_digits_of_the_plan(pages, platform):  # noqa: F811
    assert submit(pages, "/tables/nightly", f"{AT}/approve", confirm="nightly").status_code == 400
    assert platform.calls.made == []
    done = submit(pages, "/tables/nightly", f"{AT}/approve", confirm=CODE, note="read")
    assert done.headers["location"] == "/tables/nightly?done=approved"
    assert platform.calls.made[-1][0] == "Release.Approve"
    assert platform.calls.made[-1][3] == ("nightly", PLAN.digest, "read")


def test_an_approved_plan_is_switched_and_a_failed_one_is_not_offered(pages, platform, monkeypatch):  # noqa: F811
    ready = msgspec.structs.replace(WAITING, approvals=("ben",), missing=())
    monkeypatch.setattr(platform.tables, "table", lambda name: msgspec.structs.replace(VIEW, plans=(ready,)))
    assert "Switch the table" in pages.get("/tables/nightly").text
    assert submit(pages, "/tables/nightly", f"{AT}/switch", confirm="no").status_code == 400
    assert submit(pages, "/tables/nightly", f"{AT}/switch", confirm=CODE).headers["location"] == "/tables/nightly?done=table-switched"
    assert platform.calls.made[-1][0] == "Release.Apply"
    verdicts = judge(SEEN, Limits(shift_mean=0.0001))
    plan = msgspec.structs.replace(PLAN, verdicts=verdicts)
    failed = msgspec.structs.replace(ready, answer="fail", plan=plan, missing=("shift_mean says fail: 0.01",))
    monkeypatch.setattr(platform.tables, "table", lambda name: msgspec.structs.replace(VIEW, plans=(failed,)))
    html = pages.get("/tables/nightly").text
    assert "Switch the table" not in html
    assert "train a version that differs less" in html


@pytest.mark.parametrize("to", ["", output(3).digest])
def test_the_way_back_asks_for_the_tables_name_and_a_reason(pages, platform, to):  # noqa: F811
    at = "/tables/nightly/rollback"
    assert submit(pages, "/tables/nightly", at, reason="odd", confirm="night").status_code == 400
    assert submit(pages, "/tables/nightly", at, reason=" ", confirm="nightly").status_code == 400
    assert platform.calls.made == []
    done = submit(pages, "/tables/nightly", at, reason="odd", confirm="nightly", to=to)
    assert done.headers["location"] == "/tables/nightly?done=table-back"
    assert platform.calls.made[-1][3] == ("nightly", "odd", to)
