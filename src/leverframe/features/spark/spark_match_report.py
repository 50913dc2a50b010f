"""What a view had for the questions, counted by Spark: the figures of ``timelines/newest.py``, question for question."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from leverframe.core.feature import FeatureView
from leverframe.core.training_set_report import ViewMatch
from leverframe.features.declared.definitions import EVENT, VALID_FROM
from leverframe.features.rows.source_rows import COUNTS
from leverframe.features.spark.spark_rows import key_column, moment_column, prepared_rows, quoted
from leverframe.features.spark.spark_training_set import ASKED

_ASKS = "__asks"
_NEWEST = "__newest_us"


def spark_view_match(questions: DataFrame, asked_at: str, view: FeatureView, source: DataFrame) -> ViewMatch:
    """How many questions ``view`` answers, why not the others, and how old what it gives is.

    Parameters
    ----------
    questions, asked_at, source: as for ``spark_training_set``.
    """
    rows = prepared_rows(view, source)
    if view.row_key:
        rows = rows.where(COUNTS)  # as a timeline, which has no row of an entity whose rows never count
    keys = [f"__key_{number}" for number in range(len(view.entity))]
    asked = questions.select(
        *(key_column(questions, key).alias(name) for key, name in zip(view.entity, keys, strict=True)),
        moment_column(questions, asked_at).alias(ASKED),
        F.lit(1).alias(_ASKS),
    )
    named = (F.col(quoted(key)).alias(name) for key, name in zip(view.entity, keys, strict=True))
    happened = rows.select(*named, F.col(VALID_FROM).alias(ASKED), F.lit(0).alias(_ASKS), F.col(EVENT))
    of_entity = Window.partitionBy(*keys)
    # What becomes known at the very moment comes before the question.
    so_far = of_entity.orderBy(ASKED, _ASKS).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    beside = happened.unionByName(asked, allowMissingColumns=True).withColumns(
        {_NEWEST: F.max(EVENT).over(so_far), "__known": F.min(_ASKS).over(of_entity) == 0}
    )
    valid = F.col(ASKED).isNotNull()
    for name in keys:
        valid &= F.col(name).isNotNull()
    found = valid & F.col(_NEWEST).isNotNull()
    alive = found & (F.col(_NEWEST) > F.col(ASKED) - F.lit(view.ttl_us)) if view.ttl_us and view.expressions else found
    age = F.when(alive, F.col(ASKED) - F.col(_NEWEST))
    counted = (
        beside.where(F.col(_ASKS) == 1)
        .agg(
            F.count(F.lit(1)).alias("questions"),
            F.count_if(alive).alias("matched"),
            F.count_if(found).alias("found"),
            F.count_if(valid & F.col("__known")).alias("known"),
            F.min(age).alias("newest"),
            F.max(age).alias("oldest"),
        )
        .first()
    )
    assert counted is not None, "an aggregation without groups has one row"
    return ViewMatch(
        view=view.name,
        questions=counted["questions"],
        matched=counted["matched"],
        never_known=counted["questions"] - counted["known"],
        known_later=counted["known"] - counted["found"],
        expired=counted["found"] - counted["matched"],
        age_us_min=counted["newest"],
        age_us_max=counted["oldest"],
    )
