"""What the worker does for data: carries out deletions of persons, lets old snapshots go, deletes bytes nobody names."""

import time

from leverframe.apps.platform.erasing import Erasing
from leverframe.apps.platform.keeping import Keeping
from leverframe.apps.platform.parts import Parts

RETENTION_EVERY_S = 600.0
LOOK_EVERY_S = 1.0


class DataLoop:
    """Everything it does is a command that a later look repeats or finds done, so it may be killed anywhere."""

    def __init__(self, parts: Parts) -> None:
        self._erasing, self._keeping = Erasing(parts), Keeping(parts)
        self._retained_s = -RETENTION_EVERY_S

    def look(self) -> None:
        """Deletions first: people wait for them."""
        self._erasing.carry_out_due()
        now_s = time.monotonic()
        if now_s - self._retained_s >= RETENTION_EVERY_S:
            self._keeping.apply_all()
            self._retained_s = now_s
        self._keeping.collect()
