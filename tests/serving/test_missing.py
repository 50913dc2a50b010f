"""What a model declares for missing, stale and unreachable values is what it is fed, the same for one row and for many."""

from itertools import product

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.installation import PLAIN

from leverframe.core.assemble import assemble
from leverframe.core.errors import Refused, Unavailable
from leverframe.core.schema import InputColumn, RequestField, Signature, ViewBinding
from leverframe.features.online.online import EntityRows, ViewMeta, entity_keys
from leverframe.features.online.online_memory import MemoryOnlineStore
from leverframe.serving.engine.models import _without_defaults
from leverframe.serving.features.lookup import Lookup
from leverframe.serving.features.missing import missing_policy
from leverframe.serving.protocol.row import RowPlan
from leverframe.training.spec_check import _column_faults

NAN = float("nan")
TTL, GRACE = 100, 50
NONE: frozenset[str] = frozenset()


class Flaky(MemoryOnlineStore):
    """A store that an outage can befall."""

    down = False

    def read(self, binding, keys, now_us):
        if self.down:
            raise Unavailable("down", where="test")
        return super().read(binding, keys, now_us)


def signature(on_missing: str, on_stale: str, on_unreachable: str) -> Signature:
    column = InputColumn(
        name="a", source="view", view="v", feature="a", on_missing=on_missing, on_stale=on_stale, on_unreachable=on_unreachable,
        default=-7.0 if "default" in (on_missing, on_stale, on_unreachable) else None,
        grace_us=GRACE if "degrade" in (on_stale, on_unreachable) else 0,
    )  # fmt: skip
    return Signature(
        request=(RequestField(name="k", datatype="BYTES", entity=True),),
        columns=(column, InputColumn(name="b", source="view", view="v", feature="b")),
        views=(ViewBinding(view="v", view_version="1", entity_fields=("k",), features=("a", "b"), ttl_us=TTL),),
    )


def store_with(**rows: tuple[int, float]) -> Flaky:
    """Entity to (event time, a); b is a + 1."""
    made = Flaky()
    times = np.array([at for at, _ in rows.values()], dtype=np.int64)
    values = np.array([[a, a + 1] for _, a in rows.values()])
    made.write(
        EntityRows(entity_keys([list(rows)]), times, times, values),
        ViewMeta(view="v", view_version="1", features=("a", "b"), watermark_us=0),
    )
    return made


def ask_many(lookup: Lookup, of: Signature, keys: list[str], now_us: int):
    policy = missing_policy(of, ())
    looked = lookup.read(of.views, {"k": keys}, len(keys), now_us, NONE, policy.remember)
    return policy.apply(assemble(_without_defaults(of), {"k": keys}, looked.values, len(keys)), looked.gaps)


def ask_one(lookup: Lookup, of: Signature, key: str, now_us: int):
    policy = missing_policy(of, ())
    looked = lookup.read_one(of.views, {"k": [key]}, now_us, NONE, policy.remember)
    return policy.apply_row(RowPlan(of).row({"k": key}, looked.values), looked.gaps)


POLICIES = list(
    product(["nan", "default", "refuse"], ["", "nan", "default", "refuse", "degrade"], ["", "nan", "default", "refuse", "degrade"])
)


@pytest.mark.parametrize(("on_missing", "on_stale", "on_unreachable"), POLICIES)
def test_each_state_gets_its_declared_policy(on_missing, on_stale, on_unreachable):
    of = signature(on_missing, on_stale, on_unreachable)
    store = store_with(E=(1000, 5.0))
    lookup = Lookup(store, entity_keys)

    def fed(key: str, now_us: int):
        try:
            row, lacking = ask_one(lookup, of, key, now_us)
        except Refused:
            return "refused"
        return row[0], tuple(lacking.missing), tuple(lacking.stale), tuple(lacking.degraded)

    def expected(policy: str, missing: tuple, stale: tuple, degraded: bool):
        if policy == "refuse":
            return "refused"
        return {"nan": NAN, "default": -7.0, "degrade": 5.0}[policy], missing, stale, ("a",) if degraded else ()

    def same(found, wanted) -> None:
        assert str(found) == str(wanted)  # NaN is like itself here

    assert fed("E", 1050)[0] == 5.0
    same(fed("nobody", 1050), expected(on_missing, ("a", "b"), (), False))
    stale = on_stale or on_missing
    same(fed("E", 1120), expected(stale, ("a", "b"), ("a", "b"), stale == "degrade"))
    # Beyond the grace there is nothing left to degrade to.
    stale = on_missing if on_stale == "degrade" else stale
    same(fed("E", 1151), expected(stale, ("a", "b"), ("a", "b"), False))
    store.down = True
    lookup.newest_event_us.clear()
    lost = on_unreachable or on_missing
    remembered_at = 1151
    same(fed("nobody", remembered_at), expected(on_missing if lost == "degrade" else lost, ("a", "b"), (), False))
    lost = on_missing if lost == "degrade" else lost
    same(fed("E", remembered_at), expected(lost, ("a", "b"), (), False))


def test_an_unreachable_store_degrades_to_what_was_seen_last_within_the_grace():
    of = signature("nan", "", "degrade")
    store = store_with(E=(1000, 5.0), F=(1000, 6.0))
    lookup = Lookup(store, entity_keys)
    ask_one(lookup, of, "E", 1050)
    ask_many(lookup, of, ["F", "nobody"], 1060)
    store.down = True
    matrix, lacking = ask_many(lookup, of, ["E", "F", "nobody"], 1100)
    assert np.array_equal(matrix[:, 0], [5.0, 6.0, NAN], equal_nan=True)
    assert (lacking.count, lacking.missing, lacking.stale, lacking.degraded) == (6, ("a", "b"), (), ("a",))
    assert ask_one(lookup, of, "E", 1100)[0][0] == 5.0
    assert np.isnan(ask_one(lookup, of, "E", 1101)[0][0]), "read 51 us ago, and the grace is 50"
    assert ask_one(lookup, of, "F", 1110)[0][0] == 6.0
    store.down = False
    assert ask_one(lookup, of, "E", 1090)[1].count == 0, "it was still marked after the store came back"
    store.drop("v", "1")
    ask_one(lookup, of, "E", 1095)
    store.down = True
    assert np.isnan(ask_one(lookup, of, "E", 1096)[0][0]), "an entity that is known to be gone came back"


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(POLICIES),
    st.lists(st.sampled_from(["E", "F", "G", "nobody", ""]), min_size=1, max_size=5),
    st.dictionaries(st.sampled_from(["E", "F", "G"]), st.tuples(st.integers(900, 1000), st.sampled_from([1.5, NAN, -0.0])), min_size=1),
    st.integers(1000, 1200),
    st.booleans(),
)
def test_many_rows_are_each_row_alone(policy, keys, rows, now_us, down):
    of = signature(*policy)
    store = store_with(**rows)
    many, alone = Lookup(store, entity_keys), Lookup(store, entity_keys)
    for lookup in (many, alone):
        lookup.read(of.views, {"k": list(rows)}, len(rows), 1000, NONE, missing_policy(of, ()).remember)
    store.down = down
    each = []
    for key in keys:
        try:
            each.append(ask_one(alone, of, key, now_us))
        except Refused:
            each.append(None)
    if None in each:
        with pytest.raises(Refused):
            ask_many(many, of, keys, now_us)
        return
    matrix, lacking = ask_many(many, of, keys, now_us)
    assert matrix.tobytes() == np.array([row for row, _ in each]).tobytes() or np.array_equal(
        matrix, [row for row, _ in each], equal_nan=True
    )
    assert lacking.count == sum(one.count for _, one in each)
    for names in ("missing", "stale", "degraded"):
        assert set(getattr(lacking, names)) == {name for _, one in each for name in getattr(one, names)}, names


def test_records_of_before_mean_what_they_meant():
    packed = msgspec.json.encode({"name": "a", "source": "view", "view": "v", "feature": "a", "on_missing": "refuse"})
    column = msgspec.json.decode(packed, type=InputColumn)
    assert (column.on_stale, column.on_unreachable, column.grace_us) == ("", "", 0)
    assert missing_policy(PLAIN, ()).remember == NONE


def test_a_spec_must_say_what_its_policies_need():
    def faults(**given) -> list[str]:
        column = InputColumn(**{"name": "a", "source": "view", "view": "v", "feature": "a", **given})
        return [fault.what for fault in _column_faults(column, {"k": RequestField(name="k", datatype="BYTES")})]

    assert faults(on_stale="default", default=1.0) == []
    assert faults(on_stale="degrade", grace_us=1) == []
    assert faults(on_stale="default") == ["`default` goes with on_missing = default (or on_stale, on_unreachable)"]
    assert faults(on_unreachable="degrade") == ["`grace_us` goes with on_stale or on_unreachable = degrade"]
    assert faults(grace_us=5) == ["`grace_us` goes with on_stale or on_unreachable = degrade"]
    assert faults(source="request", field="k", on_stale="nan") == ["only a looked-up feature can be stale or unreachable"]
