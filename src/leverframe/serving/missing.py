"""What a value that is not there becomes: NaN, the column's default, or a refusal; and what an operator switched off."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leverframe.core.errors import Fault, Refused
from leverframe.core.schema import Signature

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MissingPolicy:
    """The missing-value policy of one model with some of its features disabled.

    ``off`` are positions of disabled columns. They are fed as missing on purpose: they take their default when they have one, never refuse
    and do not count as missing.
    """

    names: tuple[str, ...]
    off: frozenset[int]
    off_views: frozenset[str]
    defaults: dict[int, float]
    refuse: frozenset[int]

    @property
    def disabled(self) -> tuple[str, ...]:
        """Names of the disabled columns."""
        return tuple(self.names[index] for index in sorted(self.off))

    def apply_row(self, row: Sequence[float]) -> tuple[list[float], list[str]]:
        """One row with policy applied, and the names of its missing columns.

        Raises
        ------
        Refused: a missing value that the model will not do without.
        """
        filled = list(row)
        missing = []
        for index in self.off:
            filled[index] = float("nan")
        for index, value in enumerate(filled):
            if value != value:
                if index not in self.off:
                    missing.append(index)
                filled[index] = self.defaults.get(index, value)
        self._refuse(missing)
        return filled, [self.names[index] for index in missing]

    def apply(self, matrix: Float) -> tuple[Float, int, list[str]]:
        """The matrix with policy applied (in place), how many values were missing, and in which columns.

        Raises
        ------
        Refused: a missing value that the model will not do without.
        """
        off = sorted(self.off)
        matrix[:, off] = np.nan
        absent = np.isnan(matrix)
        for index, default in self.defaults.items():
            matrix[absent[:, index], index] = default
        absent[:, off] = False
        by_column = absent.sum(axis=0)
        missing = [int(index) for index in np.flatnonzero(by_column)]
        self._refuse(missing)
        return matrix, int(by_column.sum()), [self.names[index] for index in missing]

    def _refuse(self, missing: Sequence[int]) -> None:
        faults = [
            Fault(where=self.names[i], what="no value", expected="a value that is there and fresh") for i in missing if i in self.refuse
        ]
        if faults:
            raise Refused(
                "the model declares that it does not answer without a value",
                where=", ".join(fault.where for fault in faults)[:300],
                expected="a value",
                got="none, or one that has expired",
                next_step="check the feed with: lever features status",
                faults=faults,
            )


def missing_policy(signature: Signature, disabled_features: Sequence[str]) -> MissingPolicy:
    """Compile a signature's policy; ``disabled_features`` are ``view.feature`` or ``view.*``."""
    disabled = set(disabled_features)
    off = {
        index
        for index, column in enumerate(signature.columns)
        if column.source == "view" and (f"{column.view}.{column.feature}" in disabled or f"{column.view}.*" in disabled)
    }
    on_views = {column.view for index, column in enumerate(signature.columns) if column.source == "view" and index not in off}
    return MissingPolicy(
        names=tuple(column.name for column in signature.columns),
        off=frozenset(off),
        off_views=frozenset(binding.view for binding in signature.views) - on_views,
        defaults={i: c.default for i, c in enumerate(signature.columns) if c.on_missing == "default" and c.default is not None},
        refuse=frozenset(i for i, c in enumerate(signature.columns) if c.on_missing == "refuse"),
    )
