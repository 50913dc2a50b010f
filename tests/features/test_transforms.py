"""A transform comes from an installed package, prepares the source, and is part of what the view is."""

import sys
from pathlib import Path

import polars as pl
import pytest

from leverframe.core.errors import InvalidInput
from leverframe.core.feature import Expression, FeatureView
from leverframe.features.declared.definitions import view_version
from leverframe.features.rows import transforms
from leverframe.features.timelines.timeline import timeline

CODE = """
import polars as pl

def widened(source):
    return source.with_columns((pl.col("x") * pl.col("x")).alias("square"))

def eager(source):
    return source.collect()
"""
SOURCE = pl.LazyFrame({"k": ["A"], "e": [1], "a": [2], "x": [3.0]})


def view(transform: str) -> FeatureView:
    expression = Expression(name="v", sql="square + 1")
    return FeatureView(
        name="w", source="s", entity=("k",), event_time="e", arrival_time="a", expressions=(expression,), transform=transform
    )


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with two transforms, installed the way installers do it."""
    (tmp_path / "team_transforms.py").write_text(CODE)
    about = tmp_path / "team_transforms-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: team-transforms\nVersion: 1.0\n")
    points = "widened = team_transforms:widened\neager = team_transforms:eager\n"
    (about / "entry_points.txt").write_text(f"[{transforms.GROUP}]\n{points}")
    monkeypatch.syspath_prepend(str(tmp_path))
    transforms._transform.cache_clear()
    yield
    transforms._transform.cache_clear()
    sys.modules.pop("team_transforms", None)


def test_a_transform_prepares_the_source_of_a_view() -> None:
    assert timeline(view("widened"), SOURCE).rows() == [("A", 2, 1, 2, 10.0)]
    with pytest.raises(InvalidInput, match="square"):
        timeline(view(""), SOURCE)
    assert view_version(view("widened")) != view_version(view(""))


def test_one_that_is_not_installed_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidInput, match="no installed package announces") as caught:
        timeline(view("os.system"), SOURCE)
    assert caught.value.expected == "eager, widened"


def test_one_that_gives_no_lazy_frame_is_refused() -> None:
    with pytest.raises(InvalidInput, match="gives a LazyFrame"):
        timeline(view("eager"), SOURCE)
