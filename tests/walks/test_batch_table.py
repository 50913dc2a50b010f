"""A table scored every night comes to another version: real models, real flights, from the first batch to the way back."""

import io
import json
from pathlib import Path

import msgspec
import polars as pl
import pytest
from tests.apps.in_process import browser
from tests.whole_program import ENDPOINT, FROM_US, NOW_US, clear_environment, copy_home, open_in_process, world
from typer.testing import CliRunner

from leverframe.apps.cli.main import app
from leverframe.apps.scoring.job import Scoring
from leverframe.apps.scoring.tables import Batch, TableScoring
from leverframe.apps.settings import Settings
from leverframe.apps.table_loop import TableLoop
from leverframe.core.actor import Actor
from leverframe.core.digest import digest_bytes
from leverframe.core.errors import Conflict, Forbidden, NotFound, Refused
from leverframe.release.tables.limits import Limits

V1, V2, BROKEN = (f"{ENDPOINT}@v{n}" for n in (1, 2, 3))


def flights(path: Path, first: int = 0) -> Path:
    """Questions of ten days with what became known since: the label that the model declares."""
    asked = world()["flights"].filter(pl.col("asked_at").is_between(FROM_US, NOW_US)).slice(first)
    asked.write_parquet(path)
    return path


def test_a_table_is_compared_approved_switched_and_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = copy_home(tmp_path / "home")
    clear_environment()
    settings = Settings(home=home, clock=f"replay:{home / 'replay.clock'}")
    platform = open_in_process(settings)
    secrets = json.loads((home / "secrets.json").read_text())
    ana, eva, ben, olga = (platform.access.authenticate(secrets[name]) for name in ("ana", "eva", "ben", "olga"))
    monday, tuesday = flights(tmp_path / "monday.parquet"), flights(tmp_path / "tuesday.parquet", first=50)

    door = browser(platform)

    def readers() -> pl.DataFrame:
        answer = door.get("/api/v1/tables/nightly/rows", headers={"Authorization": f"Bearer {secrets['olga']}"})
        assert answer.status_code == 200, answer.text
        return pl.read_parquet(io.BytesIO(answer.content))

    with Scoring(settings) as scoring:
        tables = TableScoring(settings, scoring)
        batch = Batch(file=monday, as_of="asked_at", id_column="flight_id")
        with pytest.raises(NotFound, match="no such table"):
            tables.plan(ana, "nightly", V2, batch, Limits())
        begun = tables.write(ana, "nightly", batch, version=V1)
        first = readers()
        assert (first.height, set(first["model_version"])) == (begun.current.rows, {V1})
        assert digest_bytes(platform.tables.rows(olga, "nightly")) == begun.current.digest

        stranger = Actor(subject="sam", roles=("viewer",), teams=("fraud",))
        with pytest.raises(Forbidden, match="sam may not"):
            platform.tables.rows(stranger, "nightly")

        plan = tables.plan(ana, "nightly", V2, batch, Limits())
        assert plan.answer == "pass", plan.verdicts
        assert plan.live.digest == begun.current.digest, "the same version on the same batch gives the same bytes"
        seen = plan.comparison
        assert (seen.rows, seen.missing, seen.lost) == (first.height, 0, 0)
        assert seen.shift_mean is not None
        assert 0.0 < seen.shift_mean < 0.05
        brier, _ = seen.losses
        answers = pl.read_parquet(io.BytesIO(platform.parts.artifacts.get(plan.answers.digest)))
        told = first.join(answers, on="flight_id", suffix="_v2").join(pl.read_parquet(monday), on="flight_id").drop_nulls("late")
        before, after, late = (told[name].to_numpy() for name in (plan.live.column, f"{plan.live.column}_v2", "late"))
        assert brier.n == told.height > 1_000
        assert brier.difference == pytest.approx(float(((after - late) ** 2 - (before - late) ** 2).mean()))

        with pytest.raises(Forbidden, match="author"):
            platform.tables.approve(ana, "nightly", plan.digest, note="", key="own")
        with pytest.raises(Forbidden, match="approval"):
            platform.tables.switch(eva, "nightly", plan.digest, key="early")
        waiting = platform.tables.table("nightly").plans[0]
        for number in range(waiting.needed):
            approver = ben
            if number:
                admin = platform.access.authenticate(secrets["admin"])
                issued = platform.access.issue(admin, "bea", ("approver",), (begun.team,), days=1, key="bea")
                approver = platform.access.authenticate(issued.secret)
            waiting = platform.tables.approve(approver, "nightly", plan.digest, note="read", key=f"yes-{number}")
        assert waiting.missing == ()
        switched = platform.tables.switch(eva, "nightly", plan.digest, key="go")
        assert set(readers()["model_version"]) == {V2}
        assert switched.table.current.digest == plan.answers.digest
        TableLoop(platform.parts).look()
        watch = platform.tables.table("nightly").watch
        assert watch is not None
        assert (watch.state, watch.labelled, watch.version) == ("watching", 0, V2), "no label became known since the comparison"
        # Had the comparison been made before any of these labels was known, the watch would rest on every one of them.
        early = msgspec.structs.replace(plan, created_at_us=0)
        rows = TableLoop(platform.parts)._labelled(early, until_us=2**62)
        assert rows is not None
        assert rows.height == told.height, "each labelled row of the batch is found again by the key of the contract"

        tables.write(ana, "nightly", msgspec.structs.replace(batch, file=tuesday))
        assert (readers().height, set(readers()["model_version"])) == (first.height - 50, {V2})
        bad = tables.plan(ana, "nightly", BROKEN, msgspec.structs.replace(batch, file=tuesday), Limits())
        assert bad.answer == "fail", bad.verdicts
        for approver in range(waiting.needed):
            who = ben if approver == 0 else platform.access.authenticate(issued.secret)
            platform.tables.approve(who, "nightly", bad.digest, note="hurry", key=f"bad-{approver}")
        with pytest.raises(Refused, match="says fail"):
            platform.tables.switch(eva, "nightly", bad.digest, key="bad")

        back = platform.tables.rollback(olga, "nightly", reason="numbers look odd", to=begun.current.digest, key="back")
        assert readers().equals(first)
        with pytest.raises((Refused, Conflict)):
            platform.tables.switch(eva, "nightly", plan.digest, key="again")
        told = [(entry.event, entry.version, entry.actor, entry.reason) for entry in back.history]
        assert told == [
            ("rolled back", V1, "olga", "numbers look odd"),
            ("written", V2, "ana", ""),
            ("switched", V2, "eva", ""),
            ("written", V1, "ana", ""),
        ]

    for name, value in (("HOME", home), ("TOKEN", secrets["ana"]), ("CLOCK", settings.clock)):
        monkeypatch.setenv(f"LEVER_{name}", str(value))
    verb = ["table", "plan", "nightly", str(monday), "--candidate", V2, "--as-of", "asked_at", "--id", "flight_id"]
    done = CliRunner().invoke(app, verb)
    assert done.exit_code == 0, done.output
    assert "next: lever table approve nightly" in done.stdout
    done = CliRunner().invoke(app, [*verb, "--shift-largest-max", "0.0001", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["answer"]) == (3, "fail")
    assert set(readers()["model_version"]) == {V1}, "a plan changes nothing"
    platform.close()
