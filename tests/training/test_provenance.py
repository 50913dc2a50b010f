import json

from leverframe.core.digest import digest_bytes
from leverframe.core.model import Lineage
from leverframe.training.bill_of_materials import bill_of_materials
from leverframe.training.environment import environment_changes, environment_lock, packages_of
from leverframe.training.lineage import recipe_digest, source_digests
from leverframe.training.provenance import provenance_statement

D = {c: "sha256:" + c * 64 for c in "abcdef"}
LINEAGE = Lineage(
    run_id="r1", code_commit="c0ffee", code_digest=D["a"], dataset="flights", snapshots={"flights": D["b"]}, training_set=D["c"],
    feature_views={"delays": D["d"]}, params={"num_leaves": 7}, environment_digest=D["e"], seed=3, rows_fit=2, rows_holdout=1,
    window=("x", "y"),
)  # fmt: skip


def test_the_statement_names_every_file_and_every_input():
    data = provenance_statement("m", {"b": b"2", "a": b"1"}, LINEAGE, started_at_us=0, finished_at_us=2_000_000)
    assert data == provenance_statement("m", {"a": b"1", "b": b"2"}, LINEAGE, started_at_us=0, finished_at_us=2_000_000)
    statement = json.loads(data)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert {s["name"]: "sha256:" + s["digest"]["sha256"] for s in statement["subject"]} == {
        "a": digest_bytes(b"1"),
        "b": digest_bytes(b"2"),
    }
    definition, details = statement["predicate"]["buildDefinition"], statement["predicate"]["runDetails"]
    assert {d["name"]: d["digest"]["sha256"][0] for d in definition["resolvedDependencies"]} == {
        "code": "a", "training-set": "c", "environment": "e", "snapshot/flights": "b", "feature-view/delays": "d",
    }  # fmt: skip
    assert definition["externalParameters"]["params"] == {"num_leaves": 7}
    assert definition["internalParameters"] == {"seed": 3}
    assert details["metadata"] == {"invocationId": "r1", "startedOn": "1970-01-01T00:00:00Z", "finishedOn": "1970-01-01T00:00:02Z"}


def test_the_bill_lists_every_package_and_repeats_to_the_byte():
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    lock = environment_lock()
    data = bill_of_materials("m", b"model", lock, created_at_us=0)
    assert data == bill_of_materials("m", b"model", lock, created_at_us=0), "serial number or time is not from the content"
    assert data != bill_of_materials("m", b"other", lock, created_at_us=0)
    bill = json.loads(data)
    assert bill["specVersion"] == "1.6"
    assert {(c["name"], c["version"]) for c in bill["components"]} == set(packages_of(lock))
    subject = bill["metadata"]["component"]
    assert (subject["type"], subject["name"]) == ("machine-learning-model", "m")
    assert subject["hashes"] == [{"alg": "SHA-256", "content": digest_bytes(b"model").removeprefix("sha256:")}]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None, "not a valid CycloneDX document"


def test_the_environment_is_what_is_installed():
    from importlib.metadata import version

    packages = dict(packages_of(environment_lock()))
    assert packages["numpy"] == version("numpy")
    assert packages["lightgbm"] == version("lightgbm")
    assert list(packages) == sorted(packages)
    assert environment_changes(environment_lock(), environment_lock()) == ()
    assert environment_changes("# python 3.11\na==1\n", "# python 3.12\n") == ("# python 3.11 -> # python 3.12", "a removed (1)")


def test_the_recipe_is_the_spec_and_the_code(spec):
    import msgspec

    sources = source_digests()
    assert {"leverframe.core.assemble", "leverframe.training.export", "leverframe.training.trainers.lightgbm"} <= sources.keys()
    assert not any("__pycache__" in name for name in sources)
    assert recipe_digest(spec) == recipe_digest(spec)
    assert recipe_digest(spec) != recipe_digest(msgspec.structs.replace(spec, label="other"))
