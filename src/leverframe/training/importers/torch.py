"""What ``export_torch`` wrote, read as data: an ONNX graph, example rows and PyTorch's own answers. PyTorch is not needed here."""

import io
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from leverframe.core.digest import Digest, canonical_json, digest_bytes
from leverframe.core.errors import InvalidInput, LimitExceeded, NotFound
from leverframe.core.schema import InputColumn, OutputField, RequestField, Signature
from leverframe.training.export import check_self_contained
from leverframe.training.export_torch import ABOUT, ANSWERS, EXAMPLE, MODEL, ROWS_MAX

Floats = NDArray[np.float64]

BYTES_MAX = 1024**3
"""A larger file is refused."""
COLUMNS_MAX = 2_000
"""A module that takes more columns is refused."""
TOLERANCES = {"float32": 1e-5, "float64": 1e-10}
"""How far ONNX Runtime's answers may be from PyTorch's, in units of the largest answer or of 1 when that is larger.

Both engines add in an order of their own: in float32 6e-8 was measured for small networks, in float64 1e-16.
"""


class _Output(msgspec.Struct, frozen=True):
    name: str
    width: int


class _About(msgspec.Struct, frozen=True):
    columns: tuple[str, ...]
    outputs: tuple[_Output, ...]
    dtype: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class TorchModel:
    """An exported module. ``example``: rows ``[n, columns]``; ``answers``: PyTorch's, ``[n, scores]``, within ``tolerance`` (absolute)."""

    onnx: bytes
    digest: Digest
    signature: Signature
    example: Floats
    answers: Floats
    tolerance: float
    requirements: tuple[str, ...]


def read_torch(folder: Path) -> TorchModel:
    """The model that ``export_torch`` left in ``folder``.

    Raises
    ------
    NotFound: a file is missing.    InvalidInput: the files do not fit each other.    LimitExceeded: one is too large.
    Integrity: the graph names other files or operators that are not ONNX's own.
    """
    files = {name: _read(folder / name) for name in (MODEL, ABOUT, EXAMPLE, ANSWERS)}
    try:
        about = msgspec.json.decode(files[ABOUT], type=_About)
        tolerance = TOLERANCES[about.dtype]
        example, answers = (np.load(io.BytesIO(files[name]), allow_pickle=False) for name in (EXAMPLE, ANSWERS))
    except (msgspec.MsgspecError, KeyError, ValueError, EOFError) as error:
        raise InvalidInput("not an exported PyTorch model", where=folder.name, got=str(error)[:100]) from error
    rows, width = len(example), sum(output.width for output in about.outputs)
    fits = 1 <= rows <= ROWS_MAX and 1 <= len(about.columns) <= COLUMNS_MAX and all(output.width >= 1 for output in about.outputs)
    if not fits or example.shape != (rows, len(about.columns)) or answers.shape != (rows, width):
        raise InvalidInput(
            "the exported files do not fit each other",
            where=folder.name,
            expected=f"1 to {ROWS_MAX} rows of {len(about.columns)} columns and {width} scores",
            got=f"{example.shape} and {answers.shape}",
        )
    if not (np.isfinite(example).all() and np.isfinite(answers).all()):
        raise InvalidInput(
            "the module gives no finite numbers on its example", where=folder.name, next_step="give an example of rows that it can answer"
        )
    check_self_contained(files[MODEL])
    return TorchModel(
        onnx=files[MODEL],
        digest=digest_bytes(canonical_json({name: digest_bytes(content) for name, content in files.items()})),
        signature=_signature(about, example),
        example=example.astype(np.float64),
        answers=answers.astype(np.float64),
        tolerance=tolerance * max(1.0, float(np.abs(answers).max())),
        requirements=about.packages,
    )


def _signature(about: _About, example: Floats) -> Signature:
    """Every column a number the caller sends; the module was fitted with all of them, so all are required."""
    return Signature(
        request=tuple(
            RequestField(name=name, datatype="FP64" if about.dtype == "float64" else "FP32", example=float(example[0, place]))
            for place, name in enumerate(about.columns)
        ),
        columns=tuple(InputColumn(name=name, source="request", field=name) for name in about.columns),
        outputs=tuple(OutputField(name=output.name, width=output.width) for output in about.outputs),
    )


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise NotFound("not an exported PyTorch model", where=path.parent.name, expected=f"a file {path.name}")
    if path.stat().st_size > BYTES_MAX:
        raise LimitExceeded("the model is too large", where=path.name, expected=f"at most {BYTES_MAX} bytes")
    return path.read_bytes()
