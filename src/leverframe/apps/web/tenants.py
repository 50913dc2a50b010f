"""Teams at the doors: which record an address names, whose it is, and the platform as whoever asks has it (decision 0054)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from leverframe.core.actor import EVERY_TEAM, Actor
from leverframe.core.errors import InvalidInput
from leverframe.core.model import version_id_of

if TYPE_CHECKING:
    from leverframe.apps.platform.platform import Platform

Path = Mapping[str, str]
Named = tuple[str, Callable[[Path], str]]
"""A kind of record, and its id from what an address names."""


def _version(parameter: str) -> Callable[[Path], str]:
    def id_of(path: Path) -> str:
        try:
            return version_id_of(path[parameter])
        except InvalidInput:
            return ""

    return id_of


RECORDS: Mapping[str, tuple[Named, ...]] = {
    "dataset": (("dataset", lambda path: path["dataset"]),),
    "source": (("source", lambda path: path["source"]),),
    "stream": (("stream", lambda path: f"{path['dataset']}/{path['stream']}"),),
    "erasure": (("erasure", lambda path: path["erasure"]),),
    "view": (("view", lambda path: path["view"]),),
    "model": (("model", lambda path: path["model"]),),
    "name": (("model_version", _version("name")),),
    "other": (("model_version", _version("other")),),
    "run_id": (("run", lambda path: path["run_id"]),),
    "registry": (("registry", lambda path: path["registry"]),),
    "digest": (
        ("plan", lambda path: path["digest"]),
        ("experiment_plan", lambda path: path["digest"]),
        ("batch_table_plan", lambda path: path["digest"]),
        ("snapshot", lambda path: f"{path.get('dataset', '')}/{path['digest']}"),
    ),
    "release_id": (("release", lambda path: path["release_id"]),),
    "experiment_id": (("experiment", lambda path: path["experiment_id"]),),
    "table": (("batch_table", lambda path: path["table"]),),
    "endpoint": (("endpoint", lambda path: f"{path['environment']}/{path['endpoint']}" if "environment" in path else ""),),
}
"""What the parameters of addresses name. One that is not here names nothing that belongs to a team."""


def admitted(
    platform: "Platform", actor: Actor, permission: str, resource: str, path: Path, *, writes: bool, every_team: bool = False
) -> "Platform":
    """The platform as ``actor`` has it, once they may ask at all. A read is decided here; a write in the ledger, by whose the thing is.

    Raises
    ------
    Forbidden: policy does not permit the read.
    """
    seen = platform.seen_by(actor)
    if not writes:
        named = [(kind, id_of(path)) for parameter in path for kind, id_of in RECORDS.get(parameter, ())]
        seen.access.permit(actor, permission, resource, EVERY_TEAM if every_team else _team(seen, permission, named))
    return seen


def _team(seen: "Platform", permission: str, named: list[tuple[str, str]]) -> str:
    """Whose what is asked for is. Nobody's where the asker does not see it: then it will not be found; or where everybody may read it."""
    for kind, id in named:
        if seen.hides(kind, id):
            return ""
        teams = seen.teams(kind, id)
        if teams:
            return "" if permission.endswith(".Read") and seen.shares(kind) else min(teams)
    return ""
