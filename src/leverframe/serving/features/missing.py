"""What a value that is not there becomes: NaN, a default, the last known value or a refusal; and what an operator switched off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from leverframe.core.column_reads import column_features
from leverframe.core.errors import Fault, Refused
from leverframe.core.schema import InputColumn, Signature
from leverframe.serving.features.lookup import Gap

Float = npt.NDArray[np.float64]
_NO_GAPS: Mapping[str, Gap] = {}
_encode = msgspec.json.encode
_MISSING, _STALE, _UNREACHABLE = "no value", "its value has expired", "its store cannot be reached"


class Lacking(msgspec.Struct, gc=False, frozen=True):
    """What the rows of a request lacked: how many values were not there in time, and in which columns.

    ``stale`` are those of the ``missing`` columns with a value that has expired, ``degraded`` those of which a last known value was used.
    """

    count: int = 0
    missing: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()


NOTHING_LACKING = Lacking()


def lacking_facts(lacking: Lacking) -> bytes:
    """The part of an answer's parameters that says what was lacking.

    >>> lacking_facts(Lacking(1, ("wind",), ("wind",)))
    b',"missing":1,"missing_features":"wind","stale_features":"wind"'
    """
    facts = b',"missing":%d,"missing_features":%b' % (lacking.count, _encode(",".join(lacking.missing)))
    if lacking.stale:
        facts += b',"stale_features":%b' % _encode(",".join(lacking.stale))
    if lacking.degraded:
        facts += b',"degraded_features":%b' % _encode(",".join(lacking.degraded))
    return facts


class ViewColumn(NamedTuple):
    """A looked-up column: where its values lie, and what becomes of one that has expired or is out of reach (empty: as a missing one)."""

    at: int
    view: str
    position: int
    on_stale: str
    on_unreachable: str
    default: float
    grace_us: int


@dataclass(frozen=True)
class MissingPolicy:
    """The missing-value policy of one model with some of its features disabled.

    ``off`` are positions of disabled columns. They are fed as missing on purpose: they take their default when they have one, never refuse
    and do not count as missing. ``remember`` are views whose rows are to be kept for when their store cannot be reached.
    """

    names: tuple[str, ...]
    off: frozenset[int]
    off_views: frozenset[str]
    defaults: dict[int, float]
    refuse: frozenset[int]
    looked_up: tuple[ViewColumn, ...]
    remember: frozenset[str]

    @property
    def disabled(self) -> tuple[str, ...]:
        """Names of the disabled columns."""
        return tuple(self.names[index] for index in sorted(self.off))

    def apply_row(self, row: Sequence[float], gaps: Mapping[str, Gap] = _NO_GAPS) -> tuple[list[float], Lacking]:
        """One row with policy applied, and what it lacked: the same as :meth:`apply` to a matrix of it alone.

        Raises
        ------
        Refused: a missing value that the model will not do without.
        """
        if gaps:
            matrix, lacking = self.apply(np.array([row], dtype=np.float64), gaps)
            filled: list[float] = matrix[0].tolist()
            return filled, lacking
        filled = list(row)
        missing = []
        for index in self.off:
            filled[index] = float("nan")
        for index, value in enumerate(filled):
            if value != value:
                if index not in self.off:
                    missing.append(index)
                filled[index] = self.defaults.get(index, value)
        refused = self.refuse.intersection(missing)
        if refused:
            raise self._refused(dict.fromkeys(sorted(refused), _MISSING))
        return filled, Lacking(len(missing), self._names(missing))

    def apply(self, matrix: Float, gaps: Mapping[str, Gap] = _NO_GAPS) -> tuple[Float, Lacking]:
        """The matrix with policy applied (in place), and what it lacked.

        Parameters
        ----------
        gaps: views without values in time; of those the matrix holds NaN.

        Raises
        ------
        Refused: a missing value that the model will not do without.
        """
        off = sorted(self.off)
        matrix[:, off] = np.nan
        absent = np.isnan(matrix)
        left = absent.copy()  # what the policy of missing values decides
        refused: dict[int, str] = {}
        stale: list[int] = []
        degraded: list[int] = []
        for column in self.looked_up if gaps else ():
            gap = gaps.get(column.view)
            if gap is not None and column.at not in self.off:
                self._fill(column, gap, matrix, left, refused, stale, degraded)
        for index, default in self.defaults.items():
            matrix[left[:, index], index] = default
        absent[:, off] = left[:, off] = False
        by_column = absent.sum(axis=0)
        missing = [int(index) for index in np.flatnonzero(by_column)]
        refused |= {index: _MISSING for index in missing if index in self.refuse and index not in refused and left[:, index].any()}
        if refused:
            raise self._refused(refused)
        return matrix, Lacking(int(by_column.sum()), *map(self._names, (missing, stale, degraded)))

    def _names(self, columns: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.names[index] for index in columns)

    @staticmethod
    def _fill(
        column: ViewColumn,
        gap: Gap,
        matrix: Float,
        left: npt.NDArray[np.bool_],
        refused: dict[int, str],
        stale: list[int],
        degraded: list[int],
    ) -> None:
        """Decide the cells of one column that are stale or unreachable; those for which it has nothing special stay ``left``."""
        index, spare = column.at, gap.spare[:, column.position]
        known = ~np.isnan(spare)
        cells = gap.rows if gap.unreachable else gap.rows & known
        if not cells.any():
            return
        if not gap.unreachable:
            stale.append(index)
        policy = column.on_unreachable if gap.unreachable else column.on_stale
        if policy == "degrade":
            cells = cells & known & (gap.over_us <= column.grace_us)
            if cells.any():
                matrix[cells, index] = spare[cells]
                degraded.append(index)
        elif policy == "default":
            matrix[cells, index] = column.default
        elif policy == "refuse":
            refused[index] = _UNREACHABLE if gap.unreachable else _STALE
        if policy:
            left[cells, index] = False

    def _refused(self, reasons: Mapping[int, str]) -> Refused:
        faults = [Fault(where=self.names[i], what=what, expected="a value that is there and fresh") for i, what in sorted(reasons.items())]
        return Refused(
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
    # An expression that reads a disabled feature goes off with it.
    reads = [column_features(column) for column in signature.columns]
    off = {
        index
        for index, features in enumerate(reads)
        if any(f"{read.view}.{read.name}" in disabled or f"{read.view}.*" in disabled for read in features)
    }
    on_views = {read.view for index, features in enumerate(reads) if index not in off for read in features}
    places = {(binding.view, feature): place for binding in signature.views for place, feature in enumerate(binding.features)}
    return MissingPolicy(
        names=tuple(column.name for column in signature.columns),
        off=frozenset(off),
        off_views=frozenset(binding.view for binding in signature.views) - on_views,
        defaults={i: c.default for i, c in enumerate(signature.columns) if c.on_missing == "default" and c.default is not None},
        refuse=frozenset(i for i, c in enumerate(signature.columns) if c.on_missing == "refuse"),
        looked_up=tuple(
            _view_column(index, column, places[column.view, column.feature])
            for index, column in enumerate(signature.columns)
            if column.source == "view" and (column.view, column.feature) in places
        ),
        remember=frozenset(c.view for i, c in enumerate(signature.columns) if c.on_unreachable == "degrade" and i not in off),
    )


def _view_column(index: int, column: InputColumn, position: int) -> ViewColumn:
    return ViewColumn(
        at=index,
        view=column.view,
        position=position,
        on_stale=column.on_stale,
        on_unreachable=column.on_unreachable,
        default=float("nan") if column.default is None else column.default,
        grace_us=column.grace_us,
    )
