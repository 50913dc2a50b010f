"""What a batch of a model costs by measurement: a line through recent batches, ``fixed + rows * per_row`` seconds."""

FORGET = 0.95
"""Weight of what is known already when a new batch is measured: about the last twenty batches count."""


class Cost:
    """A running least-squares line, older batches weighing less.

    >>> cost = Cost()
    >>> for rows in (1, 10, 100):
    ...     cost.observe(rows, 0.001 + 0.0001 * rows)
    >>> round(cost.of(50), 6)
    0.006
    >>> cost.rows_within(0.003, 1024)
    20
    """

    def __init__(self) -> None:
        self._weight = self._rows = self._rows2 = self._time = self._product = 0.0

    def observe(self, rows: int, seconds: float) -> None:
        """Take one measured batch."""
        self._weight = FORGET * self._weight + 1.0
        self._rows = FORGET * self._rows + rows
        self._rows2 = FORGET * self._rows2 + rows * rows
        self._time = FORGET * self._time + seconds
        self._product = FORGET * self._product + rows * seconds

    @property
    def _mean(self) -> float:
        return self._rows / self._weight if self._weight else 0.0

    def _one_size(self) -> bool:
        """Whether all batches had about one size: then nothing tells the fixed part from the part a row."""
        return self._rows2 - self._rows * self._mean <= 1e-6 * self._rows2

    def _line(self) -> tuple[float, float]:
        """Fixed part and part a row, in seconds, neither below 0."""
        if not self._weight:
            return 0.0, 0.0
        mean, time = self._mean, self._time / self._weight
        if self._one_size():
            return 0.0, time / max(mean, 1.0)
        per_row = max(0.0, (self._product / self._weight - mean * time) / (self._rows2 / self._weight - mean * mean))
        fixed = time - per_row * mean
        return (fixed, per_row) if fixed >= 0.0 else (0.0, time / mean)

    def of(self, rows: int) -> float:
        """Expected seconds of one batch of ``rows``."""
        fixed, per_row = self._line()
        return fixed + rows * per_row

    def of_all(self, rows: int, batch: int) -> float:
        """Expected seconds of ``rows`` in batches of ``batch``."""
        fixed, per_row = self._line()
        return fixed * -(-rows // max(batch, 1)) + rows * per_row

    def rows_within(self, seconds: float, rows_max: int) -> int:
        """The largest batch expected to take at most ``seconds``: 1 to ``rows_max``.

        Where the fixed part alone takes most of that, rows may add half of it again; where all batches had one size, twice that size is
        worth a try, since larger ones may cost hardly more.
        """
        fixed, per_row = self._line()
        if per_row <= 0.0:
            return rows_max
        fitting = max(seconds - fixed, seconds / 2) / per_row
        if self._one_size():
            fitting = max(fitting, 2 * self._mean)
        return max(1, min(rows_max, round(fitting)))
