"""What the data room's use cases answer."""

import msgspec

from leverframe.core.dataset import ContractReport, Snapshot


class IngestView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an offered file: a snapshot, or a quarantined blob with the report that says why."""

    dataset: str
    accepted: bool
    report: ContractReport
    snapshot: Snapshot | None = None
    quarantine: str = ""


class DatasetView(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset: its contract, its newest snapshot and how many files were refused."""

    name: str
    owner: str
    team: str
    contract_version: str
    latest: Snapshot | None
    snapshots_total: int
    quarantined_total: int
