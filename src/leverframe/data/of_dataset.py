"""What commands about one dataset share, and the contract that says whose it is."""

from leverframe.core.command import Command, Transaction
from leverframe.core.errors import NotFound, Refused
from leverframe.data.commands import KIND_CONTRACT
from leverframe.data.contract.contracts import Contract


class OfDataset(Command, frozen=True, kw_only=True):
    """About one dataset; ``owner_team`` is its contract's team."""

    dataset: str
    owner_team: str

    def resource(self) -> str:
        """``dataset/<name>``."""
        return f"dataset/{self.dataset}"

    def team(self) -> str:
        """The contract's team."""
        return self.owner_team


def contract_of_team(dataset: str, owner_team: str, tx: Transaction) -> Contract:
    """The contract in force; the command's team must be its team, since that is what was authorised.

    Raises
    ------
    NotFound: there is none.  Refused: the dataset is another team's.
    """
    contract = next((each for each in tx.find(KIND_CONTRACT, Contract) if each.dataset == dataset), None)
    if contract is None:
        raise NotFound("no contract is in force for this dataset", where=dataset[:120], next_step="lever contracts apply FILE")
    if contract.team != owner_team:
        raise Refused("the dataset belongs to another team", where=dataset, expected=contract.team, got=owner_team)
    return contract
