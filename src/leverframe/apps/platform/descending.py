"""What a new version, or newly offered rows, are made from: what a person says, and what digests show."""

from collections.abc import Iterable, Mapping

from leverframe.apps.platform.parts import Parts
from leverframe.core.dataset import Snapshot
from leverframe.core.descent import MadeFrom
from leverframe.core.digest import Digest
from leverframe.data.commands import KIND_SNAPSHOT
from leverframe.release.planning.planning import get_version
from leverframe.release.tables.records import KIND_TABLE, BatchTable


def makers_of(parts: Parts, offered: Digest, stated: Iterable[str]) -> tuple[str, ...]:
    """The versions that predicted rows of an offered file: those ``stated``, and whose output of a batch table these very bytes are.

    Raises
    ------
    NotFound: a stated version does not exist.
    """
    said = {get_version(parts.ledger, name).name for name in stated}
    seen = {
        output.version
        for table in parts.whole.ledger.find(KIND_TABLE, BatchTable)  # Whose table it was taken from does not matter here.
        for output in (table.current, *table.earlier)
        if output.digest == offered
    }
    return tuple(sorted(said | seen))


def made_from(parts: Parts, stated: Iterable[str], snapshots: Mapping[str, Digest]) -> tuple[MadeFrom, ...]:
    """What a version trained on these snapshots is made from: the ``stated`` versions, and those that predicted rows of them.

    Raises
    ------
    NotFound: a stated version does not exist.
    """
    found = {MadeFrom(version=get_version(parts.ledger, name).name) for name in stated}
    for dataset, digest in snapshots.items():
        snapshot = parts.whole.ledger.get(KIND_SNAPSHOT, f"{dataset}/{digest}", Snapshot)
        for version in (snapshot.made_by or ()) if snapshot is not None else ():
            found.add(MadeFrom(version=version, how="rows", dataset=dataset))
    return tuple(sorted(found))
