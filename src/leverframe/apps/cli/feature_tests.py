"""A project's feature tests, run here on every engine that is installed; nothing is sent."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from leverframe.apps.cli.output import print_table, say
from leverframe.apps.cli.project import Project
from leverframe.core.errors import InvalidInput
from leverframe.core.feature_example import FeatureTestResult

if TYPE_CHECKING:
    from leverframe.features.definition_tests import Engine


def installed_engines() -> tuple[str, ...]:
    """The engines that can run here: Spark's is an extra, and takes some seconds to start."""
    return ("polars", "stream", "spark") if find_spec("pyspark") is not None else ("polars", "stream")


def run_tests(project: Project, engines: Sequence[str] = ("polars", "stream")) -> tuple[FeatureTestResult, ...]:
    """Every test on every engine; a test with faults, or of a view that is not declared here, is a result that does not hold.

    Raises
    ------
    InvalidInput: no such engine.    Unavailable: Spark or its Java is not installed.
    """
    known = ("polars", "stream", "spark")
    if unknown := [engine for engine in engines if engine not in known]:
        raise InvalidInput("no such engine", where="--engine", expected=", ".join(known), got=", ".join(unknown)[:80])
    if not project.tests:
        return ()
    from leverframe.features.definition_tests import ENGINES

    chosen = {name: engine for name, engine in ENGINES.items() if name in engines}
    if "spark" not in engines:
        return tuple(_results(project, chosen))
    from leverframe.apps.spark_session import spark_for
    from leverframe.features.spark_definition_tests import spark_engine

    master = os.environ.get("LEVER_SPARK_MASTER", "")
    with tempfile.TemporaryDirectory(prefix="lever-tests-") as folder, spark_for(master, Path(folder)) as session:
        return tuple(_results(project, {**chosen, "spark": spark_engine(session, Path(folder))}))


def _results(project: Project, engines: "Mapping[str, Engine]") -> Iterator[FeatureTestResult]:
    from leverframe.features.definition_tests import run_feature_test

    views = {view.name: view for view in project.views}
    for test in project.tests:
        view = views.get(test.view)
        if view is None:
            error = f"no such feature view in this project: {test.view}; there are {', '.join(views) or 'none'}"
            yield FeatureTestResult(test=test.name, view=test.view, engine="–", error=error)
            continue
        try:
            yield from run_feature_test(test, view, engines)
        except InvalidInput as error:
            yield FeatureTestResult(test=test.name, view=test.view, engine="–", error=error.sentence())


def print_results(results: Iterable[FeatureTestResult]) -> None:
    """What does not hold, a line a value, then one sentence."""
    results = tuple(results)
    failing = [result for result in results if not result.holds]
    rows = [
        (r.test, r.view, r.engine, ", ".join(f"{k} {v}" for k, v in d.asked.items()), d.feature, _figure(d.expected), _figure(d.got))
        for r in failing
        for d in r.differences
    ]
    if rows:
        print_table("Feature tests that do not hold", ("test", "view", "engine", "asked", "feature", "expected", "got"), rows)
    for result in failing:
        if result.error:
            say(f"test {result.test} of {result.view} ({result.engine}): {result.error}")
    engines = dict.fromkeys(result.engine for result in results if result.engine != "–")
    tests = {(result.view, result.test) for result in results}
    broken = {(result.view, result.test) for result in failing}
    say(f"feature tests: {len(tests) - len(broken)} of {len(tests)} hold on {', '.join(engines) or 'no engine'}")


def _figure(value: float | None) -> str:
    return "no value" if value is None else f"{value:.12g}"
