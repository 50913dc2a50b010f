"""Use cases of what the online store holds: forgetting an entity, dropping versions nobody reads, reading values out."""

import io

import polars as pl

from leverframe.apps.platform.bound_views import bound_versions
from leverframe.apps.platform.datasets import contract_of, latest_rows
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.policies import own_texts
from leverframe.apps.platform.views import ForgottenView
from leverframe.core.actor import Actor
from leverframe.core.errors import InvalidInput, LimitExceeded, NotFound, Refused
from leverframe.core.feature import FeatureView
from leverframe.features.commands import KIND_VIEW
from leverframe.features.declared.definitions import EVENT, view_version
from leverframe.features.materialization.slices import Partition, compute
from leverframe.features.online.online import entity_key
from leverframe.features.online_commands import DropVersion, ForgetEntity
from leverframe.governance.decision import require

EXPORT_ROWS_MAX = 5_000_000
KEY_COLUMN = "entity"


class OnlineValues:
    """What is in the online store, and how it goes."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def _view(self, name: str) -> FeatureView:
        view = self._parts.ledger.get(KIND_VIEW, name, FeatureView)
        if view is None:
            raise NotFound("no such feature view", where=name[:120], next_step="lever features list")
        return view

    def forget(self, actor: Actor, name: str, key_parts: tuple[str, ...], *, key: str) -> ForgottenView:
        """Take an entity out of every version of a view; gateways have no values for it when this returns.

        The source keeps its rows, and the next full materialisation reads them: a person's rows are deleted with ``lever data forget``.

        Parameters
        ----------
        key_parts: the entity's key, a text for each of the view's entity columns.

        Raises
        ------
        NotFound: no such view.    InvalidInput: not a key of this view.
        """
        parts, view = self._parts, self._view(name)
        if len(key_parts) != len(view.entity):
            raise InvalidInput("not a key of this view", where=name, expected=", ".join(view.entity), got=f"{len(key_parts)} parts")
        entity = entity_key(key_parts)
        command = ForgetEntity(view=name, subject=parts.pseudonyms.subject(entity.hex()), owning_team=contract_of(parts, view.source).team)
        parts.ledger.write(actor, command, key=key)
        return ForgottenView(view=name, versions=parts.online.forget(name, entity))

    def drop(self, actor: Actor, name: str, version: str = "", *, key: str) -> dict[str, int]:
        """Drop a version from the online store; without ``version`` all that are neither declared nor read by a routed model.

        Returns
        -------
        Entities gone, by version.

        Raises
        ------
        Forbidden: the view is another team's.
        NotFound: no such view, or the store holds no such version.    Refused: routed models read it, or it is the one declared.
        """
        parts, view = self._parts, self._view(name)
        team = contract_of(parts, view.source).team
        # Before anything is said of who reads it.
        require(parts.policy.with_own(own_texts(parts.ledger)), actor, DropVersion.action, f"{KIND_VIEW}/{name}", team, {})
        held = [meta.view_version for meta in parts.online.views() if meta.view == name]
        readers = bound_versions(parts).get(name, {})
        if version and version not in held:
            raise NotFound("the online store holds no such version", where=name, expected=", ".join(held), got=version[:120])
        kept = {view_version(view): ("its declaration",), **readers}
        if version in kept:
            raise Refused(
                "this version is still read",
                where=f"{name} {version}",
                got=", ".join(kept[version]),
                next_step="release other versions of these models, or declare the view anew, first",
            )
        gone = {}
        for each in [version] if version else [each for each in held if each not in kept]:
            command = DropVersion(view=name, view_version=each, owning_team=team)
            parts.ledger.write(actor, command, key=f"{key}/{each}")
            gone[each] = parts.online.drop(name, each)
        return gone

    def export(self, name: str, at_us: int | None, *, online: bool = False) -> bytes:
        """A view's values as Parquet: entity columns, event and arrival time, features.

        Parameters
        ----------
        at_us: as they were known at this moment (None: now), expired ones missing.
        online: what the online store holds of the declared version instead, by the key it is stored under.

        Raises
        ------
        NotFound: no such view, nothing ingested or nothing held.    LimitExceeded: more than ``EXPORT_ROWS_MAX`` entities.
        """
        view = self._view(name)
        moment_us = self._parts.clock.now_us() if at_us is None else at_us
        frame = self._held(view) if online else self._offline(view, moment_us)
        if frame.height > EXPORT_ROWS_MAX:
            raise LimitExceeded(
                "too many entities for one file", where=name, expected=f"at most {EXPORT_ROWS_MAX:,}", got=f"{frame.height:,}"
            )
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        return buffer.getvalue()

    def _offline(self, view: FeatureView, at_us: int) -> pl.DataFrame:
        _, rows = latest_rows(self._parts, view.source)
        found = compute(view, rows, Partition(name="export", to_us=at_us)).latest.sort(view.entity)
        if not (view.ttl_us and view.expressions):
            return found
        alive = pl.col(EVENT) > at_us - view.ttl_us
        return found.with_columns(pl.when(alive).then(pl.col(feature)).alias(feature) for feature in view.features)

    def _held(self, view: FeatureView) -> pl.DataFrame:
        version = view_version(view)
        if self._parts.online.meta(view.name, version) is None:
            raise NotFound("the online store holds nothing of it", where=view.name, next_step=f"lever features materialize {view.name}")
        rows = self._parts.online.rows(view.name, version, EXPORT_ROWS_MAX)
        columns = {
            KEY_COLUMN: [key.decode(errors="replace") for key in rows.keys],
            "event_us": rows.event_us,
            "arrival_us": rows.arrival_us,
        }
        values = {feature: rows.values[:, i] for i, feature in enumerate(view.features)}
        return pl.DataFrame({**columns, **values}).with_columns(pl.col(view.features).fill_nan(None))
