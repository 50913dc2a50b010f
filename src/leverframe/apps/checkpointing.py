"""The worker's signed checkpoints outside the database, and what they say of the database that is there now."""

from leverframe.apps.publishing import Publisher
from leverframe.core.errors import Integrity, LeverframeError
from leverframe.governance.ledger.checkpoints import read_checkpoint
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.signing import SigningKey, TrustStore


def chain_fault(ledger: Ledger, publisher: Publisher, trust: TrustStore) -> str:
    """What the published checkpoint holds against the ledger: it was rolled back, cut short or rewritten. Empty: nothing.

    One entry is looked at, not the chain. This finds an older copy of the database put back, at once; ``lever audit verify`` finds more.
    """
    for envelope in publisher.checkpoints():
        try:
            checkpoint = read_checkpoint(trust, envelope)
        except LeverframeError as error:
            return error.sentence()
        total = ledger.entries_total()
        if total < checkpoint.seq:
            return f"the record ends at entry {total}, but a checkpoint was signed for entry {checkpoint.seq}: cut short or rolled back"
        (entry,) = ledger.audit(after=checkpoint.seq - 1, limit=1)
        if entry.hash != checkpoint.hash:
            return f"entry {checkpoint.seq} is not the one its checkpoint was signed for: the record was rewritten"
    return ""


class CheckpointLoop:
    """Signs where the audit chain ends and keeps the statement outside the database."""

    def __init__(self, ledger: Ledger, publisher: Publisher, key: SigningKey, trust: TrustStore) -> None:
        self._ledger = ledger
        self._publisher = publisher
        self._key = key
        self._trust = trust
        self._signed = 0

    def look(self) -> None:
        """Sign a checkpoint when something was written since the last one.

        Raises
        ------
        Integrity: the published checkpoint says that this database was rolled back or rewritten. It stays published: it is the evidence.
        """
        total = self._ledger.entries_total()
        if total == self._signed:
            return
        fault = chain_fault(self._ledger, self._publisher, self._trust)
        if fault:
            raise Integrity(
                fault, where="ledger", next_step="lever audit verify; restore the newest backup, or ask who put this database back"
            )
        self._publisher.publish_checkpoint(self._ledger.checkpoint(self._key))
        self._signed = total
