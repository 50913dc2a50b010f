"""A PyTorch module becomes a bundle through ONNX: exported under its owner's Python, compared here in the runtime that will serve it."""

import subprocess
from pathlib import Path

import numpy as np

from leverframe.apps.importing import Imported, bundled, imported_spec
from leverframe.core.errors import Integrity, InvalidInput, NotFound, Unavailable
from leverframe.core.model import MODEL_ONNX, Golden
from leverframe.serving.runtimes.onnx import OnnxRuntime
from leverframe.training import export_torch
from leverframe.training.importers.torch import TorchModel, read_torch

EXPORT_S_MAX = 600
"""A script that exports longer is ended, and nothing is imported."""
SAID_CHARS_MAX = 300
"""So much of the last line that a failed script said stands in the error."""


def export_script(script: str, folder: Path, *, python: str) -> None:
    """Run ``SCRIPT.py:NAME`` under ``python``, which has PyTorch, and leave what it exports in ``folder``.

    The script is the caller's own program and may do what the caller may: for a person's command line, never for a server.

    Raises
    ------
    NotFound: no such script.    InvalidInput: it failed, or names no module and example.
    Unavailable: it cannot be run, or takes too long.
    """
    path, _, name = script.rpartition(":")
    if not path or not name.isidentifier():
        raise InvalidInput("which module of which script?", where="--torch", expected="SCRIPT.py:NAME", got=script[:120])
    if not Path(path).is_file():
        raise NotFound("no such script", where=path[:120])
    command = [python, "-I", export_torch.__file__, script, str(folder)]
    try:
        done = subprocess.run(  # noqa: S603 (the caller's own script, under the caller's own Python)
            command, capture_output=True, text=True, errors="replace", timeout=EXPORT_S_MAX, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise Unavailable("this Python cannot be run", where=python[:120], next_step="--python /path/to/the/python/with/torch") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable("the export took too long", where=script[:120], expected=f"at most {EXPORT_S_MAX} s") from error
    if done.returncode:
        raise InvalidInput(
            "the module was not exported",
            where=script[:120],
            expected="a script that ends well, under a Python with torch, onnx and onnxscript",
            got=next(reversed(done.stderr.strip().splitlines()), f"exit code {done.returncode}")[-SAID_CHARS_MAX:],
            next_step="mend the script, or name the Python that has PyTorch: --python PATH",
        )


def is_torch(folder: Path) -> bool:
    """Whether ``folder`` was written by ``export_torch``; else it should be an MLflow model's."""
    return (folder / export_torch.ABOUT).is_file()


def import_torch(
    folder: Path, *, name: str, team: str, owner: str, now_us: int, risk_tier: str = "high", made_from: tuple[str, ...] = ()
) -> Imported:
    """The bundle of what ``export_torch`` left in ``folder``. Its golden rows hold PyTorch's answers, not ONNX Runtime's.

    Raises
    ------
    NotFound, InvalidInput, LimitExceeded: the folder cannot be imported.
    Integrity: ONNX Runtime refuses the graph, or answers otherwise than PyTorch did.
    """
    model = read_torch(folder)
    worst = _compared(model)
    made_by = next((line.replace("==", " ") for line in model.requirements if line.startswith("torch==")), "torch")
    golden = Golden(
        columns=tuple(column.name for column in model.signature.columns),
        rows=tuple(tuple(float(value) for value in row) for row in model.example),
        expected=tuple(tuple(float(score) for score in row) for row in model.answers),
        tolerance=model.tolerance,
    )
    card = (
        f"# {name}\n\nImported from {made_by}, not trained here: nothing is known of its data, and it was not evaluated.\n\n"
        f"- exported files: `{model.digest}`\n- runtime: onnx\n"
        f"- golden rows: its own example ({len(model.example)} rows), answered by PyTorch; ONNX Runtime was at most {worst:.1e} away, "
        f"{model.tolerance:.1e} is allowed\n"
    )
    return bundled(
        {MODEL_ONNX: model.onnx},
        spec=imported_spec(name, made_by, model.signature, team, owner, risk_tier),
        golden=golden,
        origin=model.digest,
        made_by=made_by,
        environment="\n".join(model.requirements) + "\n",
        card=card,
        runtime="onnx",
        now_us=now_us,
        made_from=made_from,
    )


def _compared(model: TorchModel) -> float:
    """The largest distance between PyTorch's answers and ONNX Runtime's, of all rows together and of each alone.

    Raises
    ------
    Integrity: more than the tolerance.
    """
    runtime = OnnxRuntime(model.onnx, model.example.shape[1], model.answers.shape[1])
    alone = np.vstack([runtime.score(row[None, :]).reshape(1, -1) for row in model.example])
    together = runtime.score(model.example).reshape(model.answers.shape)
    distance = np.maximum(np.abs(together - model.answers), np.abs(alone - model.answers))
    if not distance.max() <= model.tolerance:
        row = int(np.argmax(np.where(np.isfinite(distance), distance, np.inf).max(axis=1)))
        raise Integrity(
            "ONNX Runtime answers otherwise than PyTorch did",
            where=f"example row {row}",
            expected=f"{model.answers[row, 0]:.9g} within {model.tolerance:g}",
            got=f"{together[row, 0]:.9g} with other rows, {alone[row, 0]:.9g} alone",
            next_step="the module may be random or look at other rows; in evaluation mode a row's answer must depend on that row alone",
        )
    return float(distance.max())
