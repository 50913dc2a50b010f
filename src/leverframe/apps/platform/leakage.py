"""Use case: what there is to say about the training set a model would get today, and what in it may leak."""

import polars as pl

from leverframe.apps.platform.datasets import latest_rows
from leverframe.apps.platform.feature_services import resolved_models
from leverframe.apps.platform.parts import Parts
from leverframe.core.column_reads import column_features
from leverframe.core.errors import InvalidInput, NotFound
from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import TrainingSetReport
from leverframe.features.commands import KIND_VIEW
from leverframe.features.training_sets.leakage import training_set_report
from leverframe.features.training_sets.leakage_sources import Labelled
from leverframe.features.training_sets.point_in_time import training_set
from leverframe.features.training_sets.questions import in_utc

QUESTIONS_MAX = 1_000_000
"""The newest labelled questions; older ones are not looked at, which bounds what one request costs."""


class Leakage:
    """Reports on training sets."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def report(self, model: str) -> TrainingSetReport:
        """The newest labelled questions of the model's dataset with the features of its views: gaps, and what may leak.

        Raises
        ------
        NotFound: no such model, or a dataset it reads was never ingested.    InvalidInput: no question has a label yet.
        """
        parts = self._parts
        spec = next((spec for spec in resolved_models(parts) if spec.name == model), None)
        if spec is None:
            raise NotFound("no such model", where=model[:120], next_step="lever models list")
        read = {feature.view for column in spec.columns for feature in column_features(column)}
        views = [view for view in parts.ledger.find(KIND_VIEW, FeatureView) if view.name in read]
        # A view may rest on another team's rows, as in training; of them only gaps and shares are told.
        sources = [(view, latest_rows(parts.whole, view.source)[1]) for view in views]
        keys = dict.fromkeys(key for view in views for key in view.entity)
        columns = dict.fromkeys((spec.asked_at, spec.label, spec.label_known_at, *keys))
        _, rows = latest_rows(parts, spec.dataset)
        missing = [name for name in columns if name not in rows.collect_schema()]
        if missing:
            raise InvalidInput("the dataset lacks columns of the model", where=spec.dataset, expected=", ".join(missing))
        labelled = rows.select(list(columns)).filter(pl.col(spec.label).is_not_null())
        questions = labelled.sort(spec.asked_at, descending=True).head(QUESTIONS_MAX).collect().reverse()
        if questions.is_empty():
            raise InvalidInput("no question has a label yet", where=spec.dataset, next_step=f"lever data ingest {spec.dataset} <file>")
        joined = training_set(in_utc(questions, spec.asked_at), spec.asked_at, sources)
        which = Labelled(dataset=spec.dataset, asked_at=spec.asked_at, label=spec.label, known_at=spec.label_known_at)
        return training_set_report(spec.name, joined, which, sources)
