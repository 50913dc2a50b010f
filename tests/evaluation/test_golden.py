import numpy as np

from leverframe.core.model import Golden
from leverframe.evaluation.golden import check_golden

GOLDEN = Golden(columns=("a", "b"), rows=((1.0, 2.0), (None, 4.0)), expected=((0.25,), (0.5,)), tolerance=1e-9)


def answer(values):
    return lambda rows: np.asarray(values)


def test_the_same_answers_pass_and_missing_values_arrive_as_nan():
    seen = []
    verdict = check_golden(GOLDEN, lambda rows: seen.append(rows) or np.array([0.25, 0.5 + 1e-10]), at_us=4)
    np.testing.assert_array_equal(seen[0], [[1.0, 2.0], [np.nan, 4.0]])
    assert (verdict.answer, verdict.n, verdict.at_us) == ("pass", 2, 4)
    assert 0 < verdict.observed <= 1e-9


def test_a_difference_is_a_fail_that_names_the_row():
    verdict = check_golden(GOLDEN, answer([0.25, 0.6]))
    assert verdict.answer == "fail"
    assert verdict.observed == np.float64(0.6) - 0.5
    assert "row 1 differs by 0.1; 1 rows differ" in verdict.reason


def test_wrong_shapes_and_numbers_fail_and_no_rows_prove_nothing():
    assert "shape (3, 1)" in check_golden(GOLDEN, answer([0.1, 0.2, 0.3])).reason
    assert "row 1 is answered with a number that is not finite" in check_golden(GOLDEN, answer([[0.25], [np.nan]])).reason
    empty = Golden(columns=("a",), rows=(), expected=(), tolerance=1e-9)
    assert check_golden(empty, answer([])).answer == "inconclusive"
