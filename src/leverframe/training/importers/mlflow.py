"""An MLflow model folder, read without running anything of it: ``MLmodel`` by the safe YAML loader, the example as JSON, files as bytes.

What :mod:`.flavours` knows as data becomes a model of the gateway's own process. Everything else stays a pyfunc, which only an isolated
child ever opens. Source: MLflow documentation, "MLflow Models" (storage format, signature, input example).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from leverframe.core.digest import Digest, canonical_json, digest_bytes
from leverframe.core.errors import InvalidInput, LimitExceeded, NotFound
from leverframe.core.model import PYFUNC, IsolatedColumn, IsolatedRuntime
from leverframe.core.schema import DataType, InputColumn, OutputField, RequestField, Signature
from leverframe.training.importers.flavours import DataModel, data_model

Floats = NDArray[np.float64]

FILES_MAX = 200
"""A folder with more files is refused: a bundle has room for little more."""
BYTES_MAX = 1024**3
"""A larger folder is refused."""
COLUMNS_MAX = 2_000
"""A signature with more columns is refused."""
EXAMPLE_ROWS_MAX = 64
"""Only so many rows of the example become golden rows."""
_TYPES: dict[str, tuple[DataType, str]] = {
    "double": ("FP64", "float64"),
    "float": ("FP32", "float32"),
    "long": ("INT64", "int64"),
    "integer": ("INT32", "int32"),
    "boolean": ("BOOL", "bool"),
    "string": ("BYTES", "text"),
}
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9][A-Za-z0-9.!+_-]*")


@dataclass(frozen=True)
class MlflowModel:
    """What a folder says about its model.

    ``signature`` has one output of unknown width (1).    ``example``: rows ``[n, columns]``, text as its position among the categories.
    ``data``: the model itself, when it is data.    ``requirements``: lines ``name==version``.
    """

    files: Mapping[str, bytes]
    digest: Digest
    signature: Signature
    runtime: IsolatedRuntime
    example: Floats
    data: DataModel | None
    requirements: tuple[str, ...]
    made_by: str

    def pyfunc_files(self) -> dict[str, bytes]:
        """The folder's files by their names in a bundle."""
        return {f"{PYFUNC}{name}": content for name, content in self.files.items()}


def read_mlflow(folder: Path) -> MlflowModel:
    """The model in ``folder``.

    Raises
    ------
    NotFound: it is no MLflow model.    InvalidInput: its signature, example or requirements are missing or cannot be used.
    LimitExceeded: too many files, or too large.
    """
    files = _read_folder(folder)
    if "MLmodel" not in files:
        raise NotFound("not an MLflow model", where=folder.name, expected="a file MLmodel", next_step="name the folder that holds MLmodel")
    about = _about(files["MLmodel"])
    flavors = about["flavors"]
    pyfunc = flavors.get("python_function")
    if not isinstance(pyfunc, dict):
        raise InvalidInput(
            "the model has no python_function flavour", where="MLmodel", expected="python_function", got=", ".join(flavors)[:100]
        )
    columns = _columns(about)
    table = _example(files, about, [str(column["name"]) for column in columns])
    fields, inputs, isolated, matrix = [], [], [], np.empty((len(table), len(columns)))
    for place, column in enumerate(columns):
        name = str(column["name"])
        datatype, kind = _TYPES[column["type"]]
        values = [row[place] for row in table]
        categories = tuple(sorted({str(value) for value in values if value is not None})) if kind == "text" else ()
        matrix[:, place] = [_number(value, categories, name) for value in values]
        required = bool(column.get("required", True))
        example = next((value for value in values if value is not None), None)
        fields.append(RequestField(name=name, datatype=datatype, required=required, example=example))
        inputs.append(InputColumn(name=name, source="request", field=name, categories=categories))
        isolated.append(IsolatedColumn(name=name, kind=kind, categories=categories))  # type: ignore[arg-type]
    return MlflowModel(
        files=files,
        digest=digest_bytes(canonical_json({name: digest_bytes(content) for name, content in files.items()})),
        signature=Signature(request=tuple(fields), columns=tuple(inputs), outputs=(OutputField(name="prediction"),)),
        runtime=IsolatedRuntime(columns=tuple(isolated), python=_python(str(pyfunc.get("python_version", "")))),
        example=matrix,
        data=None if any(column.kind == "text" for column in isolated) else data_model(files, flavors, [column.name for column in inputs]),
        requirements=_requirements(files),
        made_by=f"mlflow {str(about.get('mlflow_version', ''))[:40]}".strip(),
    )


def _read_folder(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    total = 0
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise InvalidInput("a link in the model folder", where=str(path.relative_to(folder))[:120], expected="files and folders only")
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        total += path.stat().st_size
        if len(found) >= FILES_MAX or total > BYTES_MAX:
            raise LimitExceeded("the model folder is too large", where=folder.name, expected=f"{FILES_MAX} files, {BYTES_MAX} bytes in all")
        found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def _about(text: bytes) -> dict[str, Any]:
    try:
        about = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput("MLmodel cannot be read as plain YAML", where="MLmodel", got=type(error).__name__) from error
    if not isinstance(about, dict) or not isinstance(about.get("flavors"), dict):
        raise InvalidInput("MLmodel names no flavours", where="MLmodel", expected="flavors")
    return about


def _columns(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Input columns of the signature."""
    try:
        columns = json.loads(about["signature"]["inputs"])
        usable = isinstance(columns, list) and all(isinstance(c, dict) and c.get("name") and c.get("type") in _TYPES for c in columns)
    except (KeyError, TypeError, ValueError):
        usable, columns = False, []
    if not usable or not 0 < len(columns) <= COLUMNS_MAX:
        raise InvalidInput(
            "the model has no signature of named columns",
            where="MLmodel",
            expected=f"1 to {COLUMNS_MAX} columns of {', '.join(_TYPES)}",
            next_step="log the model again with signature=infer_signature(a DataFrame, its predictions)",
        )
    return list(columns)


def _example(files: Mapping[str, bytes], about: Mapping[str, Any], names: list[str]) -> list[list[Any]]:
    """Rows of the saved input example, columns in the order of ``names``."""
    said = about.get("saved_input_example_info") or {}
    try:
        saved = json.loads(files[str(said["artifact_path"])])
        places = [saved["columns"].index(name) for name in names]
        rows = [[row[place] for place in places] for row in saved["data"][:EXAMPLE_ROWS_MAX]]
    except (KeyError, TypeError, ValueError, IndexError):
        rows = []
    if not rows:
        raise InvalidInput(
            "the model has no input example to try it with",
            where="MLmodel",
            expected="a saved example with every column of the signature",
            next_step="log the model again with input_example=a few rows of a DataFrame",
        )
    return rows


def _number(value: Any, categories: tuple[str, ...], name: str) -> float:
    if value is None:
        return float("nan")
    if categories:
        return float(categories.index(str(value)))
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput("the input example does not fit the signature", where=name[:100], expected="numbers") from error


def _python(version: str) -> str:
    parts = version.split(".")
    return ".".join(parts[:2]) if len(parts) >= 2 and all(part.isdigit() for part in parts[:2]) else ""


def _requirements(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Lines of ``requirements.txt``; options, URLs, paths and ranges are refused."""
    lines = [line.split("#", 1)[0].strip() for line in files.get("requirements.txt", b"").decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line]
    wrong = next((line for line in lines if not _PINNED.fullmatch(line)), None)
    if wrong is not None or not lines:
        raise InvalidInput(
            "the model's requirements are not pinned",
            where="requirements.txt",
            expected="lines name==version",
            got=(wrong or "nothing")[:120],
            next_step="pin every line of requirements.txt, without options and addresses",
        )
    return tuple(lines)
