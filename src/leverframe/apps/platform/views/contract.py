"""What is answered about a dataset's contract: what it promises, how that fared, who relies on it, how it came to be."""

import msgspec

from leverframe.apps.platform.views.data import IngestView
from leverframe.apps.platform.views.keeping import SnapshotView
from leverframe.core.consumers import Consumer
from leverframe.core.dataset import RuleResult
from leverframe.core.errors import Fault
from leverframe.data.contract.contracts import Contract, Severity


class RuleStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One rule in words, and how it fared.

    ``last``: its newest result (None: not checked since it is in the contract); ``shares``: the share of failing rows (0 to 1) in each of
    the last deliveries, oldest first, None where it was not checked; ``broken``: in which of these it did not hold.
    """

    rule: str
    column: str
    words: str
    severity: Severity
    last: RuleResult | None
    shares: tuple[float | None, ...] = ()
    broken: tuple[bool, ...] = ()


class ContractStep(msgspec.Struct, frozen=True, kw_only=True):
    """A version that came into force: when, by whom, what it changed (``change``: first, additive or breaking). ``seq``: audit entry."""

    version: str
    at_us: int
    actor: str
    seq: int
    change: str
    breaks: tuple[Fault, ...] = ()
    columns_added: tuple[str, ...] = ()


class ContractDetailView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about the contract of a dataset.

    ``in_force_since_us``: this version; ``newest_us``: the newest event in the newest snapshot. ``readers``: who uses each column directly;
    ``consumers``: everyone who would lose something with the dataset. ``deliveries`` and ``snapshots``: the newest first.
    """

    contract: Contract
    in_force_since_us: int
    rules: tuple[RuleStanding, ...]
    readers: dict[str, tuple[str, ...]]
    consumers: tuple[Consumer, ...]
    steps: tuple[ContractStep, ...]
    deliveries: tuple[IngestView, ...]
    snapshots: tuple[SnapshotView, ...]
    snapshots_total: int
    newest_us: int | None
    now_us: int

    @property
    def age_us(self) -> int | None:
        """How old the newest event is."""
        return None if self.newest_us is None else self.now_us - self.newest_us
