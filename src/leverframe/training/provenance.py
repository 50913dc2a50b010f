"""Who made this model version, from what: an in-toto statement with the SLSA provenance predicate.

Source: in-toto Attestation Framework, Statement v1; SLSA v1.0, Build Provenance.
"""

from collections.abc import Mapping

from leverframe.core.clock import iso_from_us
from leverframe.core.digest import Digest, canonical_json, digest_bytes
from leverframe.core.model import Lineage

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://leverframe.dev/training-pipeline/v1"
BUILDER = "https://leverframe.dev/worker/v1"


def provenance_statement(model: str, files: Mapping[str, bytes], lineage: Lineage, *, started_at_us: int, finished_at_us: int) -> bytes:
    """The statement as canonical JSON: each bundle file is a subject, each input a resolved dependency.

    Parameters
    ----------
    files: bundle file name to content, without the statement itself.    started_at_us, finished_at_us: microseconds UTC.
    """
    dependencies = [
        {"name": "code", "uri": f"git+commit:{lineage.code_commit}", "digest": _sha256(lineage.code_digest)},
        {"name": "training-set", "digest": _sha256(lineage.training_set)},
        {"name": "environment", "digest": _sha256(lineage.environment_digest)},
        *({"name": f"snapshot/{name}", "digest": _sha256(digest)} for name, digest in sorted(lineage.snapshots.items())),
        *({"name": f"feature-view/{name}", "digest": _sha256(digest)} for name, digest in sorted(lineage.feature_views.items())),
    ]
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": _sha256(digest_bytes(data))} for name, data in sorted(files.items())],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "model": model,
                    "dataset": lineage.dataset,
                    "window": list(lineage.window),
                    "params": lineage.params,
                },
                "internalParameters": {"seed": lineage.seed},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {"id": BUILDER},
                "metadata": {
                    "invocationId": lineage.run_id,
                    "startedOn": iso_from_us(started_at_us),
                    "finishedOn": iso_from_us(finished_at_us),
                },
            },
        },
    }
    return canonical_json(statement)


def _sha256(digest: Digest) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}
