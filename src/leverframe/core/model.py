"""A model version: the spec a team writes, the bundle the platform makes of it, and the candidate's record in the registry."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from leverframe.core.descent import MadeFrom
from leverframe.core.digest import Digest
from leverframe.core.errors import InvalidInput
from leverframe.core.schema import InputColumn, OutputField, RequestField, Signature
from leverframe.core.verdict import Answer, GateRule

# File names inside a bundle. Every one is data and none can carry code, but those under ``PYFUNC``: only an isolated child ever opens them.
MODEL_ONNX = "model.onnx"
MODEL_LIGHTGBM = "model.lightgbm.txt"
MODEL_XGBOOST_UBJ = "model.xgboost.ubj"
MODEL_XGBOOST_JSON = "model.xgboost.json"
SIGNATURE = "signature.json"
SPEC = "spec.json"
PROFILE = "profile.json"
GOLDEN = "golden.json"
LINEAGE = "lineage.json"
EVALUATION = "evaluation.json"
PROVENANCE = "provenance.intoto.json"
BILL_OF_MATERIALS = "bom.cdx.json"
ENVIRONMENT = "environment.txt"
CARD = "card.md"
ISOLATED = "isolated.json"
PYFUNC = "pyfunc/"

# The run id of a version that was not trained here.
IMPORTED = "imported"


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a team declares about a model; frozen into each bundle.

    ``dataset`` rows are the questions: they carry the request fields, ``asked_at`` (when the answer is needed), the label column and
    ``label_known_at`` (timestamps in microseconds, UTC). ``prepare`` maps a training column to a SQL expression evaluated on the
    training set just before fitting (team code, not replayed online: keep it empty unless serving does the same).
    ``service`` names a feature service whose features are input columns too (see ``core.feature_service``).
    ``door`` says what the serving door does with a request that breaks the dataset's contract: as the contract's severities say
    (``enforce``), answer and say so (``warn``), or nothing (``off``). ``risk_tier`` decides what a release needs. ``baseline`` names an
    input column whose value alone ranks the rows.
    """

    name: str
    description: str
    owner: str
    team: str
    runbook: str
    dataset: str
    label: str
    request: tuple[RequestField, ...]
    columns: tuple[InputColumn, ...] = ()
    service: str = ""
    asked_at: str = "asked_at"
    label_known_at: str = "label_known_at"
    outputs: tuple[OutputField, ...] = (OutputField(name="probability", description="probability of the label"),)
    door: Literal["enforce", "warn", "off"] = "enforce"
    risk_tier: Literal["low", "high"] = "low"
    trainer: Literal["lightgbm"] = "lightgbm"
    params: dict[str, Any] = {}
    prepare: dict[str, str] = {}
    gates: tuple[GateRule, ...] = ()
    slices: tuple[str, ...] = ()
    baseline: str = ""
    intended_use: str = ""
    limitations: str = ""


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """Input rows (columns in signature order, null for missing) with the outputs the trained model gave, and the tolerance."""

    columns: tuple[str, ...]
    rows: tuple[tuple[float | None, ...], ...]
    expected: tuple[tuple[float, ...], ...]
    tolerance: float


class IsolatedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One column of the table a pyfunc is given. Of ``text`` the matrix holds positions in ``categories``; -1 and NaN mean missing."""

    name: str
    kind: Literal["float64", "float32", "int64", "int32", "bool", "text"] = "float64"
    categories: tuple[str, ...] = ()


class IsolatedRuntime(msgspec.Struct, frozen=True, kw_only=True):
    """The record ``isolated.json``: this bundle's model runs in a process of its own, and how.

    ``requirements`` are lines ``name==version --hash=sha256:…``, nothing else is installed; empty: the gateway's own Python.
    ``loader`` is ``mlflow`` or ``module``: ``_load_pyfunc(data)`` of ``module`` in folder ``code``, both under ``pyfunc/``.
    ``frame`` is what ``predict`` takes: a pandas DataFrame, or a dict of column arrays. ``column`` of its answer is the score; -1: all are.
    """

    columns: tuple[IsolatedColumn, ...]
    python: str = ""
    requirements: tuple[str, ...] = ()
    loader: Literal["mlflow", "module"] = "mlflow"
    module: str = ""
    data: str = ""
    code: str = ""
    frame: Literal["pandas", "columns"] = "pandas"
    column: int = -1


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """run = code + data + feature versions + parameters + environment + seed; ``holdout_share`` and ``embargo_us`` say how it was split.

    ``made_from`` are the versions it was made from (unset: none is known).
    """

    run_id: str
    code_commit: str
    code_digest: Digest
    dataset: str
    snapshots: dict[str, Digest]
    training_set: Digest
    feature_views: dict[str, Digest]
    params: dict[str, Any]
    environment_digest: Digest
    seed: int
    rows_fit: int
    rows_holdout: int
    window: tuple[str, str]
    holdout_share: float = 0.15
    embargo_us: int = 86_400_000_000
    made_from: tuple[MadeFrom, ...] | UnsetType = UNSET


class BundleFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a bundle: its digest and size in bytes."""

    digest: Digest
    size: int


class BundleManifest(msgspec.Struct, frozen=True, kw_only=True):
    """The tree of a bundle. The digest of this record's canonical JSON *is* the model version's identity."""

    model: str
    files: dict[str, BundleFile]
    created_at_us: int
    format: str = "leverframe.bundle/1"


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A registered candidate. ``bundle`` is the manifest's digest; ``envelope`` names the signed envelope over it.

    ``made_from`` is what its bundle's lineage says (unset, and then not written: it was made from no other version).
    """

    model: str
    number: int
    bundle: Digest
    envelope: Digest
    run_id: str
    created_by: str
    created_at_us: int
    risk_tier: str
    gates: Answer
    metrics: dict[str, float] = {}
    roc_auc_low: float | None = None
    roc_auc_high: float | None = None
    note: str = ""
    made_from: tuple[MadeFrom, ...] | UnsetType = UNSET

    @property
    def name(self) -> str:
        """``<model>@v<number>``."""
        return f"{self.model}@v{self.number}"


def version_id(model: str, number: int) -> str:
    """Id of a version's record; padded, so that ids order as numbers do.

    >>> version_id("flight-delay", 2)
    'flight-delay/000002'
    """
    return f"{model}/{number:06d}"


def version_id_of(name: str) -> str:
    """Id of the version called ``<model>@v<number>``.

    Raises
    ------
    InvalidInput: not such a name.

    >>> version_id_of("flight-delay@v2")
    'flight-delay/000002'
    """
    model, _, number = name.partition("@v")
    if not model or not number.isascii() or not number.isdigit():
        raise InvalidInput("not the name of a model version", where="version", expected="<model>@v<number>", got=name[:80])
    return version_id(model, int(number))


__all__ = [
    "BILL_OF_MATERIALS",
    "BundleFile",
    "BundleManifest",
    "CARD",
    "ENVIRONMENT",
    "EVALUATION",
    "GOLDEN",
    "Golden",
    "IMPORTED",
    "ISOLATED",
    "IsolatedColumn",
    "IsolatedRuntime",
    "LINEAGE",
    "Lineage",
    "MODEL_LIGHTGBM",
    "MODEL_ONNX",
    "MODEL_XGBOOST_JSON",
    "MODEL_XGBOOST_UBJ",
    "ModelSpec",
    "ModelVersion",
    "PROFILE",
    "PROVENANCE",
    "PYFUNC",
    "SIGNATURE",
    "SPEC",
    "Signature",
    "version_id",
    "version_id_of",
]
