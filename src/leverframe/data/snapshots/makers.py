"""Which model versions predicted rows of a snapshot: what a version trained on them rests on."""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET

from leverframe.core.dataset import Snapshot
from leverframe.core.descent import MADE_FROM_MAX
from leverframe.core.errors import LimitExceeded


def with_makers(snapshot: Snapshot, versions: Iterable[str]) -> Snapshot:
    """``snapshot`` with these versions beside those that it states already.

    Raises
    ------
    LimitExceeded: more versions than one dataset's rows may come from.
    """
    made_by = tuple(sorted({*(snapshot.made_by or ()), *versions}))
    if len(made_by) > MADE_FROM_MAX:
        raise LimitExceeded(
            "rows predicted by too many versions in one dataset",
            where=f"dataset {snapshot.dataset}",
            expected=f"at most {MADE_FROM_MAX}",
            got=f"{len(made_by)}",
            next_step=f"begin it anew with rows of fewer: lever data ingest {snapshot.dataset} FILE",
        )
    return msgspec.structs.replace(snapshot, made_by=made_by or UNSET)
