"""What a lane's batches cost by measurement, and how large the next may be.

The bound of a batch grows while full batches stay within the latency budget, and shrinks when one is well over it: additive increase,
multiplicative decrease (Crankshaw et al. 2017, "Clipper", section 4.3). A batch's time is taken as that of its first row and so much for
each further one.
"""

NEW = 0.2
"""Weight of the newest measurement: about the last ten batches count."""
SMALL_ROWS = 2
"""Batches up to this size tell what a first row costs; larger ones, what a further row costs."""


class Pace:
    """The pace of one model.

    Parameters
    ----------
    budget_s: a batch should take at most this long, or twice what a single row takes.
    rows_max: no batch is larger.

    >>> pace = Pace(budget_s=0.02, rows_max=1024)
    >>> for rows in (1, 1, 8, 8, 16):
    ...     pace.observe(rows, 0.004 + 0.001 * (rows - 1))
    >>> round(pace.of(10), 4)
    0.013
    """

    def __init__(self, *, budget_s: float, rows_max: int) -> None:
        self._budget_s = budget_s
        self._rows_max = rows_max
        self._limit = 8.0
        self._first_s = -1.0
        self._further_s = -1.0

    @property
    def batch_rows(self) -> int:
        """How many rows the next batch may have, at least 1."""
        return max(1, min(self._rows_max, int(self._limit)))

    def observe(self, rows: int, seconds: float) -> None:
        """Take one measured batch."""
        if rows <= SMALL_ROWS:
            self._first_s = _blend(self._first_s, seconds / rows)
        else:
            self._further_s = _blend(self._further_s, max(0.0, seconds - max(self._first_s, 0.0)) / (rows - 1))
        if rows >= self.batch_rows:
            target_s = max(self._budget_s, 2.0 * self._first_s)
            if seconds <= target_s:
                self._limit = min(self._rows_max, 1.25 * self._limit + 1.0)
            elif seconds > 1.5 * target_s:
                self._limit = max(1.0, 0.7 * self._limit)

    def of(self, rows: int) -> float:
        """Expected seconds of one batch of ``rows``; 0 before anything was measured."""
        return self.of_all(rows, batches=1)

    def of_all(self, rows: int, batches: int = 0) -> float:
        """Expected seconds of ``rows`` in ``batches`` (0: as few as the bound allows)."""
        count = batches or -(-rows // self.batch_rows)
        first_s, further_s = max(self._first_s, 0.0), self._further_s
        if further_s < 0.0:
            further_s = first_s
        elif self._first_s < 0.0:
            first_s = further_s
        return count * first_s + max(0, rows - count) * further_s


def _blend(known: float, new: float) -> float:
    return new if known < 0.0 else known + NEW * (new - known)
