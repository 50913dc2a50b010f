"""A project's feature tests, run here on every engine that is installed; nothing is sent."""

from collections.abc import Iterable

from leverframe.apps.cli.output import print_table, say
from leverframe.apps.cli.project import Project
from leverframe.core.errors import InvalidInput
from leverframe.core.feature_example import FeatureTestResult


def run_tests(project: Project) -> tuple[FeatureTestResult, ...]:
    """Every test on every engine; a test with faults, or of a view that is not declared here, is a result that does not hold."""
    if not project.tests:
        return ()
    from leverframe.features.definition_tests import run_feature_test

    views = {view.name: view for view in project.views}
    results: list[FeatureTestResult] = []
    for test in project.tests:
        view = views.get(test.view)
        if view is None:
            error = f"no such feature view in this project: {test.view}; there are {', '.join(views) or 'none'}"
            results.append(FeatureTestResult(test=test.name, view=test.view, engine="–", error=error))
            continue
        try:
            results += run_feature_test(test, view)
        except InvalidInput as error:
            results.append(FeatureTestResult(test=test.name, view=test.view, engine="–", error=error.sentence()))
    return tuple(results)


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
