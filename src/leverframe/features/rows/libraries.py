"""The C files of this room, which ``hatch_build.py`` compiles when Leverframe is installed: loading one, and handing arrays to it."""

import ctypes
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_SUFFIX = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")


def library_path(source: Path) -> Path:
    """Where the library of a C file lies: beside it."""
    return source.with_name(f"libleverframe_{source.stem}{_SUFFIX}")


def load_library(source: Path, interface: int) -> ctypes.CDLL | None:
    """The library of a C file; None where it was not built, or from a version whose calls would read past their arguments."""
    path = library_path(source)
    if not path.exists():
        return None
    library = ctypes.CDLL(str(path))
    says = getattr(library, f"leverframe_{source.stem}_interface", None)
    return library if says is not None and says() == interface else None


def address(array: npt.NDArray[Any] | None) -> int | None:
    """Where an array's numbers lie; None for none. The caller keeps the array."""
    return None if array is None else int(array.__array_interface__["data"][0])


def structure(kind: type[Any], **fields: Any) -> Any:
    """A ``ctypes`` structure of these fields; arrays are given by address and live as long as the structure does."""
    made = kind(**{name: address(value) if isinstance(value, np.ndarray) else value for name, value in fields.items()})
    made.kept = fields
    return made
