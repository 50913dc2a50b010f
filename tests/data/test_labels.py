"""Only labels known by the moment of asking exist."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.core.errors import SchemaMismatch
from leverframe.data.labels import known_labels

SCHEMA = {"id": pl.String, "label": pl.Float64, "known_at_us": pl.Int64}
ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([None, 0.0, 1.0]), st.one_of(st.none(), st.integers(0, 6))), min_size=0, max_size=12
)


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, at_us=st.integers(0, 6), seed=st.randoms())
def test_known_labels_equal_a_plain_replay(rows: list[tuple[str, float | None, int | None]], at_us: int, seed: Any) -> None:
    held: dict[str, tuple[int, float]] = {}
    distinct: dict[str, set[float]] = {}
    repeated = 0
    for id, label, known_at in rows:
        if label is None or known_at is None or known_at > at_us:
            continue
        said = distinct.setdefault(id, set())
        repeated += label in said
        said.add(label)
        held[id] = max(held.get(id, (known_at, label)), (known_at, label))
    shuffled = list(rows)
    seed.shuffle(shuffled)
    known = known_labels(pl.DataFrame(shuffled, schema=SCHEMA, orient="row"), at_us)
    assert known.rows.rows() == [(id, label, moment) for id, (moment, label) in sorted(held.items())]
    assert known.waiting == len({id for id, _, _ in rows}) - len(held)
    assert known.repeated == repeated
    assert known.contradicted == sum(len(said) > 1 for said in distinct.values())


def test_a_cancelled_flight_waits_for_ever() -> None:
    known = known_labels(pl.DataFrame({"id": ["a"], "label": [None], "known_at_us": [None]}, schema=SCHEMA), 10**18)
    assert (known.rows.height, known.waiting) == (0, 1)


def test_absent_columns_are_all_named() -> None:
    with pytest.raises(SchemaMismatch) as refused:
        known_labels(pl.DataFrame({"id": ["a"]}), 0)
    assert {fault.where for fault in refused.value.faults} == {"label", "known_at_us"}
