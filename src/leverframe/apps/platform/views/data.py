"""What the data room's use cases answer."""

from typing import Literal

import msgspec

from leverframe.core.consumers import Consumer
from leverframe.core.dataset import ContractReport, Snapshot
from leverframe.core.errors import Fault

DatasetState = Literal["empty", "refused", "late", "kept"]


class IngestView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an offered file: a snapshot, or a quarantined blob with the report that says why."""

    dataset: str
    accepted: bool
    report: ContractReport
    snapshot: Snapshot | None = None
    quarantine: str = ""


class ContractCheckView(msgspec.Struct, frozen=True, kw_only=True):
    """What putting a contract in force would do.

    ``change`` is first, same, additive or breaking; ``refusals`` say why it may not be taken at all, ``consumers`` whom it takes something
    from (each must be named to go on), ``report`` what the newest snapshot's rows say, if that was asked.
    """

    contract: str
    version: str
    dataset: str
    version_in_force: str
    change: str
    breaks: tuple[Fault, ...] = ()
    refusals: tuple[Fault, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    report: ContractReport | None = None


class DatasetView(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset: its contract, its newest snapshot and how many files were set aside, whole or in part.

    ``state``: empty (nothing was taken in), refused (the newest delivery was), late (its newest row is older than was promised), or kept.
    """

    name: str
    owner: str
    team: str
    contract_version: str
    latest: Snapshot | None
    snapshots_total: int
    quarantined_total: int
    state: DatasetState = "kept"
