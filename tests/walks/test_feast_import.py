"""A real Feast beside us: its repository imported, planned and applied; its stores read in place against its own answers."""

import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from benchmarks.peers import PeerUnavailable, peer_python
from tests.features.test_online_feast import differing
from tests.whole_program import copy_home, open_in_process

from leverframe.apps.cli.project import load_project
from leverframe.apps.importing_feast import import_feast
from leverframe.apps.platform.views import ProjectRequest
from leverframe.apps.settings import Settings
from leverframe.core.errors import Conflict, InvalidInput, NotFound
from leverframe.features.online.online_address import open_for_reading
from leverframe.features.online.online_feast import read_feast_store

FEAST = "feast[duckdb,redis]==0.67.0"
FOLDER = Path(__file__).parents[1] / "features" / "feast"
REPOSITORY = FOLDER / "repository"
NOW_US = 1_709_400_000_000_000


@pytest.fixture(scope="module")
def python() -> str:
    try:
        return str(peer_python("feast-redis", (FEAST,)))
    except PeerUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(params=["sqlite", "redis"])
def filled(request: pytest.FixtureRequest, python: str, tmp_path: Path) -> tuple[Path, dict[str, object]]:
    """A repository whose online store a real Feast filled, and what that Feast answers."""
    repo, out = tmp_path / "repo", tmp_path / "answers.json"
    shutil.copytree(REPOSITORY, repo)
    address: tuple[str, ...] = ()
    if request.param == "redis":
        address = (str(request.getfixturevalue("redis_tcp_server")).removeprefix("redis://").partition("/")[0],)
    done = subprocess.run([python, str(FOLDER / "fill.py"), str(out), *address], cwd=repo, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return repo, json.loads(out.read_text())["answers"]


@pytest.mark.slow
def test_a_repository_is_imported_applied_and_its_store_read_in_place(
    filled: tuple[Path, dict[str, object]], python: str, tmp_path: Path
) -> None:
    repo, answers = filled
    project = tmp_path / "project"
    done = import_feast(repo, project, python=python, team="flights", now_us=NOW_US)
    assert set(done.files) == {"features.py", "feast-online.json", "contracts/driver_stats.odcs.yaml", "contracts/pairs.odcs.yaml"}
    store = open_for_reading(f"feast:{project / 'feast-online.json'}", tmp_path / "lmdb", 5.0)
    assert differing(store, answers) == []  # type: ignore[arg-type]
    store.close()
    assert len(read_feast_store(project / "feast-online.json").views) == 2
    found = load_project(project)
    home = copy_home(tmp_path / "home")
    platform = open_in_process(Settings(home=home, clock=f"replay:{home / 'replay.clock'}"))
    try:
        secrets = msgspec.json.decode((home / "secrets.json").read_bytes(), type=dict[str, str])
        ana = platform.access.authenticate(secrets["ana"])
        plan = platform.projects.plan(ana, found.declarations)
        assert plan.faults == ()
        platform.projects.apply(ana, ProjectRequest(declared=found.declarations, plan=plan.digest), key="feast")
        assert {"driver_hourly_stats", "driver_city"} <= {view.view.name for view in platform.features.views()}
        assert [(s.service.name, s.missing) for s in platform.services.services()] == [("driver_activity_v1", ())]
    finally:
        platform.close()
    with pytest.raises(Conflict, match="exist and are not replaced"):
        import_feast(repo, project, python=python, team="flights", now_us=NOW_US)


@pytest.mark.slow
def test_a_repository_that_cannot_be_read_says_what_its_own_python_said(python: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no Feast repository here"):
        import_feast(tmp_path, tmp_path / "out", python=python, team="t", now_us=NOW_US)
    shutil.copytree(REPOSITORY, tmp_path / "repo")
    (tmp_path / "repo" / "broken.py").write_text("import a_module_that_is_nowhere\n")
    with pytest.raises(InvalidInput, match="No module named 'a_module_that_is_nowhere'"):
        import_feast(tmp_path / "repo", tmp_path / "out", python=python, team="t", now_us=NOW_US)
    assert not (tmp_path / "out").exists()
