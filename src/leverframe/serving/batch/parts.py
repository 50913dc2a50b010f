"""One part of a batch: its rows as columns, and what the model says of each of them. Rows in are rows out: a refusal is an answer too."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leverframe.core.assemble import input_columns
from leverframe.core.errors import Refused, SchemaMismatch
from leverframe.serving.engine.models import LoadedVersion
from leverframe.serving.features.missing import missing_policy
from leverframe.serving.protocol.tensors import Column
from leverframe.serving.walk.fallback import MODEL_FAILED

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

CODES = ("", SchemaMismatch.code, Refused.code, MODEL_FAILED)
"""Why a row has no score: it has one; a value cannot be what its field declares; policy refuses it; the score is not finite."""
SCORED, NOT_READABLE, REFUSED, FAILED = range(len(CODES))
ROWS_AT_ONCE = 8192
"""Rows of a part that are looked at and scored together: at a usual width they stay in the processor's cache."""


@dataclass(frozen=True)
class Part:
    """Rows ``first_row`` to ``first_row + rows`` of the input.

    ``columns`` are the request fields, missing numbers as NaN and missing text as None; ``unreadable`` marks rows with a missing value
    where the field has none to stand for it (their numbers are zero and never used). ``asked_at_us`` is each row's moment, when the job
    reads features of the past. ``kept`` are the input columns that go to the output unseen, as the reader of the files gave them.
    """

    number: int
    first_row: int
    rows: int
    columns: Mapping[str, Column]
    unreadable: npt.NDArray[np.bool_]
    asked_at_us: Int | None = None
    kept: Any = None


@dataclass(frozen=True)
class ScoredPart:
    """``scores`` float64 ``[rows]``, NaN where ``codes`` (positions in ``CODES``) is not 0; ``missing`` values of each row's input."""

    part: Part
    scores: Float
    codes: npt.NDArray[np.uint8]
    missing: npt.NDArray[np.int32]

    def counts(self) -> dict[str, int]:
        """How many rows have each code that occurs, the scored ones left out."""
        found = np.bincount(self.codes, minlength=len(CODES))
        return {code: int(count) for code, count in zip(CODES, found, strict=True) if code and count}


Features = Callable[[Part], Mapping[str, Float]]
"""View name to float64 ``[rows, features]`` in the binding's feature order, NaN where there is no value."""


class PartScorer:
    """Scores parts with one model version, as the gateway scores a request of each row by itself.

    Parameters
    ----------
    features: gives the values of the views that the signature is bound to. Asked by several threads at once.
    """

    def __init__(self, model: LoadedVersion, features: Features) -> None:
        self._model = model
        self._features = features
        policy = missing_policy(model.signature, ())
        self._refuse, self._defaults = policy.refuse, policy.defaults
        score = model.score_alike or model.score
        self._score = model.score_columns or (lambda columns: score(np.column_stack(columns)))

    def score(self, part: Part) -> ScoredPart:
        """What the model says of every row.

        Raises
        ------
        Unavailable: the features cannot be read; nothing was scored.    Integrity: the runtime failed.
        """
        views = self._features(part) if self._model.signature.views else {}
        scores = np.empty(part.rows, dtype=np.float64)
        codes = np.zeros(part.rows, dtype=np.uint8)
        missing = np.zeros(part.rows, dtype=np.int32)
        for start in range(0, part.rows, ROWS_AT_ONCE):
            rows = slice(start, min(start + ROWS_AT_ONCE, part.rows))
            columns = {name: values[rows] for name, values in part.columns.items()}
            looked_up = {name: values[rows] for name, values in views.items()}
            inputs = list(input_columns(self._model.raw, columns, looked_up, rows.stop - start))
            for index, values in enumerate(inputs):
                absent = np.isnan(values)
                if absent.any():  # a column without gaps is common
                    missing[rows] += absent
                    if index in self._refuse:
                        codes[rows][absent] = REFUSED
                    if index in self._defaults:
                        inputs[index] = np.where(absent, self._defaults[index], values)
            scores[rows] = self._score(inputs)
        codes[(codes == SCORED) & ~np.isfinite(scores)] = FAILED
        codes[part.unreadable] = NOT_READABLE
        scores[codes != SCORED] = np.nan
        return ScoredPart(part, scores, codes, missing)
