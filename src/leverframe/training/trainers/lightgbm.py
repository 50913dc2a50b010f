"""LightGBM for a binary label: deterministic, with parameters that are bounded and cannot touch files. The one owner of the driver.

The driver is imported where it is used: with what it loads it takes seconds, and every control plane and worker that only checks
parameters would wait for it when it comes back from a crash.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leverframe.core.errors import Fault, InvalidInput

Floats = NDArray[np.float64]

ROUNDS = "num_iterations"
THREADS = 1
"""Two threads fit 75,000 rows in 0.8 s instead of 1.5 s on idle cores, but in 17 s beside other work: they spin at barriers."""


class Bound(NamedTuple):
    """Closed range of a parameter and its type."""

    type: type[int] | type[float]
    low: float
    high: float


BOUNDS: Mapping[str, Bound] = {
    ROUNDS: Bound(int, 1, 5_000),
    "learning_rate": Bound(float, 1e-4, 1.0),
    "num_leaves": Bound(int, 2, 4_096),
    "max_depth": Bound(int, -1, 64),
    "min_data_in_leaf": Bound(int, 1, 1_000_000),
    "min_sum_hessian_in_leaf": Bound(float, 0.0, 1e6),
    "feature_fraction": Bound(float, 0.01, 1.0),
    "bagging_fraction": Bound(float, 0.01, 1.0),
    "bagging_freq": Bound(int, 0, 1_000),
    "lambda_l1": Bound(float, 0.0, 1e6),
    "lambda_l2": Bound(float, 0.0, 1e6),
    "min_gain_to_split": Bound(float, 0.0, 1e6),
    "max_bin": Bound(int, 2, 1_024),
    "path_smooth": Bound(float, 0.0, 1e6),
}
"""Every parameter a model spec may set; what is not here (categorical splits, linear trees, files) has no exact ONNX form or is unsafe."""

DEFAULTS: Mapping[str, Any] = {ROUNDS: 200, "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 100}

_FIXED: Mapping[str, Any] = {
    "objective": "binary",
    "boosting": "gbdt",
    "deterministic": True,
    "force_col_wise": True,  # the automatic choice times itself, and so may differ from run to run
    "num_threads": THREADS,
    "use_missing": True,
    "zero_as_missing": False,
    "verbosity": -1,
}


def checked_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults overlaid with ``params``, each within its bound.

    Raises
    ------
    InvalidInput: with every unknown, mistyped or out-of-range parameter.

    >>> checked_params({"num_leaves": 7})["num_leaves"]
    7
    """
    faults = []
    for name, value in params.items():
        bound = BOUNDS.get(name)
        if bound is None:
            faults.append(Fault(where=name, what="unknown parameter", expected=", ".join(sorted(BOUNDS)), got=name))
        elif isinstance(value, bool) or not isinstance(value, int if bound.type is int else (int, float)):
            faults.append(Fault(where=name, what="wrong type", expected=bound.type.__name__, got=type(value).__name__))
        elif not bound.low <= value <= bound.high:
            faults.append(Fault(where=name, what="out of range", expected=f"{bound.low:g} to {bound.high:g}", got=str(value)))
    if faults:
        raise InvalidInput(
            "; ".join(f"{f.where}: {f.what}" for f in faults),
            where="model parameters",
            expected=faults[0].expected,
            got=faults[0].got,
            next_step="correct `params` in the model spec",
            faults=faults,
        )
    return {**DEFAULTS, **params}


def _library() -> Any:
    """LightGBM, imported when first needed: it brings scikit-learn and pandas along, seconds that a control plane never uses."""
    import lightgbm

    return lightgbm


@dataclass(frozen=True)
class LightGBMModel:
    """A fitted model as LightGBM's text format: numbers and names only, the bytes that go into a bundle."""

    text: str

    @cached_property
    def _booster(self) -> Any:
        lightgbm = _library()
        try:
            return lightgbm.Booster(model_str=self.text)
        except lightgbm.basic.LightGBMError as error:
            raise InvalidInput("not a LightGBM model", where="model text", next_step="train the model again") from error

    def predict(self, matrix: Floats) -> Floats:
        """Probability of label 1 for each row of float64 ``[rows, columns]``; NaN is missing.

        Raises
        ------
        InvalidInput: another number of columns, or the text is no model.
        """
        columns = self._booster.num_feature()
        if matrix.ndim != 2 or matrix.shape[1] != columns:
            raise InvalidInput("wrong matrix", where="predict", expected=f"[rows, {columns}]", got=str(list(matrix.shape)))
        if not len(matrix):
            return np.empty(0, dtype=np.float64)
        return np.asarray(self._booster.predict(matrix, num_threads=THREADS), dtype=np.float64)


def fit(matrix: Floats, labels: ArrayLike, *, column_names: Sequence[str], params: Mapping[str, Any], seed: int) -> LightGBMModel:
    """Fit gradient-boosted trees for a binary label; the same inputs give the same bytes.

    Parameters
    ----------
    matrix: float64 ``[rows, columns]``, NaN for missing.    labels: ``[rows]`` of 0 and 1, both present.
    column_names: names in matrix order, without white space.    params: see :data:`BOUNDS`.    seed: 0 to 2**31 - 1.

    Raises
    ------
    InvalidInput: parameters out of bounds, labels of one class or other than 0 and 1, shapes or names that do not fit.
    """
    y = np.asarray(labels, dtype=np.float64).ravel()
    _check_inputs(matrix, y, column_names, seed)
    settings = {**checked_params(params), **_FIXED, "seed": seed}
    rounds = settings.pop(ROUNDS)
    lightgbm = _library()
    try:
        data = lightgbm.Dataset(matrix, y, feature_name=list(column_names), params=settings, free_raw_data=True)
        booster = lightgbm.train(settings, data, num_boost_round=rounds)
    except lightgbm.basic.LightGBMError as error:
        raise InvalidInput(f"LightGBM refused: {error}", where="fit", next_step="correct `params` or the training set") from error
    return LightGBMModel(text=booster.model_to_string())


def _check_inputs(matrix: Floats, labels: Floats, column_names: Sequence[str], seed: int) -> None:
    faults = []
    if matrix.ndim != 2 or matrix.shape != (len(labels), len(column_names)):
        expected = f"[{len(labels)}, {len(column_names)}]"
        faults.append(Fault(where="matrix", what="shape differs from labels and names", expected=expected, got=str(list(matrix.shape))))
    if set(np.unique(labels)) != {0.0, 1.0}:
        faults.append(Fault(where="labels", what="need both classes", expected="0 and 1", got=str(np.unique(labels)[:5].tolist())))
    if len(set(column_names)) != len(column_names) or any(
        not name or any(c.isspace() or c in '",:[]{}' for c in name) for name in column_names
    ):
        faults.append(
            Fault(where="column names", what="must be distinct, without white space or JSON punctuation", got=", ".join(column_names))
        )
    if not 0 <= seed < 2**31:
        faults.append(Fault(where="seed", what="out of range", expected="0 to 2147483647", got=str(seed)))
    if faults:
        first = faults[0]
        message = "; ".join(f"{f.where}: {f.what}" for f in faults)
        raise InvalidInput(message, where="fit", expected=first.expected, got=first.got, faults=faults)
