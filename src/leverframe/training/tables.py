"""The byte forms in which steps hand rows to each other: Arrow IPC and raw numpy, both without code inside."""

import io
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEITHER, FIT, HOLDOUT = 0, 1, 2
_INPUT, _SLICE = "input:", "slice:"


@dataclass(frozen=True)
class Table:
    """A training set: the model's input ``matrix`` (``columns`` in order) with label, moments and slice columns, row by row."""

    columns: tuple[str, ...]
    matrix: Floats
    labels: Floats
    asked_at_us: NDArray[np.int64]
    known_at_us: NDArray[np.int64]
    slices: pl.DataFrame


def pack_frame(frame: pl.DataFrame) -> bytes:
    """A data frame as Arrow IPC; the same frame gives the same bytes."""
    buffer = io.BytesIO()
    frame.rechunk().write_ipc(buffer)
    return buffer.getvalue()


def unpack_frame(data: bytes) -> pl.DataFrame:
    """The inverse of :func:`pack_frame`."""
    return pl.read_ipc(io.BytesIO(data))


def pack_table(table: Table) -> bytes:
    """A training set as Arrow IPC."""
    inputs = {f"{_INPUT}{name}": table.matrix[:, i] for i, name in enumerate(table.columns)}
    moments = {"asked_at_us": table.asked_at_us, "known_at_us": table.known_at_us, "label": table.labels}
    return pack_frame(pl.DataFrame({**moments, **inputs}).hstack(table.slices.rename(lambda name: f"{_SLICE}{name}")))


def unpack_table(data: bytes) -> Table:
    """The inverse of :func:`pack_table`."""
    frame = unpack_frame(data)
    inputs = [name for name in frame.columns if name.startswith(_INPUT)]
    slices = [name for name in frame.columns if name.startswith(_SLICE)]
    return Table(
        columns=tuple(name.removeprefix(_INPUT) for name in inputs),
        matrix=np.ascontiguousarray(frame.select(inputs).to_numpy()),
        labels=frame["label"].to_numpy(),
        asked_at_us=frame["asked_at_us"].to_numpy(),
        known_at_us=frame["known_at_us"].to_numpy(),
        slices=frame.select(slices).rename(lambda name: name.removeprefix(_SLICE)),
    )


def pack_parts(rows: int, fit: NDArray[np.int64], holdout: NDArray[np.int64]) -> bytes:
    """Which part each row is in, one byte a row."""
    parts = np.full(rows, NEITHER, dtype=np.uint8)
    parts[fit], parts[holdout] = FIT, HOLDOUT
    return parts.tobytes()


def unpack_parts(data: bytes, part: int) -> NDArray[np.int64]:
    """Positions of the rows in ``part``, ascending.

    >>> unpack_parts(pack_parts(3, np.array([0, 2]), np.array([1])), FIT).tolist()
    [0, 2]
    """
    return np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == part)
