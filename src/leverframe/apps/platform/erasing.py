"""Deleting a person's rows: asked for by people, carried out by the worker, continued after a crash by the next look (decision 0027)."""

import io
from collections.abc import Iterable, Iterator
from functools import lru_cache

import polars as pl

from leverframe.apps.platform.bound_views import held_definitions
from leverframe.apps.platform.datasets import contract_of, latest_snapshot
from leverframe.apps.platform.materializing import Materializing
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.rows_elsewhere import entity_fields, made_of
from leverframe.apps.platform.views import MaterializeRequest
from leverframe.core.actor import PLATFORM, Actor
from leverframe.core.dataset import Snapshot
from leverframe.core.digest import Digest, digest_record
from leverframe.core.errors import Conflict, NotFound
from leverframe.core.feature import FeatureView
from leverframe.data.commands import KIND_CONTRACT, KIND_QUARANTINE, KIND_SNAPSHOT, Quarantine
from leverframe.data.contract.contracts import Column, Contract
from leverframe.data.retention.commands_erasure import (
    KIND_ERASURE,
    KIND_ERASURE_DUE,
    AskErasure,
    DropIntermediates,
    Due,
    ErasureRecord,
    FinishErasure,
    RecordErased,
    Replaced,
)
from leverframe.data.retention.erasure import Person, Searched, columns_of_person, rewrite, split, subject_of
from leverframe.data.snapshots.snapshots import parquet_bytes, read_snapshot
from leverframe.features.commands import KIND_VIEW
from leverframe.features.materialization.recompute import recompute
from leverframe.features.online.online import entity_key
from leverframe.monitoring.log_archive import LogArchive
from leverframe.monitoring.log_redaction import redact

PARTS_A_COMMAND_MAX = 4_000
SEARCHES_MAX = 5
"""So often a dataset is searched anew because rows came meanwhile; then the next look tries again."""
TEXTS_KEPT = 100_000
"""Texts of the prediction log that were compared are remembered: callers ask about the same ones over and over."""


class Erasing:
    """Deletions of persons."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def ask(self, actor: Actor, dataset: str, column: str, value: str, *, reason: str, key: str) -> ErasureRecord:
        """Ask for every row of a person to be deleted. ``value`` is hashed here and goes no further."""
        contract = contract_of(self._parts, dataset)
        subject = subject_of(value, self._parts.pseudonyms)
        id = f"erasure-{digest_record([actor.subject, key])[7:19]}"
        command = AskErasure(id=id, dataset=dataset, owner_team=contract.team, column=column, subject=subject, reason=reason)
        self._parts.ledger.write(actor, command, key=key)
        return self.record(id)

    def record(self, id: str) -> ErasureRecord:
        """How far a deletion is.

        Raises
        ------
        NotFound: there is none of that name.
        """
        found = self._parts.ledger.get(KIND_ERASURE, id, ErasureRecord)
        if found is None:
            raise NotFound("no such deletion", where=id[:80], next_step="lever data forgotten")
        return found

    def records(self) -> tuple[ErasureRecord, ...]:
        """Every deletion, newest first."""
        return tuple(sorted(self._parts.ledger.find(KIND_ERASURE, ErasureRecord), key=lambda r: r.asked_at_us, reverse=True))

    def carry_out_due(self) -> int:
        """Carry out what is asked for; how many were finished. A crash anywhere is continued by calling this again."""
        due = self._parts.ledger.find(KIND_ERASURE_DUE, Due)
        for each in due:
            self.carry_out(self.record(each.id))
        return len(due)

    def carry_out(self, asked: ErasureRecord) -> None:
        """Search and rewrite one dataset after the other; each changes in one transaction."""
        contracts = {each.dataset: each for each in self._parts.ledger.find(KIND_CONTRACT, Contract)}
        unsearched: list[str] = []
        online = recomputed = 0
        everywhere: list[Column] = []
        for dataset, names in columns_of_person(list(contracts.values()), asked.dataset, asked.column).items():
            columns = [column for column in contracts[dataset].columns if column.name in names]
            unsearched += [f"{dataset}.{column.name}" for column in columns if column.treatment in ("mask", "drop")]
            person = Person(asked.subject, columns, self._parts.pseudonyms)
            went, came = self._one_dataset(asked, contracts[dataset], person)
            online, recomputed = online + went, recomputed + came
            everywhere += columns
        self._drop_intermediates(asked, contracts[asked.dataset].team)
        finish = FinishErasure(
            id=asked.id,
            dataset=asked.dataset,
            owner_team=contracts[asked.dataset].team,
            online=online,
            recomputed=recomputed,
            predictions=self._unlogged(asked, everywhere),
            unsearched=tuple(unsearched),
        )
        self._parts.ledger.write(PLATFORM, finish, key=f"{asked.id}/finish")

    def _drop_intermediates(self, asked: ErasureRecord, team: str) -> None:
        blobs = made_of(self._parts, self.record(asked.id).replaced)
        for first in range(0, len(blobs), PARTS_A_COMMAND_MAX):
            group = blobs[first : first + PARTS_A_COMMAND_MAX]
            command = DropIntermediates(id=asked.id, dataset=asked.dataset, owner_team=team, blobs=group)
            self._parts.ledger.write(PLATFORM, command, key=f"{asked.id}/made-of/{digest_record(group)[-16:]}")

    def _unlogged(self, asked: ErasureRecord, columns: list[Column]) -> int:
        """Records of the prediction log that asked about the person name nobody from now on; how many."""
        person = Person(asked.subject, columns, self._parts.pseudonyms)
        fields = {column.name for column in columns} & entity_fields(self._parts)
        whose = lru_cache(maxsize=TEXTS_KEPT)(lambda field, text: field in fields and person.named_by(field, text))
        settings = self._parts.settings
        return redact(settings.log_folder, LogArchive(settings.log_archive), whose, asked.id) if fields else 0

    def _one_dataset(self, asked: ErasureRecord, contract: Contract, person: Person) -> tuple[int, int]:
        """Rewrite one dataset; how many values went from the online store, and how many came again."""
        for attempt in range(SEARCHES_MAX):
            seen = self._snapshots(contract.dataset)
            searched = Searched()
            replaced = tuple(self._rewritten(seen, contract, person, searched))
            aside = self._aside(contract.dataset, person)
            # Before the record, because afterwards nobody knows the keys any more; and after it, for whoever materialised meanwhile.
            online = self._forget_online(contract, searched.taken, person)
            if not replaced and not aside:
                if any(old.startswith(f"{contract.dataset}/") for old in asked.replaced):
                    # A death between the record and what follows it: whose entities they were, nobody knows any more.
                    self._materialize_anew(asked, contract.dataset)
                return online, 0
            try:
                self._record(asked, contract, seen, replaced, aside)
            except Conflict:
                if attempt == SEARCHES_MAX - 1:
                    raise
                continue
            went, came = self._recomputed(contract.dataset, searched.taken)
            return online + went, came
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _record(
        self, asked: ErasureRecord, contract: Contract, seen: list[Snapshot], replaced: tuple[Replaced, ...], aside: dict[Digest, Digest]
    ) -> None:
        """Each snapshot changes as a whole; so many of them at once as fit into a command."""
        known = [snapshot.digest for snapshot in seen]
        for group in _groups(replaced) or [()]:
            command = RecordErased(
                id=asked.id, dataset=contract.dataset, owner_team=contract.team, seen=tuple(known), replaced=group, aside=aside
            )
            self._parts.ledger.write(PLATFORM, command, key=f"{asked.id}/{contract.dataset}/{digest_record(command.seen)[-16:]}")
            known += [each.new.digest for each in group if each.new is not None]
            aside = {}

    def _snapshots(self, dataset: str) -> list[Snapshot]:
        """Those that are whole, oldest first."""
        found = self._parts.ledger.find(KIND_SNAPSHOT, Snapshot, prefix=f"{dataset}/")
        return sorted((each for each in found if each.erased is None), key=lambda each: (each.created_at_us, each.digest))

    def _rewritten(self, seen: Iterable[Snapshot], contract: Contract, person: Person, searched: Searched) -> Iterator[Replaced]:
        for snapshot in seen:
            done = rewrite(snapshot, contract, person, self._parts.artifacts, self._parts.clock.now_us(), searched)
            if done is not None:
                yield Replaced(old=snapshot.digest, gone=done.gone, rows=done.rows, new=done.snapshot)

    def _aside(self, dataset: str, person: Person) -> dict[Digest, Digest]:
        """Blobs set aside that hold the person, and what remains of them.

        One that is no Parquet came before the contract had personal columns, or is only a note: a file as it came goes whole.
        """
        artifacts, found = self._parts.artifacts, {}
        for held in self._parts.ledger.find(KIND_QUARANTINE, Quarantine, prefix=f"{dataset}/"):
            data = artifacts.get(held.digest)
            if data[:4] != b"PAR1":
                if not data.startswith(b'{"bytes":'):
                    found[held.digest] = ""
                continue
            rows = pl.read_parquet(io.BytesIO(data))
            rest, taken = split(rows, person.keys(rows))
            if taken.height:
                found[held.digest] = artifacts.put(parquet_bytes(rest)) if rest.height else ""
        return found

    def _forget_online(self, contract: Contract, taken: list[pl.DataFrame], person: Person) -> int:
        """Take the person out of the online store where the key is the person's own, in every version of every view over this dataset."""
        forgotten = 0
        for view in self._views(contract.dataset):
            for rows in taken if person.column_names & set(view.entity) else ():
                if all(name in rows.columns for name in view.entity):
                    entities = rows.select(view.entity).drop_nulls().unique().rows()
                    forgotten += sum(self._parts.online.forget(view.name, entity_key(entity)) for entity in entities)
        return forgotten

    def _recomputed(self, dataset: str, taken: list[pl.DataFrame]) -> tuple[int, int]:
        """Values that the deleted rows had a part in, of whatever entity: they go, and come again from what remains."""
        went = came = 0
        snapshot = latest_snapshot(self._parts, dataset)
        remains = read_snapshot(self._parts.artifacts, snapshot) if snapshot is not None else None
        for view in self._views(dataset):
            definitions = held_definitions(self._parts, view.name)
            for rows in taken:
                gone, again = recompute(definitions, rows, remains, self._parts.online, self._parts.clock.now_us())
                went, came = went + gone, came + again
        return went, came

    def _materialize_anew(self, asked: ErasureRecord, dataset: str) -> None:
        names = tuple(view.name for view in self._views(dataset) if held_definitions(self._parts, view.name))
        if names and latest_snapshot(self._parts, dataset) is not None:
            request = MaterializeRequest(names=names, mode="full", take_over=True)
            Materializing(self._parts).start(PLATFORM, request, key=f"{asked.id}/{dataset}")

    def _views(self, dataset: str) -> list[FeatureView]:
        return [view for view in self._parts.ledger.find(KIND_VIEW, FeatureView) if view.source == dataset]


def _groups(replaced: tuple[Replaced, ...]) -> list[tuple[Replaced, ...]]:
    groups: list[tuple[Replaced, ...]] = []
    size = PARTS_A_COMMAND_MAX
    for each in replaced:
        parts = 4 + len(each.gone) + (len(each.new.parts) if each.new is not None else 0)
        size += parts
        if size > PARTS_A_COMMAND_MAX:
            groups.append(())
            size = parts
        groups[-1] = (*groups[-1], each)
    return groups
