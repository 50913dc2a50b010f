"""What an engine is to the gateway: one small protocol, one file an engine."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]


class Runtime(Protocol):
    """A loaded model inside this process."""

    name: str

    def score(self, matrix: Float) -> Float:
        """Scores ``[rows]`` or ``[rows, k]`` of a matrix float64 ``[rows, columns]``, NaN in it where a value is missing.

        Called from any thread. Raises Integrity when the engine fails.
        """
        ...


class RemoteRuntime(Protocol):
    """A loaded model in a process of its own."""

    name: str

    async def score(self, matrix: Float) -> Float:
        """As :meth:`Runtime.score`; raises Unavailable when the process fails or takes too long."""
        ...

    def score_now(self, matrix: Float) -> Float:
        """The same, waiting in the caller's thread."""
        ...

    def state(self) -> str:
        """One word and the reason, for the health page."""
        ...

    def tally(self) -> tuple[int, int, bool]:
        """Starts and deaths of its processes so far, and whether no further one is started (quarantined)."""
        ...

    def release(self) -> None:
        """Start a process again after a quarantine."""
        ...

    def stop(self) -> None:
        """End the process."""
        ...
