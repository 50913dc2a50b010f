"""A PyTorch module becomes a folder of data: the graph as ONNX, example rows and PyTorch's own answers to them.

Runs by itself, under the Python that has PyTorch: ``python -I export_torch.py SCRIPT.py:NAME FOLDER`` needs torch, onnx, onnxscript and
numpy, and nothing of Leverframe. The script is its owner's program and runs as such, never in a server. ``.pt2`` archives and state dicts
are not read: loading either may run code (decision 0014). Source: PyTorch 2.13 documentation, ``torch.onnx`` (exporter on
``torch.export``).
"""

import importlib.metadata
import json
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

MODEL, ABOUT, EXAMPLE, ANSWERS = "model.onnx", "about.json", "example.npy", "answers.npy"
OPSET = 20
"""ONNX operators of the exported graph; ONNX Runtime has taken them since 1.17."""
ROWS_MAX = 64
"""Further example rows are left out: a bundle keeps so many golden rows at most."""
_PACKAGES = ("torch", "onnx", "onnxscript", "numpy")


def export_torch(module: Any, example: Any, folder: Path, *, columns: Sequence[str] = (), outputs: Sequence[str] = ()) -> None:
    """Write ``module`` to ``folder`` with what it answers to ``example``.

    The module is put into evaluation mode. The graph takes any number of rows and gives one matrix: the module's outputs side by side.

    Parameters
    ----------
    module: a ``torch.nn.Module`` on the CPU that takes one float matrix ``[rows, columns]`` and gives a tensor ``[rows]`` or
            ``[rows, k]``, or a tuple of them. Categories are cast inside: ``x[:, 0].long()``.
    example: such a matrix, at least one row of finite numbers; real rows, for they become golden rows.
    columns: names of the columns; default ``x0``, ``x1``, ….    outputs: names of the outputs; default ``prediction``, ``prediction_1``, ….

    Raises
    ------
    ValueError: module, example or names are of another kind; the sentence says which.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"expected a torch.nn.Module, got {type(module).__name__}")
    weights = {weight.dtype for weight in (*module.parameters(), *module.buffers()) if weight.is_floating_point()}
    if not weights <= {torch.float32, torch.float64} or len(weights) > 1:
        raise ValueError(f"expected weights in float32 or in float64, got {', '.join(sorted(map(str, weights)))}; call module.float()")
    dtype = next(iter(weights), torch.float32)
    rows = torch.as_tensor(example).detach().to("cpu", dtype)[:ROWS_MAX]
    if rows.ndim != 2 or not rows.numel() or not bool(torch.isfinite(rows).all()):
        raise ValueError(f"expected an example [rows, columns] of finite numbers, got shape {tuple(rows.shape)}")
    names = list(columns) or [f"x{place}" for place in range(rows.shape[1])]
    if len(names) != rows.shape[1] or len(set(names)) != len(names):
        raise ValueError(f"expected {rows.shape[1]} different column names, got {len(names)}: {', '.join(names)[:200]}")
    module.eval()
    with torch.no_grad():
        parts = _parts(module(rows), len(rows))
    heads = list(outputs) or ["prediction", *(f"prediction_{place}" for place in range(1, len(parts)))]
    if len(heads) != len(parts) or len(set(heads)) != len(heads):
        raise ValueError(f"expected {len(parts)} different output names, got {len(heads)}: {', '.join(heads)[:200]}")

    class OneMatrix(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, x: Any) -> Any:
            return torch.cat([part.to(dtype) for part in _parts(self.module(x), x.shape[0])], dim=1)

    whole = OneMatrix().eval()
    with torch.no_grad():
        answers = whole(rows)
        two = torch.cat([rows, rows])  # of one row the exporter would make a graph for one row
        program = torch.onnx.export(
            whole,
            (two,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("rows")},),
            opset_version=OPSET,
            input_names=["input"],
            output_names=["scores"],
            external_data=False,
            verbose=False,
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL).write_bytes(_bare(program.model_proto).SerializeToString())
    np.save(folder / EXAMPLE, rows.numpy().astype(np.float64), allow_pickle=False)
    np.save(folder / ANSWERS, answers.numpy().astype(np.float64), allow_pickle=False)
    about = {
        "columns": names,
        "outputs": [{"name": name, "width": part.shape[1]} for name, part in zip(heads, parts, strict=True)],
        "dtype": str(dtype).removeprefix("torch."),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "packages": [f"{name}=={importlib.metadata.version(name)}" for name in _PACKAGES],
    }
    (folder / ABOUT).write_text(json.dumps(about))


def _parts(result: Any, rows: int) -> list[Any]:
    """The module's outputs as matrices ``[rows, k]``."""
    tensors = list(result) if isinstance(result, (tuple, list)) else [result]
    if not tensors or not all(hasattr(each, "ndim") and each.ndim in (1, 2) and each.shape[0] == rows for each in tensors):
        got = ", ".join(str(tuple(getattr(each, "shape", ()))) or type(each).__name__ for each in tensors)
        raise ValueError(f"expected outputs [rows] or [rows, k] for {rows} rows, got {got or 'none'}")
    return [each[:, None] if each.ndim == 1 else each for each in tensors]


def _bare(model: Any) -> Any:
    """The graph without the exporter's notes: they quote the owner's source lines and paths."""
    for part in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for tensor in model.graph.initializer:
        tensor.ClearField("metadata_props")
    return model


def main(arguments: Sequence[str]) -> int:
    """``SCRIPT.py:NAME FOLDER``: run the script and export its module ``NAME`` with its ``example``, ``columns`` and ``outputs``."""
    script, _, name = arguments[0].rpartition(":")
    sys.path.insert(0, str(Path(script).resolve().parent))
    made = runpy.run_path(script, run_name="__export__")
    if name not in made or "example" not in made:
        print(f"expected {name} and example in {Path(script).name}", file=sys.stderr)
        return 2
    try:
        export_torch(made[name], made["example"], Path(arguments[1]), columns=made.get("columns", ()), outputs=made.get("outputs", ()))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
