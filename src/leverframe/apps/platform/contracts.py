"""Use cases of contracts before they are in force: what a change would break, and whether the rows that are there would keep it."""

from leverframe.apps.platform.datasets import latest_rows, referenced_rows
from leverframe.apps.platform.lineage_readers import GraphReaders
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import ContractCheckView
from leverframe.core.actor import Actor
from leverframe.core.consumers import Consumer
from leverframe.core.dataset import ContractReport
from leverframe.core.errors import NotFound
from leverframe.data.checks.checks_scan import check_scan
from leverframe.data.commands import KIND_CONTRACT, broken_consumers
from leverframe.data.contract.contract_file import read_contract
from leverframe.data.contract.contracts import Contract
from leverframe.data.contract.evolution import evolve
from leverframe.data.stored_rules import stored_contract
from leverframe.governance.decision import require


class Contracts:
    """Contracts as they would be."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._readers = GraphReaders(parts.bundles, parts.settings.environment)

    def check(self, actor: Actor, text: str, *, last_snapshot: bool = False) -> ContractCheckView:
        """What putting this ODCS contract in force would change and whom it would break; nothing is written.

        Parameters
        ----------
        last_snapshot: also check the rows of the dataset's newest snapshot, without the rules about values that are not stored as offered.

        Raises
        ------
        Forbidden: the actor may not read the dataset.    InvalidInput: the file is no contract; it names every fault.
        NotFound: the dataset has no snapshot yet.
        """
        contract = read_contract(text.encode())
        require(self._parts.policy, actor, "Data.Read", f"dataset/{contract.dataset}", contract.team, {})
        held = self._parts.ledger.get(KIND_CONTRACT, contract.name, Contract)
        step = evolve(held, contract)
        return ContractCheckView(
            contract=contract.name,
            version=contract.version,
            dataset=contract.dataset,
            version_in_force=held.version if held else "",
            change=step.kind,
            breaks=step.breaks,
            refusals=step.refusals,
            consumers=self.broken_by(contract),
            report=self._last_rows(contract) if last_snapshot else None,
        )

    def broken_by(self, contract: Contract) -> tuple[Consumer, ...]:
        """Everyone who would lose something they read if ``contract`` came into force."""
        held = self._parts.ledger.get(KIND_CONTRACT, contract.name, Contract)
        return broken_consumers(held, contract, self._parts.ledger.whole, self._readers)

    def _last_rows(self, contract: Contract) -> ContractReport:
        parts = self._parts
        snapshot, rows = latest_rows(parts, contract.dataset)
        if snapshot.rows == 0:
            raise NotFound("the newest snapshot has no rows", where=contract.dataset)
        return check_scan(rows, stored_contract(contract), parts.clock.now_us(), referenced_rows(parts, contract))
