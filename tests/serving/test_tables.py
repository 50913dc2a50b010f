"""Following the published table: old or new, never mixed; whatever is wrong leaves what is served."""

import time

import msgspec
import pytest
from tests.serving.installation import FLIGHT, PLAIN, Installation, bundle_files, table

from leverframe.core.digest import canonical_json
from leverframe.core.errors import Integrity
from leverframe.core.model import GOLDEN, MODEL_LIGHTGBM, MODEL_ONNX, SIGNATURE, Golden
from leverframe.core.route import Arm, Endpoint
from leverframe.governance.bundles import open_bundle
from leverframe.governance.signing import SigningKey, TrustStore
from leverframe.serving.engine.models import load_version
from leverframe.serving.routes import tables
from leverframe.serving.routes.tables import ROUTES_TYPE, TableFollower
from leverframe.serving.runtimes.onnx_scan import refuse_external_data
from leverframe.serving.telemetry.counts import Telemetry


@pytest.fixture
def installation(tmp_path) -> Installation:
    return Installation(tmp_path)


def follow(installation: Installation) -> TableFollower:
    def files(bundle, envelope):
        opened = open_bundle(installation.artifacts, TrustStore.from_folder(installation.home / "keys"), bundle, envelope)
        return {name: opened.read(name) for name in opened.names}

    return TableFollower(
        environment="prod", published=installation.publication, trust=lambda: TrustStore.from_folder(installation.home / "keys"),
        open_bundle=files, folder=installation.home / "gateway", telemetry=Telemetry(),
    )  # fmt: skip


def endpoint(*arms: Arm, **more) -> Endpoint:
    return Endpoint(name="m", arms=arms, **more)


def test_a_new_table_is_swapped_in_whole_and_kept(installation):
    follower = follow(installation)
    assert not follower.look()
    assert "no table" in follower.problem
    installation.publish(table(endpoint(installation.arm("m@v1", 1))))
    assert follower.look()
    first = follower.routes
    assert not follower.look(), "the same table was compiled again"
    assert follower.routes is first
    again = follow(installation)
    again.restore()
    assert again.routes.table == first.table
    assert again.source == "last-good copy"


def refused(follower: TableFollower, reason: str) -> None:
    before = follower.routes
    assert not follower.look()
    assert follower.routes is before, "a bad table changed what is served"
    assert reason in follower.problem


def test_p9_torn_unsigned_foreign_and_old_tables_change_nothing(installation):
    follower = follow(installation)
    arm = installation.arm("m@v1", 1)
    installation.publish(table(endpoint(arm), generation=5))
    assert follower.look()
    good = installation.publication.read("routes-prod")
    for cut in (0, 1, len(good) // 2, len(good) - 1):
        installation.publication.publish("routes-prod", good[:cut])
        refused(follower, "not a DSSE envelope")
    other = SigningKey.generate().sign(ROUTES_TYPE, canonical_json(table(endpoint(arm), generation=6)))
    installation.publication.publish("routes-prod", other)
    refused(follower, "no trusted signature")
    installation.publication.publish("routes-prod", installation.key.sign("text/plain", canonical_json(table(endpoint(arm), generation=6))))
    refused(follower, "signed as something else")
    installation.publish(table(endpoint(arm), generation=4))
    refused(follower, "old table")
    installation.publish(msgspec.structs.replace(table(endpoint(arm), generation=6), environment="stage"))
    refused(follower, "another environment")
    installation.publish(table(endpoint(installation.arm("m@v1", 1, weight=40.0)), generation=6))
    refused(follower, "sum to 100")
    assert follower._telemetry.swap_failures == 9
    installation.publish(table(endpoint(arm), generation=7))
    assert follower.look(), "negative control: a good newer table is taken"
    assert follower.problem == ""


def test_p9_a_restart_never_goes_back(installation):
    installation.publish(table(endpoint(installation.arm("m@v1", 1)), generation=5))
    assert follow(installation).look()
    installation.publish(table(endpoint(installation.arm("m@v1", 1)), generation=4))
    follower = follow(installation)
    follower.restore()
    refused(follower, "old table")
    assert follower.routes.generation == 5


def test_callers_may_change_within_a_generation(installation):
    follower = follow(installation)
    arm = endpoint(installation.arm("m@v1", 1))
    installation.publish(table(arm, callers=False, issued_at_us=10))
    assert follower.look()
    installation.publish(table(arm, callers=True, issued_at_us=11))
    assert follower.look()
    assert len(follower.routes.callers) == 1
    installation.publish(table(arm, callers=False, issued_at_us=10))
    refused(follower, "old table")


def test_a_bad_bundle_holds_up_its_own_endpoint_and_no_other(installation):
    follower = follow(installation)
    good, other = installation.arm("m@v1", 1), installation.arm("n@v1", 1)
    installation.publish(table(endpoint(good), Endpoint(name="n", arms=(other,))))
    assert follower.look()
    before = follower.routes.endpoints
    gone = msgspec.structs.replace(good, version="m@v2", bundle="sha256:" + "0" * 64, role="canary", weight=0.0)
    swapped = msgspec.structs.replace(good, version="m@v2", envelope=installation.arm("m@v3", 3).envelope, role="canary", weight=0.0)
    for generation, bad, reason in ((2, gone, "gone"), (3, swapped, "about another bundle")):
        moved = Endpoint(name="n", arms=(other,), killed=generation == 2)
        installation.publish(table(endpoint(good, bad), moved, generation=generation))
        assert follower.look(), "the endpoint whose bundles are good was held up"
        assert follower.routes.endpoints["n"].record.killed == (generation == 2)
        assert follower.routes.endpoints["m"] is before["m"], "the endpoint with a bad bundle changed"
        assert reason in follower.problem
        assert "endpoint m" in follower.problem
        assert not follower.look()
    again = follow(installation)
    again.restore()
    assert again.routes.table.generation == 1, "a table that cannot be served whole is nothing to restart from"
    assert again.look()
    assert again.routes.endpoints["m"].live.version == "m@v1"


def test_a_bundle_that_comes_later_is_taken_without_a_new_table(installation, monkeypatch):
    monkeypatch.setattr(tables, "RETRY_S", 0.0)
    follower = follow(installation)
    one, two = installation.arm("m@v1", 1), installation.arm("m@v2", 2)
    installation.publish(table(endpoint(one)))
    assert follower.look()
    path = installation.home / "artifacts"
    away = path.rename(installation.home / "away")
    installation.publish(table(endpoint(two), generation=2))
    assert follower.look()
    assert follower.routes.endpoints["m"].live.version == "m@v1"
    assert not follower.look()
    away.rename(path)
    assert follower.look()
    assert follower.routes.endpoints["m"].live.version == "m@v2"
    assert follower.problem == ""


@pytest.mark.parametrize("backs_off", [True, False])
def test_a_bundle_that_fails_its_golden_rows_is_loaded_ever_more_seldom(installation, monkeypatch, backs_off):
    monkeypatch.setattr(tables, "RETRY_S", 0.01)
    monkeypatch.setattr(tables, "RETRY_S_MAX", 60.0 if backs_off else 0.01)
    tried = []

    def counted(*arguments):
        tried.append(time.monotonic())
        return load_version(*arguments)

    monkeypatch.setattr(tables, "load_version", counted)
    follower = follow(installation)
    files = dict(bundle_files(PLAIN, 1))
    golden = msgspec.json.decode(files[GOLDEN], type=Golden)
    files[GOLDEN] = msgspec.json.encode(msgspec.structs.replace(golden, expected=tuple((7.0,) for _ in golden.rows)))
    installation.publish(table(endpoint(installation.bundle(files)), Endpoint(name="n", arms=(installation.arm("n@v1", 1),))))
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        follower.look()
        assert "golden" in follower.problem
        assert "n" in follower.routes.endpoints
        time.sleep(0.002)
    assert (len(tried) <= 1 + 8) == backs_off, len(tried)  # the other endpoint's once, and 0 + 10 + 20 + ... + 640 ms


def test_a_table_of_which_nothing_can_be_served_changes_nothing(installation):
    follower = follow(installation)
    gone = msgspec.structs.replace(installation.arm("m@v1", 1), bundle="sha256:" + "0" * 64)
    installation.publish(table(endpoint(gone)))
    assert not follower.look()
    assert follower.routes is None


def test_versions_are_loaded_once_and_retired_ones_stay_for_a_rollback(installation):
    follower = follow(installation)
    one, two = installation.arm("m@v1", 1), installation.arm("m@v2", 2)
    for generation, arm in enumerate([one, two, one, two], 1):
        installation.publish(table(endpoint(arm), generation=generation))
        assert follower.look()
    first = follower.routes.endpoints["m"].live.model
    installation.publish(table(endpoint(two), generation=9))
    follower.look()
    assert follower.routes.endpoints["m"].live.model is first, "a version that is loaded was loaded again"
    assert len(follower._loaded) == 2


# ---- bundles (P30) ----------------------------------------------------------------------------------------------------------------------


def load(files):
    return load_version("m", Arm(version="m@v1", bundle="b", envelope="e", role="live", weight=100.0), files)


def test_a_bundle_with_other_than_data_is_refused_unopened(tmp_path):
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self):
            return (open, (str(canary), "w"))

    import pickle

    for name in ("model.pkl", "model.joblib", "model.pt", "model.so", "hook.py", "archive.zip"):
        with pytest.raises(Integrity, match="data only"):
            load({**bundle_files(PLAIN, 1), name: pickle.dumps(Evil())})
    for name in (MODEL_ONNX, MODEL_LIGHTGBM, SIGNATURE, GOLDEN):
        with pytest.raises(Integrity):
            load({**bundle_files(PLAIN, 1), name: pickle.dumps(Evil())})
    assert not canary.exists(), "code ran from data"
    pickle.loads(pickle.dumps(Evil()))
    assert canary.exists(), "negative control: unpickling does run it"


def external_model(location: str) -> bytes:
    import onnx
    from onnx import TensorProto, helper

    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 1], data_location=TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value=location)
    node = helper.make_node("MatMul", ["input", "w"], ["probability"])
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])], [weights],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString() if onnx else b""


def test_a_model_that_names_other_files_is_refused_before_the_engine_sees_it():
    for location in ("/etc/passwd", "../../secret", "weights.bin"):
        with pytest.raises(Integrity, match="other files"):
            load({**bundle_files(PLAIN, 1), MODEL_ONNX: external_model(location)})
    refuse_external_data(bundle_files(PLAIN, 1)[MODEL_ONNX])


@pytest.mark.parametrize("data", [b"", b"\xff" * 100, b"\x3a\xff\xff\xff\xff\x0f", b"not protobuf at all", b"\x3a\x00" * 3])
def test_what_is_no_model_is_refused(data):
    with pytest.raises(Integrity):
        load({**bundle_files(PLAIN, 1), MODEL_ONNX: data})


def test_golden_rows_decide():
    files = bundle_files(PLAIN, 1)
    assert load(files).runtimes == ("trees", "lightgbm", "onnx")
    golden = msgspec.json.decode(files[GOLDEN], type=Golden)
    wrong = msgspec.structs.replace(golden, expected=((golden.expected[0][0] + 1e-6,), *golden.expected[1:]))
    with pytest.raises(Integrity, match="golden answers"):
        load({**files, GOLDEN: msgspec.json.encode(wrong)})
    with pytest.raises(Integrity, match="golden answers"):
        load({**files, MODEL_LIGHTGBM: bundle_files(PLAIN, 2)[MODEL_LIGHTGBM]})
    with pytest.raises(Integrity, match="fit"):
        load({**files, MODEL_ONNX: bundle_files(FLIGHT, 1)[MODEL_ONNX]})
    with pytest.raises(Integrity, match="not complete"):
        load({name: data for name, data in files.items() if name != GOLDEN})
