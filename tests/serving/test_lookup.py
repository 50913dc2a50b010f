"""One entity's features, read without arrays, are the features that are read with them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from leverframe.core.errors import Unavailable
from leverframe.core.schema import ViewBinding
from leverframe.features.online import online
from leverframe.features.online.online import EntityRows, OnlineRows, ViewMeta, entity_keys
from leverframe.features.online.online_lmdb import LmdbOnlineStore
from leverframe.serving.features.lookup import NEVER_US, Lookup

STEADY = ViewBinding(view="steady", view_version="1", entity_fields=("origin",), features=("a", "b"))
FADING = ViewBinding(view="fading", view_version="1", entity_fields=("origin", "number"), features=("c",), ttl_us=100)
WIDER = ViewBinding(view="steady", view_version="1", entity_fields=("origin",), features=("a", "b", "c"))
NONE: frozenset[str] = frozenset()
UNKNOWN = ViewBinding(view="unknown", view_version="1", entity_fields=("origin",), features=("d", "e"))


class OnlyArrays:
    """The store without its quick way."""

    def __init__(self, store: LmdbOnlineStore) -> None:
        self._store = store

    def read(self, binding: ViewBinding, keys: Sequence[bytes], now_us: int) -> OnlineRows:
        return self._store.read(binding, keys, now_us)


@pytest.fixture
def store(tmp_path: Path):
    made = LmdbOnlineStore(tmp_path / "online")
    moments = np.array([1000], dtype=np.int64)
    for binding, columns, values in (
        (STEADY, [["JFK"]], [[0.1, np.nan]]),
        (FADING, [["JFK"], [1]], [[-0.0]]),
    ):
        meta = ViewMeta(view=binding.view, view_version="1", features=binding.features, watermark_us=1)
        made.write(EntityRows(entity_keys(columns), moments, moments, np.array(values)), meta)
    yield made
    made.close()


@pytest.mark.parametrize("origin", ["JFK", "", "nowhere", None, "a\x1fb", "x" * 300])
@pytest.mark.parametrize("number", [1, 1.0, True, np.int64(1), 2])
@pytest.mark.parametrize("now_us", [1000, 1099, 1100, 5000])
@pytest.mark.parametrize("skip", [frozenset(), frozenset({"steady"})])
@pytest.mark.parametrize("last", [UNKNOWN, WIDER])
def test_one_row_equals_many(store, origin, number, now_us, skip, last):
    columns = {"origin": [origin], "number": [number]}
    bindings = (STEADY, FADING, UNKNOWN) if last is UNKNOWN else (FADING, WIDER)
    quick, general = Lookup(store, entity_keys), Lookup(OnlyArrays(store), entity_keys)
    for _ in range(2):  # the second time keys are remembered
        looked = quick.read_one(bindings, columns, now_us, skip)
        expected = general.read_one(bindings, columns, now_us, skip)
        assert looked.unreachable == expected.unreachable
        assert looked.ages_us == expected.ages_us
        assert looked.gaps.keys() == expected.gaps.keys()
        for view, gap in expected.gaps.items():
            for mine, theirs in zip(looked.gaps[view], gap, strict=True):
                assert np.array_equal(mine, theirs, equal_nan=True), view
        assert looked.values.keys() == expected.values.keys()
        for view, values in expected.values.items():
            assert np.array_equal(looked.values[view], values, equal_nan=True), view
    assert quick.newest_event_us == general.newest_event_us


def test_equal_values_of_other_types_are_other_entities(store):
    quick = Lookup(store, entity_keys)
    assert quick.read_one((FADING,), {"origin": ["JFK"], "number": [1]}, 1000, NONE).values["fading"] == (0.0,)
    assert quick.read_one((FADING,), {"origin": ["JFK"], "number": ["1"]}, 1000, NONE).values["fading"] == (0.0,)
    assert quick.read_one((FADING,), {"origin": ["JFK"], "number": [1.0]}, 1000, NONE).unreachable == ["fading"], "a float is no key"


def test_a_store_that_cannot_be_read_is_reported(tmp_path):
    lookup = Lookup(LmdbOnlineStore(tmp_path / "none", read_only=True), entity_keys)
    looked = lookup.read_one((STEADY,), {"origin": ["JFK"]}, 1000, NONE)
    assert looked.unreachable == ["steady"]
    assert np.isnan(looked.values["steady"]).all()
    with pytest.raises(Unavailable):
        LmdbOnlineStore(tmp_path / "none", read_only=True).reader([STEADY])([b"JFK"])


def test_the_age_is_of_the_oldest_row_by_event_time(store):
    later = np.array([4000], dtype=np.int64)
    meta = ViewMeta(view="steady", view_version="1", features=STEADY.features, watermark_us=1)
    store.write(EntityRows(entity_keys([["LGA"]]), later, later, np.array([[1.0, 2.0]])), meta)
    lookup = Lookup(store, entity_keys)
    looked = lookup.read((STEADY, UNKNOWN), {"origin": ["LGA", "JFK", "nowhere"]}, 3, 5_000, NONE)
    assert looked.ages_us == {"steady": 4000}, "JFK's row is older; what was never written has no age"
    assert lookup.newest_event_us == {"steady": 4000}


def test_the_event_time_of_no_row_is_the_stores(store):
    assert NEVER_US == online.NEVER_US
