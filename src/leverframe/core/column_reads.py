"""What an input column of a model reads: request fields and features, whichever way it is computed."""

from leverframe.core.expressions.tree import Input
from leverframe.core.schema import InputColumn


def column_reads(column: InputColumn) -> tuple[Input, ...]:
    """Every request field and feature that ``column`` is computed from.

    >>> column_reads(InputColumn(name="gap", source="expression", sql="distance - origin_delays.mean_2h"))
    (Input(name='distance', view=''), Input(name='mean_2h', view='origin_delays'))
    """
    if column.source == "view":
        return (Input(column.feature, column.view),)
    if column.source != "expression":
        return (Input(column.field),)
    # sqlglot is loaded by those who have expressions to read, and by nobody else.
    from leverframe.core.expressions.reading import expression_inputs

    return expression_inputs(column.sql)


def column_fields(column: InputColumn) -> tuple[str, ...]:
    """The request fields among :func:`column_reads`."""
    return tuple(read.name for read in column_reads(column) if not read.view)


def column_features(column: InputColumn) -> tuple[Input, ...]:
    """The features among :func:`column_reads`."""
    return tuple(read for read in column_reads(column) if read.view)


def reads_feature(column: InputColumn, view: str, feature: str = "") -> bool:
    """Whether ``column`` reads ``feature`` of ``view``; without a feature, any of the view's.

    >>> reads_feature(InputColumn(name="wind", source="view", view="weather", feature="wind"), "weather")
    True
    """
    return any(read.view == view and feature in ("", read.name) for read in column_features(column))
