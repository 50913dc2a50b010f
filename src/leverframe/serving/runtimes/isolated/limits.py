"""What one child may use, and how long it is waited for."""

from dataclasses import dataclass

ROWS_MAX = 65_536
"""Rows a message; more are refused."""
SCORES_MAX = 1_024
"""Score columns a row; a model that gives more is ended."""
WAITING_MAX = 64
"""Callers waiting for their turn at one child; one more is refused."""
DEATHS_MAX = 5
"""This many deaths within ``DEATHS_WINDOW_S`` put the model into quarantine: it is not started again."""
DEATHS_WINDOW_S = 60.0
PAUSE_S = 0.1
"""Pause before the second start in a row, doubled each time; the first comes at once."""
LOOK_S = 1.0
"""A child's processor time and folder are looked at this often."""


@dataclass(frozen=True)
class Bounds:
    """What one child may use.

    ``memory_bytes``: address space; an allocation beyond it fails in the model.    ``open_files``, ``file_bytes``: more fails in the model.
    ``folder_bytes``: all files of its folder; more ends it.    ``idle_cpu_s``: processor seconds a second without a request; more ends it.
    ``start_s``: to load the model.    ``score_s``: a request without another limit; longer ends it.
    """

    memory_bytes: int = 4 * 1024**3
    open_files: int = 256
    file_bytes: int = 64 * 1024**2
    folder_bytes: int = 256 * 1024**2
    idle_cpu_s: float = 0.2
    start_s: float = 60.0
    score_s: float = 10.0
