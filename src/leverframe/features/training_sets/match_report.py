"""What a view had for the questions: how many rows it answered, why not the others, and how old what it gave was."""

import numpy as np
from numpy.typing import NDArray

from leverframe.core.training_set_report import ViewMatch


def view_match(
    view: str, *, known: NDArray[np.bool_], found: NDArray[np.bool_], alive: NDArray[np.bool_], ages_us: NDArray[np.int64]
) -> ViewMatch:
    """Count one view's answers.

    Parameters
    ----------
    known, found, alive: boolean ``[questions]``: the entity has rows at all; one was known by then; that one is within its TTL.
    ages_us: int64 ``[questions]``, read only where ``alive``.
    """
    matched, had, seen = int(alive.sum()), int(found.sum()), int(known.sum())
    within = ages_us if matched == len(ages_us) else ages_us[alive]
    return ViewMatch(
        view=view,
        questions=len(alive),
        matched=matched,
        never_known=len(alive) - seen,
        known_later=seen - had,
        expired=had - matched,
        age_us_min=int(within.min()) if matched else None,
        age_us_max=int(within.max()) if matched else None,
    )
