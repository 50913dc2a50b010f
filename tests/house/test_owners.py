"""Nothing is added that nobody said the owner of: kinds of records, parameters of addresses, writes by body (P29)."""

import re
from pathlib import Path

from tests.apps.test_tenants import ADDRESSES, BODIES, IDS, OF_THE_INSTALLATION, WRITES

from leverframe.apps.platform.owners import OWNERS
from leverframe.apps.web.tenants import RECORDS as NAMED


def test_each_kind_of_record_has_an_owner() -> None:
    """By the source: a kind that is new and has no row is seen by nobody of a team, which their own tests may not notice."""
    kinds = set()
    for file in (Path(__file__).parents[2] / "src" / "leverframe").rglob("*.py"):
        kinds |= set(re.findall(r'^_?KIND_\w+ = "([^"]+)"', file.read_text(), re.MULTILINE))
    assert {"contract", "batch_table", "token"} <= kinds
    assert kinds - set(OWNERS) == set(), "apps/platform/owners.py says whose each is; tests/apps/two_teams.py puts one of each"


def test_every_parameter_of_an_address_is_known() -> None:
    names = {name for _, path in ADDRESSES for name in re.findall(r"\{(\w+)\}", path)}
    assert names - set(IDS) == set(), "tests/apps/test_tenants.py needs an id of another team for it"
    assert set(NAMED) <= names


def test_every_write_that_names_things_in_its_body_is_tried() -> None:
    named = {path for method, path in WRITES if path.startswith("/api/") and "{" not in path}
    assert named == set(BODIES) | OF_THE_INSTALLATION
