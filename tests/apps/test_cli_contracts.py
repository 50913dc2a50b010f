"""``lever contracts``: drafted and checked on this machine without a server, and against a server before anything ships."""

import json

import polars as pl
import pytest
from tests.apps.test_cli import lever, platform  # noqa: F401 (fixtures)

from leverframe.apps.cli import connection
from leverframe.apps.cli.exit_codes import OK, REFUSED, USAGE

KINDS = pl.DataFrame({"code": ["a", "b"]})
RIDES = pl.DataFrame({"ride": [f"r{i}" for i in range(40)], "kind": ["a", "b"] * 20, "miles": [i / 4 for i in range(40)]})


@pytest.fixture
def offline(lever, monkeypatch):  # noqa: F811
    """The command on a machine that knows no server."""

    def refuse():
        raise AssertionError("a server was asked")

    monkeypatch.setattr("leverframe.apps.cli.commands_contracts.connect", refuse)
    monkeypatch.setattr(connection, "connect", refuse)
    return lever


@pytest.fixture
def project(offline, tmp_path):
    """A drafted contract, with a reference added by hand, and the rows it came from."""
    folder = tmp_path / "rows"
    (tmp_path / "contracts").mkdir()
    folder.mkdir()
    RIDES.write_parquet(folder / "rides.parquet")
    KINDS.write_csv(folder / "kinds.csv")
    who = ("--team", "taxi", "--owner", "ana")
    for name in ("rides.parquet", "kinds.csv"):
        out = tmp_path / "contracts" / name.replace(".parquet", ".yaml").replace(".csv", ".yaml")
        code, _, _ = offline("contracts", "draft", str(folder / name), *who, "--out", str(out))
        assert code == OK
    rides = tmp_path / "contracts" / "rides.yaml"
    text = rides.read_text()
    rides.write_text(
        text.replace("      - name: kind\n", "      - name: kind\n        relationships: [{ type: foreignKey, to: kinds.code }]\n")
    )
    return tmp_path


def test_a_drafted_project_keeps_its_contracts_offline(offline, project):
    code, out, _ = offline("contracts", "check", str(project / "contracts"), "--against", str(project / "rows"))
    assert code == OK
    assert "rides.yaml: kept, 40 rows" in out
    assert "kinds.yaml: kept, 2 rows" in out


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_sample_that_breaks_a_rule_is_refused_with_rule_share_and_rows(offline, project, ending):
    bad = RIDES.with_columns(kind=pl.when(pl.col("ride") == "r7").then(pl.lit("z")).otherwise("kind"))
    sample = project / f"bad.{ending}"
    {"parquet": bad.write_parquet, "csv": bad.write_csv, "jsonl": bad.write_ndjson}[ending](sample)
    contract = str(project / "contracts" / "rides.yaml")
    parent = ("--parent", f"kinds={project / 'rows' / 'kinds.csv'}")
    code, out, _ = offline("contracts", "check", contract, "--against", str(sample), *parent)
    assert code == REFUSED
    assert "refused, 40 rows" in out
    code, out, _ = offline("contracts", "check", contract, "--against", str(sample), *parent, "--json")
    assert code == REFUSED
    failed = {r["rule"]: r for r in json.loads(out)[0]["report"]["results"] if not r["passed"]}
    assert set(failed) == {"enumeration", "reference"}
    for result in failed.values():
        assert (result["failing_share"], result["examples"], result["example_rows"]) == (1 / 40, ["z"], ["ride=r7"])


def test_without_the_rows_a_reference_points_to_nothing_is_accepted(offline, project):
    contract = str(project / "contracts" / "rides.yaml")
    code, out, _ = offline("contracts", "check", contract, "--against", str(project / "rows" / "rides.parquet"))
    assert code == REFUSED
    assert "no rows of kinds" in " ".join(out.split())


def test_a_contract_with_faults_names_its_file(offline, project):
    broken = project / "contracts" / "rides.yaml"
    broken.write_text(broken.read_text().replace("logicalType: number", "logicalType: numbre"))
    code, _, err = offline("contracts", "check", str(project / "contracts"), "--against", str(project / "rows"))
    assert code == USAGE
    assert "numbre" in err
    assert "rides.yaml" in err


def test_a_draft_never_overwrites_a_file(offline, project):
    out = project / "contracts" / "rides.yaml"
    before = out.read_text()
    code, _, _ = offline("contracts", "draft", str(project / "rows" / "rides.parquet"), "--team", "t", "--owner", "o", "--out", str(out))
    assert code == USAGE
    assert out.read_text() == before


def test_a_breaking_contract_may_ship_only_when_everyone_it_breaks_is_named(lever, tmp_path):  # noqa: F811
    path = tmp_path / "weather.yaml"
    path.write_text("kind: DataContract\n")
    code, out, _ = lever("contracts", "check", str(path))
    assert code == REFUSED
    assert "feature origin_weather.temp" in out
    assert "readers lose the column" in out
    assert "--break-consumers 'feature origin_weather.temp'" in " ".join(out.split())
    named = ("--break-consumers", "feature origin_weather.temp")
    assert lever("contracts", "check", str(path), *named)[0] == OK
    path.write_text("refused rows")
    code, out, _ = lever("contracts", "check", str(path), *named, "--last-snapshot")
    assert code == REFUSED
    assert "newest snapshot of weather: refused" in out


def test_contracts_apply_is_one_verb_under_two_names(lever, platform, tmp_path):  # noqa: F811
    path = tmp_path / "weather.yaml"
    path.write_text("kind: DataContract\n")
    said = [lever(*words, str(path), "--break-consumers", "model a", "--break-consumers", "model b") for words in
            (("contracts", "apply"), ("data", "contracts", "apply"))]  # fmt: skip
    assert said[0] == said[1]
    assert said[0][0] == OK


def test_the_errors_of_a_sample_are_told_as_sentences(offline, project):
    contract = str(project / "contracts" / "rides.yaml")
    for name, content in (("x.parquet", b"PAR1 not"), ("x.csv", b"\xff\xfe"), ("x.txt", b"a")):
        (project / name).write_bytes(content)
        code, _, err = offline("contracts", "check", contract, "--against", str(project / name))
        assert code == USAGE, name
        assert err.startswith(("invalid_input", "not_found")), err
