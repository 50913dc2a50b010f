"""Feature values for a batch: as of each row's moment from the views' rows, or as the online store has them at one moment."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from leverframe.core.errors import Unavailable
from leverframe.core.feature import FeatureView
from leverframe.core.schema import Signature
from leverframe.features.online.online import entity_keys
from leverframe.features.timelines.timeline import timeline
from leverframe.features.training_sets.compiled import compile_views
from leverframe.features.training_sets.point_in_time import join
from leverframe.features.training_sets.questions import check_questions
from leverframe.serving.batch.parts import Part
from leverframe.serving.features.lookup import Lookup, OnlineStore

Float = npt.NDArray[np.float64]
_ASKED = "__asked_at"


class PastFeatures:
    """What the online store would have answered at each row's moment (``Part.asked_at_us``), and nothing later.

    Parameters
    ----------
    views: each view of the signature with its source's rows; compiled once, here. To timelines, for parts may be many and small: a question
        is then looked up, where windows asked directly would pass all rows of the source for every part.
    """

    def __init__(self, signature: Signature, views: Sequence[tuple[FeatureView, pl.LazyFrame]]) -> None:
        self._bindings = signature.views
        lines = [(view, timeline(view, rows)) for view, rows in views]
        self._schemas = [(view, line.schema) for view, line in lines]
        self._views = compile_views(lines)

    def __call__(self, part: Part) -> Mapping[str, Float]:
        """See ``leverframe.serving.batch.parts.Features``."""
        keys = dict.fromkeys(field for binding in self._bindings for field in binding.entity_fields)
        questions = pl.DataFrame([pl.Series(_ASKED, part.asked_at_us), *(pl.Series(key, part.columns[key]) for key in keys)])
        check_questions(questions.schema, _ASKED, self._schemas)
        joined = join(questions, _ASKED, self._views).frame
        return {
            binding.view: joined.select(pl.col(f"{binding.view}.{name}").fill_null(np.nan) for name in binding.features)
            .to_numpy()
            .reshape(part.rows, len(binding.features))
            for binding in self._bindings
        }


class OnlineFeatures:
    """What a gateway would look up at ``now_us``. A batch can wait: a store that cannot be read ends it instead of scoring without."""

    def __init__(self, signature: Signature, store: OnlineStore, now_us: int) -> None:
        self._bindings = signature.views
        self._lookup = Lookup(store, entity_keys)
        self._now_us = now_us

    def __call__(self, part: Part) -> Mapping[str, Float]:
        """See ``leverframe.serving.batch.parts.Features``.

        Raises
        ------
        Unavailable: the store cannot be read.
        """
        looked = self._lookup.read(self._bindings, part.columns, part.rows, self._now_us, frozenset())
        if looked.unreachable:
            raise Unavailable(
                "the online store cannot be read",
                where=", ".join(looked.unreachable),
                expected="materialised views",
                next_step="lever features materialize, then repeat: finished parts stay",
            )
        return looked.values
